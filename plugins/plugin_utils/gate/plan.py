# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan gate: prove on the controller, without contacting a host, that no environment touches another.

A gate that is only a task can be bypassed, so every action that changes a host calls :func:`require_proof`. The proof
is a file in the run's own temporary directory: facts and variables can be forged, that directory cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail

from ..declaration.checks import check_promotion
from ..declaration.inventory import Inventory
from ..declaration.model import Declaration
from ..declaration.resolve import declare
from ..declaration.selection import membership, overrides, rewritten, selection, typed
from ..declaration.sources import check_files_read_as_root
from ..declaration.variables import defaults
from ..isolation.gc_pause import collector_paused
from ..isolation.live.registered import environment_of
from ..isolation.model import Finding, Fleet, Severity
from ..isolation.report import text as report
from ..isolation.report.answer import Report
from ..isolation.rules import judge, rules
from ..isolation.rules.secrets import open_checks
from ..isolation.waivers import apply as apply_waivers
from ..release.render import Release, Renderer
from .environments import build_environment
from .proof import Surroundings, around, read_proof, write_private, write_proof

# Load them now: actions run in forks of the process that imports this.
rules()

#: The format of a report file by its ending; JSON otherwise.
_REPORTS = {".sarif": "sarif", ".xml": "junit"}


@dataclass
class Verdict:
    """What the plan gate found. ``targets`` are the prefixes of the environments to deploy."""

    prefixes: list[str]
    targets: list[str]
    findings: list[Finding]
    stopping: list[Finding]
    open: list[str] = field(default_factory=list)
    claims: int = 0

    @property
    def text(self) -> str:
        """The report for the screen."""
        return report.text(self.findings, stopping=self.stopping)

    @property
    def advice(self) -> list[Finding]:
        """Findings of low severity that are not waived; a deployment only counts them."""
        return [finding for finding in self.findings if finding.severity == Severity.LOW and not finding.waived]

    def rendered(self, report_format: str) -> str:
        """The report as the text of a file: ``json``, ``sarif`` or ``junit``."""
        return Report(tuple(self.prefixes), tuple(self.findings), tuple(self.stopping)).rendered(report_format)


def _template_directories(playbook: str) -> list[Path]:
    """Where the user's templates are: beside the playbook on the command line, and beside the one that it imports.

    Ansible knows only the latter, which for ``import_playbook: aiia.bulkhead.deploy`` is ours.
    """
    typed = [
        Path(argument).resolve().parent for argument in context.CLIARGS.get("args", ()) if Path(argument).is_file()
    ]
    return list(dict.fromkeys(directory / "templates" for directory in [*typed, Path(playbook)]))


