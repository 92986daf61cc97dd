# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs on the secrets of one environment: on the controller only, in the inventory that the run was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.declaration.model import Declaration
from ..plugin_utils.gate.plan import Gate
from ..plugin_utils.gate.secrets import Vaults
from ..plugin_utils.gate.secrets_job import secrets_job
from ..plugin_utils.isolation.model import Finding
from ..plugin_utils.isolation.report import text
from ..plugin_utils.isolation.wording import number
from ..plugin_utils.secrets import files, jobs
from ..plugin_utils.secrets.asking import asked, confirm
from ..plugin_utils.secrets.editing import SecretsProblem
from ..plugin_utils.secrets.opening import directories

#: The rules whose findings ``audit`` shows.
_AUDITED = frozenset(
    """foreign-vault-id damaged-vault shared-vault-password plain-secret placeholder-secret weak-secret test-key
    reused-secret stale-fingerprint missing-fingerprint shared-fingerprint shared-secret shared-signing-key
    shared-jwt-key shared-encryption-key shared-database-password shared-mail-account live-payments""".split()  # noqa: SIM905
)

_ASKED = "aiia.bulkhead.secrets takes no value from the command line"


class ActionModule(ActionBase):
    """Do one job on the secrets of one environment. No value is returned or shown."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False

    gate: Gate
    declaration: Declaration

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do what ``bulkhead_secret`` says."""
        found = task_vars or {}
        result: dict[str, Any] = super().run(tmp, found)
        self.validate_argument_spec({})
        self.gate = Gate(self, found)
        self._refuse_values()
        self.declaration = self.gate.declaration_of(found["inventory_hostname"])
        findings = self.gate.extra_findings(self.declaration)
        if findings:
            raise AnsibleActionFail(text.refusal(findings))
        self.gate.bind(self.declaration)
        verb = str(self.declaration.values["bulkhead_secret"] or "")
        if not verb:
            verbs = ", ".join([*jobs.VERBS, "audit"])
            raise AnsibleActionFail(f"bulkhead_secret is empty; say what to do: -e bulkhead_secret=<{verbs}>")
        try:
            job = self._job(verb)
            result.update(self._audit(job) if verb == "audit" else self._do(verb, job))
        except SecretsProblem as problem:
            raise AnsibleActionFail(f"{self.declaration.prefix}: {problem}") from None
        return result

    def _do(self, verb: str, job: jobs.SecretsJob) -> dict[str, Any]:
        if self._task.check_mode and verb != "show-names":
            raise SecretsProblem(f"{verb} has no check mode: it writes the vault file as a whole or not at all")
        done = jobs.run(verb, job)
        Display().display("\n".join(f"{self.declaration.prefix}: {step}" for step in done.steps))
        return {"changed": done.changed, "names": list(done.names), "steps": done.steps}

    def _audit(self, job: jobs.SecretsJob) -> dict[str, Any]:
        """Say all that is wrong with the secrets of the environment, and with those of others compared to them."""
        prefix = self.declaration.prefix
        mistaken = jobs.mistaken(job)
        verdict = self.gate.prove(deploying=False)
        passwords = self._loader._vault.secrets or ()
        vaults = Vaults(self.gate.inventory, self.gate.declarations)
        every = len(vaults.of) * 8
        found: list[Finding] = [
            *(own for own in verdict.findings if own.rule in _AUDITED and prefix in own.environments),
            *vaults.findings([self.declaration.group], passwords, every),
            *self.declaration.lacking,
        ]
        findings = [own for own in dict.fromkeys(found) if not own.waived]
        wrong = [f"{name} was written without quotes, and YAML made another text of it" for name in mistaken]
        if findings:
            wrong.append(text.text(findings, stopping=findings))
        good = f"{prefix}: {number(len(job.evaluated), 'secret')}, nothing wrong with them"
        Display().display("\n".join([*(wrong or [good]), *verdict.open]))
        if wrong:
            return {
                "failed": True,
                "msg": f"{prefix}: the secrets need attention; see above",
                "names": list(job.evaluated),
            }
        return {"names": list(job.evaluated)}

    def _job(self, verb: str) -> jobs.SecretsJob:
        """What the run wants, from the inventory and ``-e``. Raises :class:`SecretsProblem`."""
        values, group = self.declaration.values, self.declaration.group
        directory = self._directory(group)
        if verb not in jobs.ANYWHERE:
            self._refuse_others(directory)
        return secrets_job(
            self.gate,
            self.declaration,
            directory,
            self._loader._vault.secrets or (),
            name=str(values["bulkhead_secret_name"] or ""),
            kind=str(values["bulkhead_secret_kind"] or ""),
            value=self._value,
            confirm=lambda password: confirm(password, group),
        )

    def _directory(self, group: str) -> Path:
        """The directory of the environment's variables in the inventory. Raises :class:`SecretsProblem`."""
        found = [base / "group_vars" / group for base in directories(self.gate.inventory.manager._sources)]
        there = [directory for directory in found if directory.is_dir()]
        if len(there) > 1 or not found:
            said = f"is in several inventories: {', '.join(map(str, there))}" if there else "is in no file or directory"
            raise SecretsProblem(
                f"the inventory of {group} {said}. Give this run the one with -i that is to be changed"
            )
        return (there or found)[0]

    def _refuse_others(self, directory: Path) -> None:
        """Raise :class:`SecretsProblem` where the secrets stand elsewhere: a second mapping would replace the first."""
        where = self.declaration.origins.get("bulkhead_secrets")
        if where and where.file and Path(where.file).resolve() != (directory / "vault.yml").resolve():
            raise SecretsProblem(
                f"bulkhead_secrets is set in {where.file}:{where.line}, and Ansible would take only one of that and of "
                f"{directory / 'vault.yml'}. Move it there: ansible-vault edit, or set each secret after removing it"
            )

    def _refuse_values(self) -> None:
        """Refuse variables that may hold a typed value, without repeating it."""
        typed = self.gate.inventory.extra_variables
        verb = str(typed.get("bulkhead_secret") or "").split()
        named = [name for name in typed if name.startswith("bulkhead_secret_") and name not in jobs.VARIABLES]
        if named or len(verb) > 1 or "=" in "".join(verb) or "bulkhead_secrets" in typed:
            raise AnsibleActionFail(
                f"{_ASKED}: the shell's history and the list of processes keep it, so replace a value that you typed "
                "there. Leave it out and you are asked for it, or give a file: -e bulkhead_secret_file=<path>, also "
                "-e bulkhead_secret_file=<(command)"
            )

    def _value(self) -> str:
        """The value that ``set`` writes: what a file contains, or else what a person types."""
        values = self.declaration.values
        name, path = values["bulkhead_secret_name"], str(values["bulkhead_secret_file"] or "")
        if not path:
            return asked(f"Value of {name} for {self.declaration.prefix} (it is not shown)")
        found = files.read(Path(path).expanduser(), must_exist=True)
        # A single line is a value and its line end; several are a text, such as a key.
        return found[:-1] if found.endswith("\n") and found.count("\n") == 1 else found
