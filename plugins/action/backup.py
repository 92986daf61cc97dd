# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up one environment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..module_utils.core.masking import mask, texts_to_hide
from ..plugin_utils.gate.notify import webhook
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.jobs import backup
from ..plugin_utils.jobs.engines import engine_of
from ..plugin_utils.release.render import secret_values
from ..plugin_utils.secrets.editing import SecretsProblem
from ..plugin_utils.secrets.identity import VARIABLE, backup_identity


class ActionModule(EnvironmentStep):
    """Make a backup, list backups, or install their schedule."""

    OPTIONS: ClassVar = {"job": {"type": "str", "default": "make", "choices": ["make", "list", "schedule"]}}
    #: A backup only reads the environment's own containers, and is needed most when something is wrong.
    JUDGES: ClassVar = False

    NOT_ON_SWARM: ClassVar = ""

    def only_reads(self, given: Mapping[str, Any]) -> bool:
        """A list needs no lock."""
        return bool(given["job"] == "list")

    def ships(self, given: Mapping[str, Any]) -> bool:
        """A schedule runs a command of the inventory."""
        return bool(given["job"] == "schedule")

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do the job and show its result."""
        job, values = given["job"], self.declaration.values
        wanted: dict[str, Any] = {}
        if job == "schedule":
            wanted = backup.schedule_arguments(values, self._common())
            if not wanted and not backup.is_scheduled(self.declaration.prefix, self.session.observation):
                return {"changed": False, "steps": []}
        release = self.release()
        arguments = backup.all_arguments(self.declaration, release)
        if not arguments["parts"] and job == "make":
            raise AnsibleActionFail(
                f"{self.declaration.prefix} has nothing to back up: no service has x-bulkhead.backup (docs/backups.md)"
            )
        given = {"job": job, "backup": arguments, "schedule": wanted if arguments["parts"] else {}}
        given["notify"] = webhook(values) if given["schedule"] else {}
        hidden = secret_values(release)
        if job == "list" and values[VARIABLE]:
            passwords = self._loader._vault.secrets or ()
            try:
                given["identity"] = backup_identity(self.declaration, self.typed(VARIABLE), passwords)
            except SecretsProblem as problem:
                raise AnsibleActionFail(f"{self.declaration.prefix}: {problem}") from None
            hidden = [*hidden, *texts_to_hide([given["identity"]])]
        where = self.module if job == "schedule" else partial(engine_of(self).at_data, release)
        answer: dict[str, Any] = mask(where("backup", given), hidden)
        if answer.get("failed"):
            return answer
        shown = backup.listing(self.declaration.prefix, answer) if job == "list" else []
        if answer.get("backup"):
            shown = [backup.made(self.declaration.prefix, answer["backup"])]
        if shown:
            Display().display("\n".join(shown))
        if job == "make":
            self.live.ending.conclude(self.session, "backup", answer["steps"])
        return answer

    def _common(self) -> dict[str, Any]:
        common = self.common()
        return {key: common[key] for key in ("docker_host", "state_directory")}
