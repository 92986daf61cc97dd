# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the front door of a machine keeps what, and what its Compose project is called. Runs on the targets."""

from __future__ import annotations

import hashlib
import os

from ..state.registry import SYSTEM_STATE

#: What is kept below the state directory: all of the door's, the routes, what it starts from, and the admin socket.
FOLDER = "edge"
ROUTES, GENERATED, RUN = (os.path.join(FOLDER, name) for name in ("routes", "configuration", "run"))
#: Where the door's container sees these directories.
SOCKETS = "/sockets"
CONFIGURATION = "/config"


def sockets(state: str) -> str:
    """The directory in which each environment has one, named by its prefix, for its sockets."""
    return "/run/bulkhead/edge" if _is_default(state) else os.path.join(state, FOLDER, "sockets")


def routes(state: str) -> str:
    """The directory of the routes, a file for each environment: ``<prefix>.json``."""
    return os.path.join(state, ROUTES)


def configuration(state: str) -> str:
    """The directory that the door starts from: all of it is generated from the settings and the routes."""
    return os.path.join(state, GENERATED)


def run(state: str) -> str:
    """The directory of the admin socket, in which root alone can look."""
    return os.path.join(state, RUN)


def admin_socket(state: str) -> str:
    """The socket by which a running door is asked and told."""
    return os.path.join(run(state), "admin.sock")


def admin_seen_by_door(state: str) -> str:
    """The admin socket in the door's container. The path tells it from another door's: /proc/net/unix lists both."""
    return "/run/%s/admin.sock" % project(state)


def project(state: str) -> str:
    """The door's Compose project: a state directory of its own has a door of its own."""
    if _is_default(state):
        return "bulkhead_edge"
    return "bulkhead_edge_%s" % hashlib.sha256(os.path.abspath(state).encode()).hexdigest()[:8]


def _is_default(state: str) -> bool:
    return os.path.abspath(state) == SYSTEM_STATE
