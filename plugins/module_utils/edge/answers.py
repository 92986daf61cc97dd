# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where on its machine the front door answers, for requests that ask what is behind it. Runs on the targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import Failure
from .kept import Kept
from .routes import DoorSettings

#: Stands for the addresses at which the machine's front door listens, in a request.
FRONT_DOOR = "front door"

#: Where a door that listens on every address is asked.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def at_the_door(requests: Iterable[Mapping[str, Any]], state: str) -> list[dict[str, Any]]:
    """Requests to addresses: one for the front door becomes one for each address at which the door listens that belongs
    to a state directory, and one for a file the first of them. Where every address of IPv6 is one of them, the machine
    need not have any."""
    found = []
    for request in requests:
        if request.get("address") != FRONT_DOOR:
            found.append(dict(request))
            continue
        listens = _addresses(state)
        for address in listens[:1] if request.get("kind") == "asset" else listens:
            optional = request.get("optional") or address == "::"
            found.append(dict(request, address=_LOOPBACK.get(address, address), optional=optional))
    return found


def _addresses(state: str) -> tuple[str, ...]:
    try:
        return Kept(state).settings().addresses
    except (Failure, OSError):  # there is none, which the requests will show
        return DoorSettings().addresses
