# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front door of a node, and a stack behind it. Runs on the targets.

Tasks move without Bulkhead, so the door of a node leads to that node's relay, at sockets whose names stay. The relay,
a task of the stack, finds the tasks behind it. Once the route is there, deployments leave the door alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Mapping
from typing import Any

from ..core import handles
from ..core.steps import Step
from ..docker.engine import Engine
from ..edge import places
from ..edge.door import Door
from ..edge.no_links import make_directory
from ..edge.routes import BACKENDS, DoorError, Route, relay_route
from ..release.front_door import FrontDoor
from ..state.registry import state_directory
from ..swarm.api import SwarmApi

#: Seconds until the relay of a node must listen, once the engine says that its task runs.
_LISTENS = 10.0


def ready(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> list[Step]:
    """Have this node's front door ready for a stack: the directory of the relay's sockets is there. Returns what
    :func:`lead` will do.

    Raises DoorError where there is no door, or it would not take the route.
    """
    door, route = _door(engine, params), _route(params, given)
    for problem in FrontDoor(door, route.prefix).absent():
        raise DoorError(problem)
    steps = door.plan(route)
    if not engine.module.check_mode:
        make_directory(_sockets(door, route.prefix))
    return steps


def lead(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> list[Step]:
    """Have this node's front door lead to the stack. Raises DoorError where the relay does not listen, or the door does
    not take the route."""
    door, route = _door(engine, params), _route(params, given)
    for backend in BACKENDS:
        _require_listener(_sockets(door, route.prefix), getattr(route, backend))
    return door.publish(route)


def leave(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> list[Step]:
    """Have this node's front door know nothing of a stack, and remove the directory of its sockets."""
    door, prefix = _door(engine, params), str(params["prefix"])
    if engine.module.check_mode:
        return [Step("withdraw", prefix, "route")] if door.has(prefix) else []
    steps = door.withdraw(prefix)
    shutil.rmtree(_sockets(door, prefix), ignore_errors=True)
    return steps


def label(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> list[Step]:
    """Give nodes a label, and take it from others: ``nodes`` says by their ids which are to have it. Asked of a
    manager."""
    api = SwarmApi(engine.docker_host)
    steps = []
    for identity, wanted in sorted(given["nodes"].items()):
        node = api.node(identity)
        labels = dict(node["Spec"].get("Labels") or {})
        if (labels.get(given["label"]) == "true") == wanted:
            continue
        labels.pop(given["label"], None)
        if wanted:
            labels[given["label"]] = "true"
        if not engine.module.check_mode:
            api.update_node(identity, int(node["Version"]["Index"]), {**node["Spec"], "Labels": labels})
        name = str(node["Description"]["Hostname"])
        steps.append(Step("label" if wanted else "unlabel", given["label"], "label", detail=name))
    return steps


def _door(engine: Engine, params: Mapping[str, Any]) -> Door:
    return Door(engine, state_directory(params["state_directory"]))


def _route(params: Mapping[str, Any], given: Mapping[str, Any]) -> Route:
    return relay_route(str(params["prefix"]), given["domains"], int(given["connections"]), int(given["rate"]))


def _sockets(door: Door, prefix: str) -> str:
    return os.path.join(places.sockets(door.state), prefix)


def _require_listener(directory: str, name: str) -> None:
    """Raise DoorError unless a process listens at a socket below an environment's directory."""
    deadline = time.monotonic() + _LISTENS
    while True:
        try:
            with handles.folder(os.path.join(directory, os.path.dirname(name))) as folder:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    # A listener that accepts nothing would else keep root waiting for ever.
                    connection.settimeout(_LISTENS)
                    connection.connect("/proc/self/fd/%d/%s" % (folder, os.path.basename(name)))
            return
        except OSError as error:
            if time.monotonic() >= deadline:
                raise DoorError(
                    "nobody listens at %s/%s (%s), so the front door would lead nowhere: the task of the service relay "
                    "on this node has to. docker service ps on a manager says what became of it"
                    % (directory, name, error.strerror or error)
                ) from error
            time.sleep(0.2)
