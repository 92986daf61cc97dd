# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changes while a release is brought into force; what was seen before is in the comparison."""

from __future__ import annotations

from .comparison import Comparison
from .containers import Containers


class Run:
    """One run: the containers as they are now, and what was fetched and prepared."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.engine = comparison.engine
        self.tree = comparison.tree
        self.params = comparison.params
        self.containers = comparison.containers
        #: The restarts of the containers that were there when this run began, or began to go back.
        self.before = self.containers.restarts()
        #: The ids of images by name.
        self.images = dict(comparison.images)
        #: What services were prepared for, by this run too.
        self.prepared: dict[str, str] = dict(comparison.state.get("prepared", {}))

    def refresh(self) -> None:
        """Look at the project's containers again."""
        self.containers = Containers.look(self.engine)
