# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan gate: prove on the controller, without contacting a host, that no environment touches another.

A gate that is only a task can be bypassed, so every action that changes a host calls :func:`require_proof`. The proof
is a file of :mod:`kept`: facts, variables and files can be forged, it cannot.

The environments to deploy are evaluated once: what later steps ship is kept with the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import context
from ansible.errors import AnsibleActionFail

from ..declaration.command_line import ingredients, tighten, typed
from ..declaration.model import Declaration
from ..declaration.selection import membership, overrides, rewritten, selection
from ..declaration.variables import defaults
from ..isolation.gc_pause import collector_paused
from ..isolation.live.registered import environment_of
from ..isolation.model import SEAL, Finding, Fleet, Severity
from ..isolation.readers.fingerprints import sealed_of
from ..isolation.report import text as report
from ..isolation.report.proved import Scope, proved
from ..isolation.rules import judge, rules
from ..isolation.rules.containment import shared_on_purpose
from ..isolation.rules.secrets import open_checks
from ..isolation.waivers import apply as apply_waivers
from ..release.render import Release
from .approval import Approval, approve, how_to_sign, write
from .environments import build_environment
from .evaluated import EvaluatedFleet, template_directories
from .kept import write_private
from .live_fingerprints import LiveFingerprints
from .paper import Unplannable, document, shown
from .proof import Surroundings, around, read_proof, require_approval, write_proof
from .secrets import TRIED, Vaults, plain_names, weak_secrets
from .session import Session
from .shared_work import processes_for, share
from .unread import shown_seals, still_needed, undeclared, unread_values, unreadable_names

if TYPE_CHECKING:
    from ..isolation.report.present import Seen

# Load them now: actions run in forks of the process that imports this.
rules()

_CHANGED = (
    "changed since it was proved: a value, a template or a file that it is made of is different now. This step changed "
    "nothing; run the deployment again"
)

#: How many environments are worth a process of their own to judge them.
_EACH = 40


#: The format of a report file by its ending; JSON otherwise.
_REPORTS = {".md": "markdown", ".sarif": "sarif", ".xml": "junit"}


@dataclass
class Verdict:
    """What the plan gate found. ``targets`` are the prefixes of the environments to deploy, ``unread`` those of
    bystanders of which something that others could run into is sealed here, ``sealed`` those of which any value is,
    ``shared`` is what several declare as shared, and ``approved`` are the plans that the run applies, by groups."""

    prefixes: list[str]
    targets: list[str]
    findings: list[Finding]
    stopping: list[Finding]
    open: list[str] = field(default_factory=list)
    claims: int = 0
    unread: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    approved: dict[str, Approval] = field(default_factory=dict)

    @property
    def proved(self) -> str:
        """What a verdict that does not stop has proved, in one line."""
        read = len(self.prefixes) - len(self.unread)
        return proved(Scope(read, self.claims, self.shared, self.sealed, self.unread), self.findings)

    @property
    def text(self) -> str:
        """The report for the screen."""
        return report.text(self.findings, stopping=self.stopping)

    @property
    def advice(self) -> list[Finding]:
        """Findings of low severity that are not waived; a deployment only counts them."""
        return [finding for finding in self.findings if finding.severity == Severity.LOW and not finding.waived]

    def rendered(self, report_format: str) -> str:
        """The report as the text of a file: ``json``, ``sarif``, ``junit`` or ``markdown``."""
        from ..isolation.report.answer import Report  # only here: few runs write a file

        return Report(tuple(self.prefixes), tuple(self.findings), tuple(self.stopping)).rendered(report_format)