class Gate:
    """The fleet of the running play: its declarations, its releases, and the verdict on them."""

    def __init__(self, action: Any, task_vars: Mapping[str, Any]) -> None:
        self.task_vars = task_vars
        loader = action._loader
        playbook = str(task_vars.get("playbook_dir") or loader.get_basedir())
        self.inventory = Inventory(task_vars["ansible_inventory_sources"], loader._vault.secrets, playbook)
        self.renderer = Renderer(self.inventory.loader, _template_directories(playbook))
        self.fleet: Fleet | None = None

    @cached_property
    def groups(self) -> dict[str, dict[str, Any]]:
        """The environment groups with the variables that each sets itself."""
        return self.inventory.environment_groups

    @cached_property
    def declarations(self) -> list[Declaration]:
        """Every environment of the inventory."""
        loader, templates = self.inventory.loader, self.renderer.templates
        found = [declare(environment, loader, templates) for environment in self.inventory.environments()]
        check_promotion(found)
        check_files_read_as_root(found)
        return found

    def declaration_of(self, host: str) -> Declaration:
        """The declaration of a host's environment. Raises AnsibleActionFail where it has none."""
        for environment in self.inventory.environments():
            if host in environment.hosts:
                return declare(environment, self.inventory.loader, self.renderer.templates)
        raise AnsibleActionFail(
            f"host {host} belongs to no environment: set bulkhead_environment in the group_vars of one of its groups"
        )

    def render(self, declaration: Declaration, commit: str = "") -> Release | None:
        """Render the release of an environment; None where its declaration has problems that prevent it."""
        if not declaration.usable:
            return None
        return self.renderer.render(declaration, commit) if commit else self.renderer.render(declaration)

    @collector_paused()
    def prove(self, deploying: bool) -> Verdict:
        """Judge the whole fleet. With ``deploying``, also what ``-l`` selects, and that no variable was rewritten."""
        option = self._options()
        meant, findings = self._meant(deploying, option["allow_many"])
        releases = [(declaration, self.render(declaration)) for declaration in self.declarations]
        targets = {declaration.prefix: release for declaration, release in releases if declaration.group in meant}
        self.fleet = Fleet(tuple(build_environment(declaration, release) for declaration, release in releases))
        findings += self._declared(meant)
        verdict = self._judged(self.fleet, findings, list(targets), option)
        if option["report"]:
            path = Path(option["report"])
            write_private(path, verdict.rendered(_REPORTS.get(path.suffix, "json")))
        if deploying and not verdict.stopping:
            digests = {prefix: release.digest if release else "" for prefix, release in targets.items()}
            write_proof(self.fleet, digests)
        return verdict

    def _declared(self, meant: list[str]) -> list[Finding]:
        """Findings on the declarations; of those that are ``meant``, also on what only a deployment needs."""
        if not self.declarations:
            message = "the inventory declares no environment"
            fix = "set bulkhead_environment in the group_vars of one group for each environment"
            return [Finding("no-environment", Severity.CRITICAL, (), "inventory", message, fix)]
        findings: list[Finding] = []
        for declaration in self.declarations:
            findings += declaration.problems
            if declaration.group in meant:
                findings += declaration.lacking
                findings += self._rewritten(declaration)
        return findings

    def _judged(self, fleet: Fleet, findings: list[Finding], targets: list[str], option: Mapping[str, Any]) -> Verdict:
        """Apply the rules and the waivers, and decide what stops the run."""
        names = {declaration.group: declaration.prefix for declaration in self.declarations}
        findings = [_by_prefix(finding, names) for finding in findings]
        judged = report.arrange(apply_waivers(fleet, [*findings, *judge(fleet)], date.today(), known=rules()))
        return Verdict(
            prefixes=[environment.prefix for environment in fleet.environments],
            targets=targets,
            findings=judged,
            stopping=self._stopping(judged, targets, option),
            open=open_checks(fleet),
            claims=sum(len(environment.claims) for environment in fleet.environments),
        )

    def bind(self, declaration: Declaration) -> None:
        """Make sure that this run selects this environment and no other. It proves nothing: enough for jobs that read.

        Raises AnsibleActionFail with the findings otherwise.
        """
        meant, findings = self._meant(True, declaration.values["bulkhead_allow_many"])
        findings += self._rewritten(declaration)
        if findings or declaration.group not in meant:
            raise AnsibleActionFail(report.refusal(findings))

    def _meant(self, deploying: bool, allow_many: bool) -> tuple[list[str], list[Finding]]:
        """The groups that ``-l`` selects, and findings on that and on the shape of the inventory."""
        hosts = {group: self.inventory.hosts_of(group) for group in self.groups}
        meant: list[str] = []
        findings: list[Finding] = []
        if deploying:
            limit = context.CLIARGS.get("subset")  # not the variable ansible_limit: -e could set that one
            running = self.task_vars.get("ansible_play_hosts_all") or ()
            protected = [group for group, own in self.groups.items() if own.get("bulkhead_protected")]
            meant, findings = selection(running, limit, hosts, allow_many, protected)
        findings += typed(self.inventory.extra_variables)
        findings += membership(hosts, {group: self.inventory.ancestors_of(group) for group in self.groups})
        findings += overrides(self.inventory, self.groups)
        return meant, findings

    def _options(self) -> dict[str, Any]:
        """The options of the run, from the environments of the play's hosts."""
        running = set(self.task_vars.get("ansible_play_hosts_all") or ())
        mine = [declaration.values for declaration in self.declarations if running & set(declaration.hosts)]
        first: Mapping[str, Any] = mine[0] if mine else {}
        return {
            "allow_many": bool(mine) and all(values["bulkhead_allow_many"] for values in mine),
            "fail_on": Severity.parse(str(first.get("bulkhead_fail_on") or "medium")),
            "bystanders": bool(first.get("bulkhead_fail_on_bystanders")),
            "report": str(first.get("bulkhead_report") or ""),
        }

    def _rewritten(self, declaration: Declaration) -> list[Finding]:
        # task_vars are those of one host; of others, only what was set for them is visible.
        mine = self.task_vars["inventory_hostname"] in declaration.hosts
        running = self.task_vars if mine else self.task_vars["hostvars"].raw_get(declaration.hosts[0])
        hostvars = {key: value for key, value in running.items() if key.startswith("bulkhead_")}
        declared = {**defaults(self.inventory.loader), **self._raw[declaration.group]}
        return rewritten(self.inventory.extra_variables, hostvars, declared, declaration.group)

    @cached_property
    def _raw(self) -> Mapping[str, Mapping[str, Any]]:
        """The untemplated inventory variables of each environment."""
        return {environment.group: environment.variables for environment in self.inventory.environments()}

    @staticmethod
    def _stopping(findings: list[Finding], targets: list[str], option: Mapping[str, Any]) -> list[Finding]:
        if option["bystanders"] or not targets:
            return report.stops(findings, option["fail_on"])
        fail_on = option["fail_on"]
        found = {id(finding) for target in targets for finding in report.stops(findings, fail_on, target)}
        return [finding for finding in findings if id(finding) in found]


def _by_prefix(finding: Finding, names: Mapping[str, str]) -> Finding:
    """Name environments by prefix in a finding: two projects may both have a group production."""
    return replace(
        finding, environments=tuple(names.get(environment, environment) for environment in finding.environments)
    )


def surroundings(gate: Gate, declaration: Declaration) -> Surroundings:
    """What the live gate needs of the fleet, from this process or from the proof of this run.

    Raises AnsibleActionFail where the environment cannot be rendered.
    """
    environment = build_environment(declaration, gate.render(declaration))
    if not environment.compose:
        raise AnsibleActionFail(report.refusal(declaration.problems))
    if gate.fleet is not None:
        return around(environment, gate.fleet)
    proof = read_proof()
    neighbours = tuple(environment_of(entry) for entry in proof.get("neighbours", {}).get(environment.prefix, ()))
    return Surroundings(environment, neighbours, tuple(proof.get("fleet", ())), int(proof.get("claims", 0)))


def require_proof(gate: Gate, declaration: Declaration) -> None:
    """Make sure that this run has proved this very environment among its fleet; prove it now where it has not.

    Raises AnsibleActionFail with the findings when the proof fails.
    """
    release = gate.render(declaration)
    proved = read_proof().get("digests", {}).get(declaration.prefix)
    if release is not None and proved == release.digest:
        return
    verdict = gate.prove(deploying=True)
    if verdict.stopping or declaration.prefix not in verdict.targets:
        raise AnsibleActionFail(verdict.text)
