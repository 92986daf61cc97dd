# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renders one environment and brings it into force, once the fleet is proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..module_utils.core.masking import mask
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.jobs.engines import engine_of
from ..plugin_utils.release.render import secret_values


class ActionModule(EnvironmentStep):
    """Render the whole tree of an environment and ship it."""

    NOT_ON_SWARM: ClassVar = ""

    def ships(self, given: Mapping[str, Any]) -> bool:
        """Always."""
        return True

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Render, have the environment's engine converge, and mask secrets in its answer."""
        commit = self.session.commit
        values = self.declaration.values
        if (values["bulkhead_source_repository"] or values["bulkhead_image"]) and not commit:
            raise AnsibleActionFail(
                f"{self.declaration.prefix}: the step before, which fetches the commit or image, did not run. Run "
                "the whole deployment: ansible-playbook deploy.yml -l <environment>"
            )
        release = self.release(commit)
        answer = engine_of(self).converge(release, commit)
        self.session.has_converged(answer)
        masked: dict[str, Any] = mask(answer, secret_values(release))
        return masked
