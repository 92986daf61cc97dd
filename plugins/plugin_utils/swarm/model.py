# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the inventory says of a swarm and its nodes, and what each machine said of itself. Plain data."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROLES = ("manager", "worker")
AVAILABILITIES = ("active", "pause", "drain")

#: A label that Docker takes in a placement constraint; the engine's own and ours are not to be set by hand.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", re.IGNORECASE)
_OWN_LABELS = ("com.docker.", "io.docker.", "org.dockerproject.", "io.bulkhead.")
_VALUE = re.compile(r"[A-Za-z0-9._/:-]{1,255}")
_NODE_ID = re.compile(r"[a-z0-9]{25}")


@dataclass(frozen=True)
class Wanted:
    """One machine as the inventory wants it."""

    host: str
    role: str
    availability: str = "active"
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SwarmSettings:
    """What holds for the whole swarm. ``lost`` are whole ids of nodes that may be removed; ``autolock`` None: as it is.

    ``key_problem`` says why the key for locked managers could not be kept; ``has_key`` that one was kept before.
    """

    lost: tuple[str, ...] = ()
    autolock: bool | None = None
    key_problem: str = ""
    has_key: bool = False


@dataclass(frozen=True)
class Node:
    """A node as a manager sees it."""

    id: str
    hostname: str
    address: str
    role: str
    availability: str
    labels: Mapping[str, str]
    state: str
    reachable: bool = False
    manager_address: str = ""
    leader: bool = False


@dataclass(frozen=True)
class MachineLook:
    """What one machine said; ``away`` or ``problem`` say why it did not. Times are in seconds.

    ``clock`` is how far it was ahead of the controller, known to within ``clock_within``. ``lost`` is what it could not
    reach of others.
    """

    host: str
    away: str = ""
    problem: str = ""
    engine: str = ""
    engine_id: str = ""
    hostname: str = ""
    live_restore: bool = False
    firewall: str = ""
    state: str = "inactive"
    error: str = ""
    node: str = ""
    node_address: str = ""
    control: bool = False
    cluster: str = ""
    managers: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    is_own: bool = False
    taken: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    refused: str = ""
    locked: bool = False
    clock: float = 0
    clock_within: float = 0

    @classmethod
    def read(cls, host: str, said: Mapping[str, Any], asked: float, answered: float) -> MachineLook:
        """From what module ``swarm`` returned, asked and answered at these times of the controller's clock."""
        known = {name: said[name] for name in cls.__dataclass_fields__ if name in said}
        known |= {
            "host": host,
            "managers": tuple(said["managers"]),
            "addresses": tuple(said["addresses"]),
            "nodes": tuple(Node(**node) for node in said["nodes"]),
            "clock": said["clock"] - (asked + answered) / 2,
            "clock_within": (answered - asked) / 2,
        }
        return cls(**known)

    @property
    def answers(self) -> bool:
        """Whether anything is known of it."""
        return not self.away and not self.problem

    @property
    def is_out(self) -> bool:
        """Whether it is in no swarm."""
        return self.answers and self.state in ("inactive", "")

    @property
    def manages(self) -> bool:
        """Whether it can be asked to change the swarm."""
        return self.answers and self.control and not self.refused and self.state == "active"


def declared(host: str, values: Mapping[str, Any]) -> tuple[Wanted, list[str]]:
    """What the inventory wants of one machine, and what is wrong with that in whole sentences."""
    problems = list(_wrong(host, values))
    labels = values.get("bulkhead_swarm_labels")
    wanted = Wanted(
        host,
        str(values.get("bulkhead_swarm_role") or ""),
        str(values.get("bulkhead_swarm_availability") or "active"),
        str(values.get("bulkhead_swarm_advertise") or ""),
        {str(name): _text(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {},
    )
    return wanted, problems


def lost_problems(lost: Sequence[Any]) -> Iterator[str]:
    """What is wrong with the list of lost nodes."""
    for identity in lost:
        if not isinstance(identity, str) or not _NODE_ID.fullmatch(identity):
            yield (
                f"bulkhead_swarm_lost has {identity!r}: give the node's whole id of 25 characters (docker node ls), "
                "because a name may be another node's too"
            )


def _wrong(host: str, values: Mapping[str, Any]) -> Iterator[str]:
    role = values.get("bulkhead_swarm_role") or ""
    if role not in ROLES:
        yield f"{host}: bulkhead_swarm_role is {role!r}: set it to manager or worker"
    availability = values.get("bulkhead_swarm_availability") or "active"
    if availability not in AVAILABILITIES:
        yield f"{host}: bulkhead_swarm_availability is {availability!r}: use {', '.join(AVAILABILITIES)}"
    address = values.get("bulkhead_swarm_advertise") or ""
    if address and not _is_address(address):
        yield (
            f"{host}: bulkhead_swarm_advertise is {address!r}: give an address of one of the machine's interfaces "
            "that the other nodes reach, such as 10.0.0.5"
        )
    labels = values.get("bulkhead_swarm_labels")
    if labels and not isinstance(labels, Mapping):
        yield f"{host}: bulkhead_swarm_labels is a {type(labels).__name__}: use name: value"
        return
    for name, value in (labels or {}).items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            yield f"{host}: the label {name!r} of bulkhead_swarm_labels needs letters, digits, '.', '_' and '-' only"
        elif name.startswith(_OWN_LABELS):
            yield f"{host}: the label {name} of bulkhead_swarm_labels belongs to the engine or to Bulkhead: rename it"
        elif not _VALUE.fullmatch(_text(value)):
            yield f"{host}: the value of label {name} needs letters, digits and '._/:-' only, and at least one of them"


def _text(value: Any) -> str:
    """A label's value as YAML meant it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _is_address(text: Any) -> bool:
    try:
        found = ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return not (found.is_unspecified or found.is_loopback or found.is_multicast)