class Gate(EvaluatedFleet):
    """The fleet of the running play, and the verdict on it."""

    def __init__(self, action: Any, task_vars: Mapping[str, Any]) -> None:
        super().__init__(action, task_vars)
        self.fleet: Fleet | None = None
        self.unread: tuple[str, ...] = ()

    @collector_paused()
    def prove(
        self, deploying: bool, report_to: str = "", approval: bool = False, seen: Mapping[str, Seen] | None = None
    ) -> Verdict:
        """Judge the whole fleet. With ``deploying``, also what ``-l`` selects, and that no variable was rewritten.

        ``report_to`` is a path for a report, beside those of ``bulkhead_report``. With ``approval``, an environment
        that asks for a signed plan (``-e bulkhead_plan``) is refused without. ``seen`` is what machines said of their
        environments, by prefix, for the page.
        """
        self.read_others()
        option = self._options()
        verdict, targets = self._judge_fleet(deploying, option)
        if deploying:
            meant = {prefix: declaration for prefix, (declaration, _found) in targets.items()}
            verdict.approved, refused = approve(self.plan_file, meant, approval, self.document)
            verdict.findings[:0] = refused
            verdict.stopping[:0] = refused
        for path in map(Path, filter(None, [*option["report"].split(","), report_to])):
            content = self._report(path, verdict, seen or {}).encode()
            try:
                write_private(path, content)
            except OSError as error:
                message = f"cannot write the report to {path} (bulkhead_report): {error.strerror}"
                raise AnsibleActionFail(message) from error
        if deploying and not verdict.stopping and self.fleet is not None:
            shipped = [(declaration, found) for declaration, found in targets.values() if found]
            write_proof(self.fleet, shipped, self.unread, verdict.approved)
        return verdict

    def _judge_fleet(
        self, deploying: bool, option: Mapping[str, Any]
    ) -> tuple[Verdict, dict[str, tuple[Declaration, Release | None]]]:
        """Judge the whole fleet. Returns the verdict, and the environments to deploy by their prefixes."""
        meant, refused = self._meant(deploying, option["allow_many"])
        selected = {own.prefix: own for own in self.declarations if own.group in self.selected}

        def render() -> None:
            self.check_together()
            for own in self.declarations:
                self.read(own)

        fingerprints = LiveFingerprints([*selected.values()], self.declarations, first=render)
        targets = {own.prefix: (own, self.render(own)) for own in self.declarations if own.group in meant}
        read = [self.read(declaration) for declaration in self.declarations]
        self.unread = tuple(one.declaration.prefix for one in read if one.unread)
        judged, untrue = fingerprints.put_into([one.judged for one in read])
        self.fleet = Fleet(judged)

        def besides() -> Iterator[Finding]:
            yield from refused
            yield from self._shape()
            yield from typed(self.inventory.extra_variables, option["thresholds"])
            yield from untrue
            yield from self._of_secrets(selected)
            yield from self._declared(meant)
            for declaration, found in targets.values():
                yield from shown_seals(declaration, found)

        return self._judged(self.fleet, besides, list(targets), option), targets

    @property
    def plan_file(self) -> str:
        """The file of the plan that a run writes or applies; empty if there is none."""
        return str(self.inventory.extra_variables.get("bulkhead_plan") or "")

    def document(self, group: str) -> dict[str, Any]:
        """The plan of an environment, as everybody reads it: without secrets and lookups, whatever this run has.

        Raises Unplannable where it would not say what is deployed.
        """
        paper = Gate(self._action, {**self.task_vars, "ansible_play_hosts_all": []})
        paper.__dict__.update(inventory=self.inventory, renderer=self.renderer, selected=frozenset())
        verdict, _targets = paper._judge_fleet(False, paper._options())
        own = paper._declaration(group)
        return document(
            own,
            paper.render(own),
            paper.fleet or Fleet(()),
            [finding for finding in verdict.findings if finding.rule != "extra-variable"],
            self.inventory,
            template_directories(self._playbook, self.task_vars["ansible_inventory_sources"]),
        )

    def group_to_plan(self) -> str:
        """The group whose plan a run writes: that of ``-l``, of ``-e bulkhead_plan_group``, or the only one.

        Raises Unplannable where that is not one.
        """
        named = str(self.inventory.extra_variables.get("bulkhead_plan_group") or "")
        groups = [group for group in self.groups if self.inventory.hosts_of(group)]
        meant = {named} if named else self.selected or set(groups)
        if len(meant) != 1 or not meant <= {*groups} or (self.selected and meant != self.selected):
            which = f"bulkhead_plan_group is {named}" if named else f"this run means {len(meant)} environments"
            raise Unplannable(
                f"a plan is for one environment, and {which}: give -e bulkhead_plan_group=<group>, one of "
                f"{', '.join(groups) or 'none'}"
            )
        return next(iter(meant))

    def _of_secrets(self, selected: Mapping[str, Declaration]) -> list[Finding]:
        """Findings on vault files and their passwords, and on the secrets of the selected environments."""
        groups = [declaration.group for declaration in selected.values()]
        vaults = Vaults(self.inventory, self.declarations)
        findings = list(vaults.findings(groups, self._loader._vault.secrets or (), TRIED))
        for declaration in selected.values():
            findings += weak_secrets(declaration, plain_names(self.inventory, declaration.group))
        return findings

    def _report(self, path: Path, verdict: Verdict, seen: Mapping[str, Seen]) -> str:
        """The text of a report file; its ending decides the format."""
        if path.suffix != ".html":
            return verdict.rendered(_REPORTS.get(path.suffix, "json"))
        from ..isolation.report.page import JudgedFleet, page  # only here: see Verdict.rendered

        asked = "and from what its machines said then" if seen else "alone: no machine was contacted"
        made = f"Made by aiia.bulkhead on {date.today()}, from the inventory {asked}."
        fleet, found = self.fleet or Fleet(()), verdict.findings
        return page(
            JudgedFleet(fleet, found, verdict.stopping, verdict.open, verdict.unread, made, verdict.proved, seen)
        )

    def _declared(self, meant: list[str]) -> list[Finding]:
        """Findings on the declarations; of those that are ``meant``, also on what only a deployment needs."""
        if not self.declarations:
            message = "the inventory declares no environment"
            fix = "set bulkhead_environment in the group_vars of one group for each environment"
            return [Finding("no-environment", Severity.CRITICAL, (), "inventory", message, fix)]
        findings = list(undeclared(self.inventory))
        for declaration in self.declarations:
            findings += declaration.problems
            findings += self._ingredients(declaration)
            if declaration.inert:
                findings += unreadable_names(declaration)
            if declaration.group in meant:
                findings += declaration.lacking
                findings += self._rewritten(declaration)
        return findings

    def _judged(
        self,
        fleet: Fleet,
        besides: Callable[[], Iterable[Finding]],
        targets: list[str],
        option: Mapping[str, Any],
    ) -> Verdict:
        """Apply the rules and the waivers, and decide what stops the run. ``besides`` gives what no rule says: it is
        looked for while other processes apply the first rules."""
        names = {declaration.group: declaration.prefix for declaration in self.declarations}
        findings: list[Finding] = []

        def first() -> None:
            findings.extend(_by_prefix(finding, names) for finding in besides())

        # What a rule says of a sealed value is about our word for it.
        ruled = judge(fleet, partial(share, processes=processes_for(len(fleet.environments), _EACH), first=first))
        found = [finding for finding in ruled if SEAL not in f"{finding.resource} {finding.message}"]
        judged = report.arrange(apply_waivers(fleet, [*findings, *found], date.today(), known=rules()))
        return Verdict(
            prefixes=[environment.prefix for environment in fleet.environments],
            targets=targets,
            findings=judged,
            stopping=self._stopping(judged, targets, option),
            open=[
                *open_checks(fleet),
                *unread_values(self.declarations),
                *still_needed(self.declarations, self.inventory),
                *self.renderer.replaced(),
                *(note for own in self.declarations for note in self.read(own).notes),
            ],
            claims=sum(len(environment.claims) for environment in fleet.environments),
            unread=list(self.unread),
            sealed=[environment.prefix for environment in fleet.environments if sealed_of(environment)],
            shared=shared_on_purpose(fleet),
        )

    def bind(self, declaration: Declaration) -> None:
        """Make sure that this run selects this environment and no other. It proves nothing: enough for jobs that read.

        Raises AnsibleActionFail with the findings otherwise.
        """
        meant, findings = self._meant(True, declaration.values["bulkhead_allow_many"])
        findings += [*self._shape(), *self._rewritten(declaration)]
        if findings or declaration.group not in meant:
            raise AnsibleActionFail(report.refusal(findings))

    def extra_findings(self, declaration: Declaration) -> list[Finding]:
        """What is wrong with ``-e`` for a run on this environment."""
        if not self.extra_variables:  # then no step needs the inventory
            return []
        own = {declaration.prefix: declaration.values}
        return [*typed(self.inventory.extra_variables, own), *self._ingredients(declaration)]

    def _ingredients(self, declaration: Declaration) -> list[Finding]:
        raw = self.inventory.environment(declaration.group).variables
        return ingredients(self.inventory.extra_variables, raw)

    def _meant(self, deploying: bool, allow_many: bool) -> tuple[list[str], list[Finding]]:
        """The groups that ``-l`` selects, and findings on that."""
        if not deploying:
            return [], []
        hosts = {group: self.inventory.hosts_of(group) for group in self.groups}
        limit = context.CLIARGS.get("subset")  # not the variable ansible_limit: -e could set that one
        running = self.task_vars.get("ansible_play_hosts_all") or ()
        protected = [group for group, own in self.groups.items() if own.get("bulkhead_protected")]
        return selection(running, limit, hosts, allow_many, protected)

    def _shape(self) -> list[Finding]:
        """Findings on the shape of the inventory."""
        hosts = {group: self.inventory.hosts_of(group) for group in self.groups}
        above = {group: self.inventory.ancestors_of(group) for group in self.groups}
        return [*membership(hosts, above), *overrides(self.inventory, self.groups)]

    def _options(self) -> dict[str, Any]:
        """The options of the run, from the environments of the play's hosts."""
        running = set(self.task_vars.get("ansible_play_hosts_all") or ())
        mine = [declaration for declaration in self.declarations if running & set(declaration.hosts)]
        extra = self.inventory.extra_variables
        fleet: dict[str, Any] = {"bulkhead_fail_on": "medium", "bulkhead_fail_on_bystanders": False}
        tighten(fleet, extra)
        return {
            "allow_many": bool(mine) and all(declaration.values["bulkhead_allow_many"] for declaration in mine),
            "thresholds": {own.prefix: own.values for own in mine} or {"a plan of the whole fleet": fleet},
            "fail_on": {own.prefix: own.fail_on for own in mine} or {"": Severity.parse(fleet["bulkhead_fail_on"])},
            "others": {declaration.prefix: declaration.fail_on for declaration in self.declarations},
            "bystanders": any(declaration.values["bulkhead_fail_on_bystanders"] for declaration in mine),
            "report": str((mine[0].values if mine else extra).get("bulkhead_report") or ""),
        }

    def _rewritten(self, declaration: Declaration) -> list[Finding]:
        # task_vars are those of one host; of others, only what was set for them is visible.
        mine = self.task_vars["inventory_hostname"] in declaration.hosts
        running = self.task_vars if mine else self.task_vars["hostvars"].raw_get(declaration.hosts[0])
        hostvars = {key: value for key, value in running.items() if key.startswith("bulkhead_")}
        raw = self.inventory.environment(declaration.group, opened=True).variables
        declared = {**defaults(self.inventory.loader), **raw}
        return rewritten(self.inventory.extra_variables, hostvars, declared, declaration.group)

    @staticmethod
    def _stopping(findings: list[Finding], targets: list[str], option: Mapping[str, Any]) -> list[Finding]:
        fail_on = option["fail_on"]
        if option["bystanders"] or not targets:
            return report.stops(findings, min(fail_on.values()))
        # What one environment accepts, no other has to.
        found = {
            id(finding)
            for target in targets
            for finding in report.stops(findings, fail_on[target], target, option["others"])
        }
        return [finding for finding in findings if id(finding) in found]


