# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports the demo takes: the guide's, or where one of them is taken, the same ones further up."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Container, Iterable

import belongings
from demo_secrets import front_door
from demo_summary import published
from steps import REPOSITORY, StepFailed

sys.path.insert(0, str(REPOSITORY / "tests"))

import checkout

checkout.install()

from ansible_collections.aiia.bulkhead.plugins.module_utils.core.addresses import overlap  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.sockets import listening, process_of  # noqa: E402

VARIABLE = "BULKHEAD_DEMO_PORT_OFFSET"
OFFSETS = (0, 10000, 20000, 30000)


def wanted(behind: bool) -> tuple[int, ...]:
    """The demo's ports without an offset."""
    return (80, 443) if behind else (80, 443, 8080, 8443)


def chosen(
    ports: Iterable[int], taken: Callable[[int], str], own: Container[int] = frozenset()
) -> tuple[int, list[str]]:
    """The offset that the demo has already, else the first at which every port is free, and who has those of the ones
    before. ``own`` are the demo's ports. Raises StepFailed."""
    ports = tuple(ports)
    reasons: list[str] = []
    for offset in sorted(OFFSETS, key=lambda offset: not all(port + offset in own for port in ports)):
        holders = [f"port {port + offset} is taken by {by}" for port in ports if (by := taken(port + offset))]
        if not holders:
            return offset, reasons
        reasons += holders
    raise StepFailed(f"The demo finds no ports: {'; '.join(reasons)}. Name others with {VARIABLE}.")


def holder(port: int) -> str:
    """Who else listens on a port of the demo's address; empty where nobody does."""
    address = os.environ.get("BULKHEAD_DEMO_ADDRESS") or "127.0.0.1"
    for other, number, inode in listening():
        if number == port and overlap(other, address):
            return process_of(inode) or "a process of another user"
    return ""


def own() -> set[int]:
    """The ports that the demo has already."""
    ports = {
        port for one in belongings.find() for item in one.containers for _address, port, _inside in published(item)
    }
    door = belongings.door_settings() if any(one["State"]["Running"] for one in belongings.door()) else {}
    return ports | {door[name] for name in ("http_port", "https_port") if name in door}


def choose() -> None:
    """Set the offset for what runs from here on, unless a person has; say who has the guide's ports."""
    if os.environ.get(VARIABLE):
        return
    has = own()
    offset, reasons = chosen(wanted(front_door()), lambda port: "" if port in has else holder(port), has)
    for reason in reasons:
        print(f"    {reason}", flush=True)
    if offset:
        print(f"    so the demo's ports are {offset} higher; {VARIABLE} chooses others", flush=True)
        os.environ[VARIABLE] = str(offset)
