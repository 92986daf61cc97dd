# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of a machine environments may take, and how much of it is reserved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ReaderError
from ..model import Environment
from ..readers.compose.short_forms import parse_size
from .service_kinds import replicas_of

GIB = 1 << 30


def size(value: Any) -> int:
    """The bytes in a size such as ``512M``; 0 for none, or one that cannot be read."""
    try:
        return max(0, parse_size(value)) if value else 0
    except ReaderError:
        return 0


def memory_limit(service: Mapping[str, Any]) -> int:
    """The most memory that one container of a service may take, in bytes; 0 without a limit."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    return size(limits.get("memory") or service.get("mem_limit"))


def cpu_limit(service: Mapping[str, Any]) -> float:
    """The most processors that one container of a service may take; 0 without a limit."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    try:
        return max(0.0, float(limits.get("cpus") or service.get("cpus") or 0))
    except (TypeError, ValueError):
        return 0.0


def most_memory(environment: Environment) -> int:
    """What the limits of an environment's services add up to, in bytes. A service without one counts nothing."""
    return sum(memory_limit(service) * replicas_of(service) for _project, _name, service in environment.services())


def reserved(environment: Environment) -> dict[str, int]:
    """The bytes of ``memory`` and ``disk`` that are reserved for a protected environment, where any are."""
    return dict(_reserved(environment)) if environment.protected else {}


def _reserved(environment: Environment) -> Iterator[tuple[str, int]]:
    for what in ("memory", "disk"):
        found = size(environment.variables.get(f"bulkhead_reserved_{what}"))
        if found:
            yield what, found


def gibibytes(number: int) -> str:
    """Bytes for people: ``1.5 GiB``."""
    return f"{number / GIB:.1f} GiB" if number >= GIB else f"{number >> 20} MiB"
