# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write an environment into an inventory, and prove the inventory with it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.vars import host_group_vars

from ..plugin_utils.declaration.model import Declaration
from ..plugin_utils.gate.plan import Gate, Verdict
from ..plugin_utils.gate.secrets_job import secrets_job
from ..plugin_utils.isolation.report.text import text as report
from ..plugin_utils.isolation.wording import number
from ..plugin_utils.scaffold import distinct, first, like
from ..plugin_utils.scaffold.files import Unusable, remove, replace_all, write_all
from ..plugin_utils.secrets import jobs
from ..plugin_utils.secrets.asking import confirm
from ..plugin_utils.secrets.editing import SecretsProblem


class ActionModule(ActionBase):
    """On the controller only: files of an inventory, all or none, and none that the plan gate would refuse."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the files of one new environment, or of an application's first two."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            {
                "name": {"type": "str"},
                "like": {"type": "str"},
                "answers": {"type": "dict"},
                "directory": {"type": "path"},
            }
        )
        variables = task_vars or {}
        try:
            if arguments["name"] or arguments["like"]:
                return self._like(variables, str(arguments["name"] or ""), str(arguments["like"] or ""))
            return self._first(variables, Path(arguments["directory"] or "inventory"), arguments["answers"] or {})
        except (Unusable, SecretsProblem) as error:
            raise AnsibleActionFail(str(error)) from error

    def _like(self, task_vars: dict[str, Any], name: str, like_group: str) -> dict[str, Any]:
        sources = list(task_vars.get("ansible_inventory_sources") or ())
        gate = self._gate(task_vars, sources)
        found = like.model(gate.inventory, gate.declarations, sources, name, like_group)
        wanted = like.files(found, name)
        if self._task.check_mode:
            return self._result(found.inventory, {**wanted.new, **wanted.changed}, [])
        made = write_all(found.inventory, wanted.new)
        try:
            first_look = _declared(self._gate(task_vars, sources), name)
            complete = like.completed(wanted.new, name, found, first_look.values)
            replace_all(found.inventory, {path: new for path, new in complete.items() if new != wanted.new.get(path)})
            locked = self._lock(task_vars, found.inventory, sources, [name], made)
            gate = self._gate(task_vars, sources)
            new = _declared(gate, name)
            verdict = _proved(gate, new.prefix)
            replace_all(found.inventory, wanted.changed)
        except BaseException:
            remove(made)
            raise
        said = distinct.sentences(new.values, () if locked else wanted.left_out)
        lines = [*said, *locked, _proof(verdict), _next(found.inventory, name, bool(locked))]
        return self._result(found.inventory, {**complete, **wanted.changed}, lines)

    def _first(self, task_vars: dict[str, Any], directory: Path, answers: dict[str, Any]) -> dict[str, Any]:
        given = {name: str(value).strip() for name, value in answers.items() if value}
        texts = {**first.DEFAULTS, **given}
        wrong = first.problems(texts)
        if wrong:
            raise Unusable("\n".join([*wrong, "Nothing was written."]))
        files = first.files(texts)
        if self._task.check_mode:
            return self._result(directory, files, [])
        made = write_all(directory, files)
        try:
            locked = self._lock(task_vars, directory, [str(directory)], first.GROUPS, made)
            verdict = _proved(self._gate(task_vars, [str(directory)]), "")
        except BaseException:
            remove(made)
            raise
        lines = [*locked, _proof(verdict), _next(directory, "staging", "staging" in self._passwords())]
        return self._result(directory, files, lines)

    def _passwords(self) -> dict[str, Any]:
        """The vault passwords of the run, by the group that each was given for."""
        return {identity: secret for identity, secret in self._loader._vault.secrets or () if secret}

    def _lock(
        self, task_vars: dict[str, Any], inventory: Path, sources: list[str], groups: Iterable[str], made: list[Path]
    ) -> list[str]:
        """Make the secrets of the new environments whose vault password the run has, and say so. ``made`` gets what is
        written."""
        lines = []
        for group in groups:
            password = self._passwords().get(group)
            if password is None:
                continue
            gate = self._gate(task_vars, sources)  # the fingerprints of all have one salt
            job = secrets_job(
                gate,
                _declared(gate, group),
                inventory / "group_vars" / group,
                [(group, password)],
                confirm=partial(confirm, group=group),
            )
            made += [job.vault, job.fingerprints]
            names = ", ".join(jobs.run("init", job).names) or "no secret"
            lines.append(f"{job.vault}: {names}, locked with the password of {group}; fingerprints beside it")
        return lines

    def _gate(self, task_vars: dict[str, Any], sources: list[str]) -> Gate:
        """The gate over an inventory as it is now. What -e said is for this task, not for its environments."""
        for files in ("FOUND", "NAK"):  # Ansible keeps which files there were
            getattr(host_group_vars, files, set()).clear()
        gate = Gate(self, {**task_vars, "ansible_inventory_sources": sources})
        gate.inventory.extra_variables = {}
        return gate

    def _result(self, directory: Path, files: dict[str, str], lines: list[str]) -> dict[str, Any]:
        """What was written, as a diff too."""
        diff = [{"before": "", "after": text, "after_header": str(directory / name)} for name, text in files.items()]
        written = [str(directory / name) for name in files]
        verb = "would write" if self._task.check_mode else "wrote"
        return {
            "changed": True,
            "files": written,
            "diff": diff if self._task.diff else [],
            "msg": "\n".join([f"{verb} {', '.join(written)}", *lines]),
        }


def _declared(gate: Gate, group: str) -> Declaration:
    """The declaration of a new environment. Raises Unusable where its files do not make one."""
    for declaration in gate.declarations:
        if declaration.group == group:
            return declaration
    raise Unusable(
        f"the variables of the environment to copy are not in this inventory, so {group} would have none. Move them "
        "to its group_vars first. Nothing was written."
    )


def _proved(gate: Gate, prefix: str) -> Verdict:
    """The verdict on the inventory. Raises Unusable with the findings on the new environment, if there are any."""
    verdict = gate.prove(deploying=False)
    stopping = [finding for finding in verdict.stopping if not prefix or prefix in finding.environments]
    if stopping:
        raise Unusable(f"{report(stopping, stopping=stopping)}\nNothing was written: the environment would be refused.")
    return verdict


def _proof(verdict: Verdict) -> str:
    """What was proved; of an inventory with findings on other environments nothing was."""
    if verdict.stopping:
        found = number(len(verdict.stopping), "finding")
        return f"nothing is wrong with it, but {found} on other environments: ansible-playbook aiia.bulkhead.plan"
    return verdict.proved


def _next(inventory: Path, group: str, locked: bool) -> str:
    """What to type next: its secrets, where they were not made."""
    if locked:
        return f"next: ansible-playbook aiia.bulkhead.deploy -i {inventory} -l {group} --vault-id {group}@prompt"
    return (
        f"next, its secrets: ansible-playbook aiia.bulkhead.secrets -i {inventory} -l {group} "
        f"-e bulkhead_secret=init --vault-id {group}@prompt"
    )
