# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the containers that hold an environment's databases and files. Runs on the targets."""

from __future__ import annotations

import os
from typing import Any

from ..core.handles import require_ours
from ..core.layout import DATABASE
from ..docker.containers import condition, is_running, labels_of
from ..docker.engine import Engine, EngineError
from ..docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, SWARM_SERVICE, swarm_service
from ..state.home import Home
from ..state.registry import state_directory
from .files import ContainerFiles
from .postgresql import PostgreSQLServer


def backup_directory(params: dict[str, Any]) -> str:
    """The directory of an environment's backups: as configured, else below the machine's state directory.

    Raises PathError if another user could exchange it: what is restored from there ends in the database.
    """
    directory: str = params["directory"] or default_directory(params["state_directory"], params["prefix"])
    require_ours(directory)
    return directory


def default_directory(state: str, prefix: str) -> str:
    """The directory of an environment's backups unless bulkhead_backup_directory is set."""
    return os.path.join(state_directory(state), "backups", prefix)


def home_of(params: dict[str, Any]) -> Home:
    """The directory of the environment, with what root keeps of it."""
    return Home(params["home"], params["prefix"], params["state_directory"])


def container_of(engine: Engine, params: dict[str, Any], part: dict[str, Any]) -> dict[str, Any] | None:
    """The container of a part's service, found by labels alone; a running one if there are several."""
    if params.get("swarm"):
        names: tuple[tuple[str, str], ...] = ((SWARM_SERVICE, swarm_service(params["project"], part["key"])),)
    else:
        names = ((PROJECT, params["project"]), (SERVICE, part["key"]))
    containers = engine.containers(*("%s=%s" % pair for pair in ((PREFIX, params["prefix"]), *names)))
    containers = [container for container in containers if labels_of(container).get(ONE_OFF) != "True"]
    containers.sort(key=lambda container: not is_running(container))
    return containers[0] if containers else None


def server_of(engine: Engine, params: dict[str, Any], part: dict[str, Any]) -> PostgreSQLServer:
    """The database server of a part. Raises EngineError unless it is running."""
    container = container_of(engine, params, part)
    if container is None:
        raise EngineError(
            "%s is not deployed here: service %s has no container. Deploy first" % (params["prefix"], part["service"])
        )
    if not is_running(container):
        raise EngineError(
            "the container of service %s is not running (%s): deploy, or start it with aiia.bulkhead.restart"
            % (part["service"], condition(container))
        )
    return PostgreSQLServer(engine, container["Id"], part["admin"], params["timeout"])


def files_of(engine: Engine, params: dict[str, Any], part: dict[str, Any]) -> ContainerFiles | None:
    """The files of a part; None if its service has no container."""
    container = container_of(engine, params, part)
    if container is None:
        return None
    # The image of the database server is known to have a shell.
    databases = [container_of(engine, params, part) for part in params["parts"] if part["kind"] == DATABASE]
    helpers = [database["Image"] for database in databases if database]
    return ContainerFiles(engine, container, part["path"], params["timeout"], (helpers or [""])[0])
