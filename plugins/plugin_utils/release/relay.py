# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies between the front doors of a swarm's nodes and a stack: to which service and ports its relays lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from ..isolation import naming
from .definitions import Definition

#: The first port that a relay may lead to. The one below is the health check's, inside nginx's container.
_FIRST = 8082


def relayed(values: Mapping[str, Any], definitions: Iterable[Definition]) -> dict[str, Any]:
    """The service behind the front doors, as its tasks are found, and its two ports for the PROXY protocol, which are
    others than those for the environment's own containers."""
    extras = ((one.key, one.extra) for one in definitions)  # of any shape: they are judged later
    keys = [key for key, extra in extras if isinstance(extra, Mapping) and extra.get("edge") is True]
    taken = {values["bulkhead_http_port"], values["bulkhead_https_port"]}
    free = (port for port in count(_FIRST) if port not in taken)
    host = naming.swarm_service_name(values["bulkhead_prefix"], keys[0]) if keys else ""
    return {"host": host, "http": next(free), "https": next(free)}
