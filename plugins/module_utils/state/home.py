# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment's directory, and what root keeps of it where the owner cannot write. Runs on the targets."""

from __future__ import annotations

import os
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.layout import IN_FORCE, KEPT
from .registry import state_directory


class Home(Tree):
    """The directory of one environment, whose owner can write it, and ``kept``: what root believes of it.

    ``<state directory>/deployed/<prefix>/`` holds the state that the last deployment left, the releases, and the files
    in force once more: Docker and Compose run as root and read those.
    """

    def __init__(self, directory: str, prefix: str, state: str = "", owner: str = "") -> None:
        super().__init__(directory, owner)
        self.prefix = prefix
        self.state = state_directory(state)
        self.use(os.path.join(self.state, KEPT, prefix))

    @classmethod
    def of(cls, params: dict[str, Any]) -> Home:
        """The home that a module's arguments name."""
        return cls(params["directory"], params["prefix"], params["state_directory"], params.get("owner") or "")

    def use(self, folder: str) -> None:
        """Keep what root believes in this directory."""
        self.kept = Tree(folder, private=True)
        self.in_force = Tree(os.path.join(folder, IN_FORCE), private=True)

    def bring(self, files: list[DesiredFile]) -> None:
        """Let Docker and Compose read these files from now on, and no others."""
        self.in_force.sweep(file.path for file in files)
        known = {file.path for file in files}
        gone = [path for path in self.in_force.walk("") if path not in known]
        self.in_force.install([file for file in files if self.in_force.differs(file)], gone)
