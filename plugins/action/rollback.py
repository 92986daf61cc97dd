# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Returns one environment to a kept release, judged again beside the environments on its machine today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..module_utils.core.masking import mask
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.jobs.engines import engine_of, kept_releases
from ..plugin_utils.release.render import secret_values


class ActionModule(EnvironmentStep):
    """Bring a kept release into force: its image, Compose file, settings, nginx configuration and commit."""

    NOT_ON_SWARM: ClassVar = ""

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the machine for its kept releases, judge the one that is wanted, and converge to it."""
        release = self.release()
        kept = kept_releases(self, self.declaration.values["bulkhead_release"])
        if kept.get("failed"):
            return kept
        target = kept["target"]
        self.live.judge_release(self.session, target["environment"])
        answer = engine_of(self).roll_back(release, target)
        self.session.has_converged(answer)
        masked: dict[str, Any] = mask(answer, secret_values(release))
        if not (masked.get("changed") or masked.get("failed")):
            Display().display(f"{self.declaration.prefix}: {target['release']} is already in force")
        return masked
