# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers mount only what lies in their environment's own directory: checked before and after they start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..docker.containers import name_of
from ..docker.engine import EngineError
from ..host.mounts import Mounted, strays
from ..state.home import Home
from .service import Service
from .store import mount_sources


def refuse_links(home: Home, services: Iterable[Service]) -> None:
    """Raise PathError or EngineError where the engine would mount through a link that the owner can exchange."""
    for source in mount_sources(list(services)):
        home.status(source)  # what lies on the way
        if home.is_link(source):
            raise EngineError(
                "%s is a link, and a container would mount what it leads to. Put a directory there" % home.path(source)
            )


def strangers(home: Home, containers: Iterable[dict[str, Any]]) -> tuple[list[str], str]:
    """The names of containers that mount something else than they should, and what."""
    found = strays(map(_mounted, containers), home.directory)
    return sorted(found), "; ".join("in %s %s" % (name, " and ".join(what)) for name, what in sorted(found.items()))


def _mounted(container: dict[str, Any]) -> Mounted:
    binds = (mount for mount in container.get("Mounts") or () if mount.get("Type") == "bind")
    pairs = tuple((str(mount.get("Source")), str(mount.get("Destination"))) for mount in binds)
    return Mounted(name_of(container), (container.get("State") or {}).get("Pid") or 0, pairs)
