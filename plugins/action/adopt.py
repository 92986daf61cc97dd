# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at a server that was set up by hand, and write the inventory that reproduces it."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultSecret
from ansible.plugins.action import ActionBase

from ..plugin_utils.adoption import moving
from ..plugin_utils.adoption.whole import GUIDE, Adoption, adoption, clean, refusal
from ..plugin_utils.gate.connection import evaluated
from ..plugin_utils.gate.machine_calls import call_module
from ..plugin_utils.gate.plan import Gate
from ..plugin_utils.isolation.model import Finding
from ..plugin_utils.isolation.report import text as report
from ..plugin_utils.scaffold.files import Unusable, remove, write_all
from ..plugin_utils.secrets import vault
from ..plugin_utils.secrets.editing import SecretsProblem

#: What tells how a host is reached, and is the same for every environment of it.
_CONNECTION = ("ansible_port", "ansible_user", "ansible_ssh_private_key_file", "ansible_become", "ansible_become_user")


class ActionModule(ActionBase):
    """One look at the machine. Everything else happens on the controller, and none of it is a value of a secret."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look, and write if ``mode`` says so."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            {
                "mode": {"type": "str", "choices": ["look", "apply"], "default": "look"},
                "directory": {"type": "path", "default": "inventory"},
                "projects": {"type": "list", "elements": "str", "default": []},
                "homes": {"type": "path", "default": "/srv"},
                "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock"},
            }
        )
        given = task_vars or {}
        variables = {**given, **evaluated(self, given, (*_CONNECTION, "ansible_connection", "ansible_host"))}
        writes = arguments["mode"] == "apply" and not self._task.check_mode
        directory = Path(arguments["directory"])
        try:
            if directory.exists() and any(directory.iterdir() if directory.is_dir() else [directory]):
                raise Unusable(
                    f"{directory} exists and is not empty. adopt writes a whole inventory and never into one: give "
                    "another directory, -e bulkhead_inventory=<directory>. Nothing was written, and the server was "
                    "not looked at"
                )
            found = adoption(self._look(variables, arguments), _machine(variables), str(directory), arguments["homes"])
            if not found.planned:
                raise Unusable(_nothing(found, arguments["projects"]))
            return self._write(variables, found, directory) if writes else self._show(variables, found, directory)
        except (Unusable, SecretsProblem) as error:
            raise AnsibleActionFail(clean(str(error))) from None
        except OSError as error:
            raise AnsibleActionFail(f"{directory} cannot be used: {error.strerror}. Nothing was written") from None

    def _look(self, task_vars: dict[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the machine says. The answer holds secrets: no verbose output may have it."""
        before = self._play_context.no_log
        self._play_context.no_log = True
        try:
            given = {"values": True, "projects": arguments["projects"], "docker_host": arguments["docker_host"]}
            answer = call_module(self, task_vars, "handmade_info", given)
        finally:
            self._play_context.no_log = before
        if answer.get("failed"):
            raise Unusable(f"{answer.get('msg')}. {answer.get('detail', '')}".strip())
        seen: dict[str, Any] = answer["seen"]
        why = refusal(seen, arguments["docker_host"])
        if why:
            raise Unusable(why)
        return seen

    def _show(self, task_vars: dict[str, Any], found: Adoption, directory: Path) -> dict[str, Any]:
        """Say what would be written, and prove it in a directory that is gone afterwards."""
        files = found.files(_connection(task_vars))
        with tempfile.TemporaryDirectory(dir=C.DEFAULT_LOCAL_TMP) as place:
            password = VaultSecret(secrets.token_bytes(16))
            write_all(Path(place) / "inventory", {**files, **_locked(found, lambda _group: password)})
            proved = self._proved(task_vars, Path(place) / "inventory", directory)
        return self._result(found, directory, {**files, GUIDE: found.guide(proved)}, proved, False)

    def _write(self, task_vars: dict[str, Any], found: Adoption, directory: Path) -> dict[str, Any]:
        files = found.files(_connection(task_vars))
        locked = _locked(found, self._password)
        made = write_all(directory, {**files, **locked})
        try:
            proved = self._proved(task_vars, directory)
            guide = {GUIDE: found.guide(proved)}
            made += write_all(directory, guide)
        except BaseException:
            remove(made)
            raise
        return self._result(found, directory, {**files, **guide}, proved, True, [*locked])

    def _password(self, group: str) -> Any:
        """The password that locks the vault of a group. Raises SecretsProblem where this run has none."""
        given = vault.candidates(self._loader._vault.secrets or (), group)
        if not given:
            raise SecretsProblem(
                f"the secrets of {group} need a password of their own to be locked with: add --vault-id "
                f"{group}@prompt. "
                "Nothing was written"
            )
        return given[0][1]

    def _proved(self, task_vars: dict[str, Any], place: Path, shown: Path | None = None) -> str:
        """What the plan says of the inventory in a place, as if it were where it is ``shown``."""
        gate = Gate(self, {**task_vars, "ansible_inventory_sources": [str(place)]})
        gate.inventory.extra_variables = {}
        verdict = gate.prove(deploying=False)
        if not verdict.findings:
            return verdict.proved
        findings = [_shown(finding, place, shown or place) for finding in verdict.findings]
        stopping = [_shown(finding, place, shown or place) for finding in verdict.stopping]
        return report.text(findings, stopping=stopping)

    def _result(
        self,
        found: Adoption,
        directory: Path,
        files: dict[str, str],
        proved: str,
        wrote: bool,
        locked: list[str] | None = None,
    ) -> dict[str, Any]:
        names = sorted([*files, *(locked if locked is not None else _names(found))])
        verb = "wrote" if wrote else "would write"
        groups = " ".join(f"--vault-id {plan.own.group}@prompt" for plan in found.planned if plan.settings.secret)
        lines = [
            *found.lines,
            "What the plan says of the inventory:",
            *(f"  {line}" for line in clean(proved).splitlines()),
            f"{verb} {', '.join(str(directory / name) for name in names)}",
            f"next: read {directory / GUIDE}"
            if wrote
            else f"nothing was changed. To write it, add -e bulkhead_adopt=apply {groups}".rstrip(),
        ]
        diff = [{"before": "", "after": text, "after_header": str(directory / name)} for name, text in files.items()]
        return {
            "changed": wrote or (self._task.check_mode and self._task.args.get("mode") == "apply"),
            "files": [str(directory / name) for name in names],
            "environments": {plan.own.prefix: moving.seconds(plan) for plan in found.planned},
            "diff": diff if self._task.diff else [],
            "msg": "\n".join(lines),
        }


