# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches the commit of one environment and builds its image, once the fleet is proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.jobs.engines import engine_of


class ActionModule(EnvironmentStep):
    """Bring the image that the inventory declares."""

    NOT_ON_SWARM: ClassVar = ""

    def ships(self, given: Mapping[str, Any]) -> bool:
        """Always."""
        return True

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Have the image built or fetched where the environment needs it."""
        return engine_of(self).bring_image()
