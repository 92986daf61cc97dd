# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What jobs ask of the engine on which an environment runs: Compose on one machine, or a swarm.

An action asks :func:`.engines.engine_of` once which of both it is, and knows no difference afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..gate.step import EnvironmentStep
from ..release.render import Release
from ..release.stack import StackService


@dataclass(frozen=True)
class CommandPlace:
    """Where a command runs: a container on a host of the environment, and the variables by which that is reached."""

    host: str
    container: str
    variables: Mapping[str, Any]


class EnvironmentEngine(ABC):
    """The engine of one environment, for one ``step``. What a method returns is the answer of a module, with ``failed``
    where that failed."""

    #: Where the environment is, in words.
    PLACE: ClassVar[str]

    #: The variables by which a destruction also removes what it otherwise keeps.
    ALSO_DESTROYS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, step: EnvironmentStep) -> None:
        self.step = step

    # The steps of a deployment.

    @abstractmethod
    def bring_image(self) -> dict[str, Any]:
        """Build the application's image, or fetch it, and have it wherever the environment may need it."""

    @abstractmethod
    def converge(self, release: Release, commit: str) -> dict[str, Any]:
        """Bring a rendered release into force."""

    @abstractmethod
    def roll_back(self, release: Release, target: Mapping[str, Any]) -> dict[str, Any]:
        """Bring a kept release into force again; ``release`` is what the inventory declares now."""

    # The data.

    @abstractmethod
    def at_data(self, release: Release, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a module where the environment's volumes are."""

    @abstractmethod
    def forget_prepared(self) -> list[str]:
        """Have the next deployment prepare again what was prepared for the data that a restore is about to replace.

        Returns what a person has to do afterwards.
        """

    # The services.

    @abstractmethod
    def services(self, release: Release, services: Sequence[StackService]) -> tuple[dict[str, Any], str]:
        """List services. Returns the answer, and what it says on the screen."""

    @abstractmethod
    def logs(self, release: Release, services: Sequence[StackService], **bounds: Any) -> dict[str, Any]:
        """The last ``lines`` of the logs of services, ``since`` a time."""

    @abstractmethod
    def restart(self, release: Release, services: Sequence[StackService]) -> dict[str, Any]:
        """Restart services, each after those that it depends on."""

    @abstractmethod
    def terminal_place(self, release: Release, service: StackService) -> CommandPlace:
        """Where a person opens a terminal in a service. Raises AnsibleActionFail where it has no container."""

    @abstractmethod
    def command_place(self, service: StackService) -> CommandPlace:
        """Where a command in a service runs. Raises AnsibleActionFail where that is known to be nowhere."""

    @abstractmethod
    def execute(
        self, release: Release, place: CommandPlace, service: StackService, job: str, **given: Any
    ) -> dict[str, Any]:
        """Run a ``command`` in a service, with what is ``sent`` to it."""

    # The end.

    @abstractmethod
    def own(self) -> dict[str, Any]:
        """What is the environment's own: what ``goes`` with a destruction, what ``stays``, and what is ``left``."""

    @abstractmethod
    def destroy(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Remove exactly what :meth:`own` found."""