def _shown(finding: Finding, place: Path, shown: Path) -> Finding:
    """A finding on files in one place, as one on the same files in another."""
    where = []
    for found in finding.where:
        path = Path(found.file).resolve() if found.file else Path()
        inside = found.file and path.is_relative_to(place.resolve())
        where.append(replace(found, file=str(shown / path.relative_to(place.resolve()))) if inside else found)
    return replace(finding, where=tuple(where))


def _names(found: Adoption) -> list[str]:
    """The files with secrets."""
    groups = [plan.own.group for plan in found.planned if plan.settings.secret]
    return [f"group_vars/{group}/{name}" for group in groups for name in ("vault.yml", "fingerprints.yml")]


def _locked(found: Adoption, password: Any) -> dict[str, str]:
    """The vault files, each locked with the password of its group, and the fingerprints beside them."""
    files = {}
    for group, (plain, prints) in found.secrets().items():
        files[f"group_vars/{group}/vault.yml"] = vault.closed(plain, password(group), group)
        files[f"group_vars/{group}/fingerprints.yml"] = prints
    return files


def _machine(task_vars: Mapping[str, Any]) -> str:
    """What the server is called."""
    local = task_vars.get("ansible_connection") in ("local", "ansible.builtin.local")
    return "localhost" if local else str(task_vars.get("ansible_host") or task_vars["inventory_hostname"])


def _connection(task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """How the server is reached, as its hosts in the inventory have it. No password is among it."""
    if _machine(task_vars) == "localhost":
        return {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    known = {name: task_vars[name] for name in _CONNECTION if task_vars.get(name) not in (None, "")}
    return {"ansible_host": _machine(task_vars), **{name: _plain(value) for name, value in known.items()}}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int)) else str(value)


def _nothing(found: Adoption, projects: list[str]) -> str:
    """Why there is nothing to adopt."""
    which = (
        f"no container of the Compose projects {', '.join(projects)}"
        if projects
        else "no Compose project of a person's"
    )
    return "\n".join(
        [
            f"{found.machine} runs {which}, so there is nothing to adopt. Look with: docker ps --all. If Docker runs "
            "under another address, add -e bulkhead_docker_host=<address>. For a new application: ansible-playbook "
            "aiia.bulkhead.new. Nothing was written",
            *found.said,
        ]
    )