def _by_prefix(finding: Finding, names: Mapping[str, str]) -> Finding:
    """Name environments by prefix in a finding: two projects may both have a group production."""
    return replace(
        finding, environments=tuple(names.get(environment, environment) for environment in finding.environments)
    )


def write_plan(gate: Gate) -> str:
    """Write the plan of one environment where ``-e bulkhead_plan`` asks for it. Returns it in words.

    Raises AnsibleActionFail where no plan would say what is deployed, or it cannot be written.
    """
    if not gate.plan_file:
        return ""
    path = Path(gate.plan_file)
    plan = write(path, gate.document(gate.group_to_plan()))
    return f"{shown(plan)}\n{how_to_sign(path)}"


def surroundings(gate: Gate, declaration: Declaration) -> Surroundings:
    """What the live gate needs of the fleet, from this process or from the proof of this run.

    Raises AnsibleActionFail where the environment cannot be rendered.
    """
    environment = build_environment(declaration, gate.render(declaration))
    if not environment.compose:
        raise AnsibleActionFail(report.refusal(declaration.problems))
    if gate.fleet is not None:
        return around(environment, gate.fleet, gate.unread)
    proof = read_proof()
    proved = proof.proved.get(declaration.group)
    neighbours = tuple(environment_of(entry) for entry in proved.neighbours) if proved else ()
    return Surroundings(environment, neighbours, proof.prefixes, proof.claims, proof.unread)


def require_proof(gate: Gate, declaration: Declaration, ships: bool = False) -> None:
    """Make sure that this run has proved this very environment among its fleet; prove it now where it has not.

    A step that ``ships`` something also needs the plan that the environment asks for. Raises AnsibleActionFail with the
    findings when the proof fails, or where the environment changed since.
    """
    release = gate.render(declaration)
    proved = read_proof().proved.get(declaration.group)
    if proved is None:
        verdict = gate.prove(deploying=True, approval=ships)
        if verdict.stopping or declaration.prefix not in verdict.targets:
            raise AnsibleActionFail(verdict.text)
    elif release is None or proved.release.digest != release.digest:
        raise AnsibleActionFail(f"{declaration.prefix} {_CHANGED}")
    if ships:
        require_approval(declaration)


def require_same(session: Session, release: Release | None) -> None:
    """Make sure that a step ships the release for which its job was judged on the machine.

    Raises AnsibleActionFail otherwise.
    """
    if session.digest and (release is None or release.digest != session.digest):
        raise AnsibleActionFail(f"{session.prefix} {_CHANGED}")
