# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes the environment, judges the answers, and ends a deployment with its receipt."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..plugin_utils.gate.plan import require_proof
from ..plugin_utils.gate.receipts import write_receipt
from ..plugin_utils.gate.session import begun
from ..plugin_utils.gate.step import EnvironmentAction
from ..plugin_utils.isolation.live.certificates import CERTIFICATE_RULES
from ..plugin_utils.isolation.live.drift import as_diff
from ..plugin_utils.isolation.live.programs import SERVER_RULES
from ..plugin_utils.isolation.live.receipt import as_text
from ..plugin_utils.isolation.model import Severity
from ..plugin_utils.isolation.report.text import text
from ..plugin_utils.isolation.wording import number

#: Rules whose findings a verification shows whatever their severity.
_TOLD = ("drift", "damaged-registry", "rebuilt-registry", "unregistered-environment", "unused-waiver", "in-maintenance")


class ActionModule(EnvironmentAction):
    """Verify; if this run deployed something, record the receipt and release the lock."""

    NOT_ON_SWARM: ClassVar = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the gate."""
        result, _options = self.begin(tmp, task_vars)
        gate, declaration = self.gate, self.declaration
        session = begun(declaration.prefix)
        if session is None:
            gate.prove(deploying=False)
        elif self._task.check_mode:
            return {**result, "changed": False, "msg": "check mode: nothing was changed, so there is nothing to verify"}
        else:
            require_proof(gate, declaration)
        live = self.live_gate()
        receipt: dict[str, Any] = {}
        with live.during(session) if session else nullcontext():
            if session is not None and not session.converged:
                raise AnsibleActionFail(
                    f"{declaration.prefix}: the step before, which brings a release into force, did not run. Run the "
                    "whole deployment: ansible-playbook deploy.yml -l <environment>"
                )
            answer, findings = live.verify()
            if session is None and not _is_deployed(declaration.prefix, answer):
                why = f"{declaration.prefix} is not deployed here, so there is nothing to verify. Deploy first"
                return {**result, "failed": True, "msg": why}
            stopping = live.stopping(findings)
            rules = list(dict.fromkeys(finding.rule for finding in stopping))
            if session is not None:
                receipt = live.ending.record(session, live.environment, answer, findings, rules)
        write_receipt(declaration.values["bulkhead_receipt"] if receipt else "", receipt)
        told = (*SERVER_RULES, *CERTIFICATE_RULES, *(() if receipt else _TOLD))
        shown = [
            finding
            for finding in findings
            if finding in stopping or finding.severity > Severity.LOW or finding.rule in told
        ]
        if shown:
            Display().display(text(shown, stopping=stopping))
        if answer["drift"]:
            Display().display(as_diff(answer["drift"]))
        Display().display(as_text(receipt) if receipt else _probed(declaration.prefix, answer["probed"], stopping))
        changes = receipt.get("bystander_changes", [])
        result.update(changed=False, probed=answer["probed"])
        if not (stopping or changes):
            result.update(findings=[finding.as_dict() for finding in findings], receipt=receipt)
        else:
            found = ", ".join(rules + ["bystander-changed"] * bool(changes))
            result.update(
                failed=True,
                msg=f"{declaration.prefix} is deployed, and what was seen afterwards is not as proved: {found}"
                if receipt
                else f"{declaration.prefix} is not as it should be: {found}",
            )
        return result


def _is_deployed(prefix: str, answer: dict[str, Any]) -> bool:
    """Whether there is anything of an environment: an entry of a deployment that was verified, or a container."""
    return bool(prefix in answer["observation"]["registry"] or answer["probed"].get("containers"))


def _probed(prefix: str, probed: dict[str, Any], stopping: list[Any]) -> str:
    """One line for a verification without a deployment."""
    asked = [(probed["names"], "name"), (probed["addresses"], "address"), (probed["requests"], "request")]
    return (
        f"{prefix}: probed from {number(probed['containers'], 'container')}: "
        f"{', '.join(number(*count) for count in asked)}; {'not as it should be' if stopping else 'isolated'}"
    )
