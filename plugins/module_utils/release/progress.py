# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which steps of a plan were begun: a receipt says no more than that. Runs on the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..core.steps import Step
from .service import Service

#: What is done to containers that no service has any more, whatever they are called.
_CLEARING = ("clear up", "remove")


class Progress:
    """The steps that were planned, and those that were ``tried`` so far, in that order. ``keep`` is called with them
    before each begins."""

    def __init__(self, planned: Iterable[Step], keep: Callable[[list[Step]], object] = lambda _tried: None) -> None:
        self.tried: list[Step] = []
        self.keep = keep
        self._planned = list(planned)

    def begin(self, steps: Iterable[Step]) -> None:
        """These begin, as far as they were planned and did not begin before."""
        begun = set(steps)
        fresh = [step for step in self._planned if step in begun]
        if fresh:
            self.tried += fresh
            self.keep(self.tried)
        self._planned = [step for step in self._planned if step not in begun]

    def begin_services(self, services: Iterable[Service]) -> None:
        """What was planned for some services' containers begins."""
        names = {service.container for service in services}
        self.begin([step for step in self._planned if step.target in names and step.verb not in _CLEARING])

    def begin_rest(self) -> None:
        """All that was planned and is not done yet begins."""
        self.begin(self._planned)

    def tell(self, step: Step) -> None:
        """Something was begun that no plan had."""
        self.tried.append(step)
        self.keep(self.tried)

    def stop(self) -> None:
        """Nothing more of the plan is tried: what is done from here on puts things back."""
        self._planned = []
