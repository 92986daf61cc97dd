# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has a certificate issued for one environment, and lets its machine renew it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..module_utils.backup.job import CERTIFICATES
from ..plugin_utils.gate.notify import webhook
from ..plugin_utils.gate.session import Note
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.jobs.backup import is_scheduled
from ..plugin_utils.jobs.certificates import certificate_settings, renewal_times


class ActionModule(EnvironmentStep):
    """Ask for a certificate where one is due, and install the schedule of its renewal."""

    OPTIONS: ClassVar = {"job": {"type": "str", "default": "renew", "choices": ["deploy", "renew"]}}
    #: It concerns the environment's own certificate, which is needed most when something is wrong.
    JUDGES: ClassVar = False

    def refuses_swarm(self, given: Mapping[str, Any]) -> str:
        """A deployment of a stack brings its certificate along."""
        return "" if given["job"] == "deploy" else "bring its certificate (bulkhead_tls_certificate_path and _key_path)"

    def ships(self, given: Mapping[str, Any]) -> bool:
        """Of a deployment; a renewal brings nothing new."""
        return bool(given["job"] == "deploy")

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do the job and show its result."""
        deploying, prefix = given["job"] == "deploy", self.declaration.prefix
        wanted = bool(self.declaration.values["bulkhead_acme"])
        if not wanted and not deploying:
            raise AnsibleActionFail(f"{prefix} has no certificate to renew: bulkhead_acme is not set")
        if not wanted and not is_scheduled(prefix, self.session.observation, CERTIFICATES):
            return {"changed": False, "steps": []}
        answer = self.module(
            "certificates",
            {
                "certificates": certificate_settings(self.declaration, self.release()),
                "schedule": renewal_times(self.declaration) if wanted else {},
                "lenient": deploying,
                "notify": webhook(self.declaration.values) if wanted else {},
            },
        )
        if answer.get("failed"):
            return answer
        if answer["told"]:
            self.session.notes.append(Note(answer["told"]))
            Display().warning(f"{prefix}: {answer['told']}")
        if not deploying:
            Display().display(f"{prefix}: {answer['state']}")
            self.live.ending.conclude(self.session, "certificates", answer["steps"])
        return answer
