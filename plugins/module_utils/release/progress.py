# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which steps of a plan were begun: a receipt says no more than that. Runs on the targets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Progress:
    """A plan, one line for each step, and what of it was ``tried`` so far, in that order."""

    def __init__(self, planned: list[str]) -> None:
        self.tried: list[str] = []
        self._planned = list(planned)

    def begin(self, steps: Iterable[str]) -> None:
        """These begin, as far as they were planned and did not begin before."""
        begun = set(steps)
        self.tried += [step for step in self._planned if step in begun]
        self._planned = [step for step in self._planned if step not in begun]

    def begin_services(self, services: Iterable[dict[str, Any]]) -> None:
        """What was planned for some services' containers begins."""
        names = {service["container"] for service in services}
        self.begin([step for step in self._planned if names & set(step.replace(":", " ").split())])

    def begin_rest(self) -> None:
        """All that was planned and is not done yet begins."""
        self.begin(self._planned)

    def tell(self, step: str) -> None:
        """Something was begun that no plan had."""
        self.tried.append(step)

    def stop(self) -> None:
        """Nothing more of the plan is tried: what is done from here on puts things back."""
        self._planned = []
