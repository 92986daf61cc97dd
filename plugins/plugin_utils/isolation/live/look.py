# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was seen of one environment and its machine, for a diagnosis, and what a check says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....module_utils.docker.labels import SERVICE
from ..model import Environment, Finding
from .health import own_containers

FAULT, HINT, UNKNOWN = "fault", "hint", "not checked"

#: What a check says: of which kind it is, what it saw, why that matters, and what to type next.
Said = tuple[str, str, str, str]


@dataclass(frozen=True)
class Result:
    """What one check found: a ``fault``, a ``hint``, or that it was ``not checked``. All three texts can be pasted."""

    check: str
    kind: str
    environment: str
    saw: str
    why: str
    next: str


@dataclass(frozen=True)
class Look:
    """All that was seen of one environment. ``now`` is the controller's clock in seconds since 1970."""

    environment: Environment
    observation: Mapping[str, Any]
    watched: Mapping[str, Any]
    examined: Mapping[str, Any]
    now: float
    known: Collection[str] = ()
    findings: Sequence[Finding] = field(default=())

    @property
    def prefix(self) -> str:
        """The environment's prefix."""
        return self.environment.prefix

    @property
    def own(self) -> Mapping[str, Any]:
        """What was examined of this environment."""
        found: Mapping[str, Any] = self.examined.get("environments", {}).get(self.prefix) or {}
        return found

    @property
    def entry(self) -> Mapping[str, Any]:
        """The environment's registry entry."""
        found: Mapping[str, Any] = self.observation["registry"].get(self.prefix) or {}
        return found

    def containers(self, *kinds: str) -> list[Mapping[str, Any]]:
        """The environment's containers whose service is of one of these kinds."""
        return [each for each in own_containers(self.environment, self.observation) if _kind(each) in kinds]

    def signs(self, *kinds: str) -> dict[str, int]:
        """The signs of trouble in the logs of its containers, of these kinds or of all."""
        found: dict[str, int] = {}
        names = {each["name"] for each in (self.containers(*kinds) if kinds else ())}
        for name, counts in (self.own.get("logs") or {}).items():
            for sign, count in counts.items() if not kinds or name in names else ():
                found[sign] = found.get(sign, 0) + count
        return found


_KINDS = ("postgresql", "pgbouncer", "redis", "nginx")


def _kind(container: Mapping[str, Any]) -> str:
    """What a container is by the key of its service; ``application`` where it is none of the servers."""
    key = str(container["labels"].get(SERVICE, ""))
    if re.search(r"worker|celery|beat|rq|queue", key):
        return "worker"
    aliases = {"postgres": "postgresql", "db": "postgresql"}
    word = key.split("_", maxsplit=1)[0]
    return aliases.get(word, word) if aliases.get(word, word) in _KINDS else "application"


Check = Callable[[Look], Iterator[Said]]
