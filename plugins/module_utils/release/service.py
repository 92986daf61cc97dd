# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service: what a deployment must know of it beside its Compose definition.

The controller builds it, the machine reads it, and a release's manifest keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class DeclaredService:
    """What the declaration says of a service."""

    #: Its name in ``bulkhead_services``.
    name: str
    #: Its key in the Compose file.
    key: str
    #: The name of its container, or what the names of several begin with.
    container: str
    image: str = ""
    #: The command that judges its files before they are in force.
    validate: tuple[str, ...] = ()
    #: The command that makes a running container take changed files; without one it is recreated.
    on_change: tuple[str, ...] = ()
    #: The command that ends what only earlier containers used; what its files lost is its standard input.
    retire: tuple[str, ...] = ()
    #: Whether it is replaced without a gap, by way of a stand-in.
    rolling: bool = False
    #: How many containers it has.
    replicas: int = 1
    #: The commands that run once for each image before it gets requests.
    prepare: tuple[tuple[str, ...], ...] = ()
    #: The command that says how things stand when one of those failed.
    prepare_status: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service(DeclaredService):
    """A service on its machine."""

    #: The files that it mounts, below the environment's directory.
    files: tuple[str, ...] = ()
    #: Those of them that it reads only when it starts, although it has a command for the others.
    start_files: tuple[str, ...] = ()
    #: Those that hold the earlier lines too until every container has the new ones.
    overlaps: tuple[str, ...] = ()
    #: Its mounts from the environment's directory, as ``./source:target``.
    mounts: tuple[str, ...] = ()
    #: The files of settings that it reads when it starts.
    env_files: tuple[str, ...] = ()
    #: The ports on which it gets requests.
    expose: tuple[str, ...] = ()
    #: Whether the engine can start its containers: Compose puts nothing into them, and runs nothing in them, then.
    bare: bool = False
    #: Whether it does its work once and ends.
    one_shot: bool = False
    #: Whether others wait for it, and it does not wait for the application.
    awaited: bool = False
    #: Whether it runs the application, or waits for what does.
    needs_application: bool = False
    #: Whether others miss it while it is recreated.
    steady: bool = False
    #: The keys among ``memswap_limit`` and ``cpu_shares`` that its definition has itself.
    declares: tuple[str, ...] = ()
    #: The digest of its definition.
    input: str = ""
    #: What stands for its release in the Compose file.
    release: str = ""
    #: The domains for which the machine's front door sends it requests; none where it is not behind that.
    domains: tuple[str, ...] = ()
    #: How many connections at once, and new ones a second, the front door passes on.
    connections: int = 0
    rate: int = 0
    #: The directory on the machine that has its sockets for the front door.
    sockets: str = ""
    #: The name of the container that serves while it is replaced.
    stand_in: str = ""
    #: The name of the container that prepares it.
    preparing: str = ""

    @property
    def container_names(self) -> list[str]:
        """The names of its containers; of several, Compose's own."""
        if self.replicas == 1:
            return [self.container]
        return ["%s-%d" % (self.container, number + 1) for number in range(self.replicas)]

    def as_dict(self) -> dict[str, Any]:
        """What travels to the machine and is kept."""
        return {field.name: _lists(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Service:
        """A service as it travelled or was kept; what an older version did not keep has its default."""
        return cls(**{field.name: _tuples(given[field.name]) for field in fields(cls) if field.name in given})


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value
