# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The containers of an environment that hold what is backed up. Runs on the targets."""

from __future__ import annotations

import os
from typing import Any

from ..core.layout import DATABASE
from ..docker.containers import condition, is_running, labels_of
from ..docker.engine import Engine, EngineError
from ..docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE
from ..state.registry import state_directory
from .files import Files
from .postgresql import Server


def backup_directory(params: dict[str, Any]) -> str:
    """Where an environment keeps its backups: as asked, else below the machine's state directory."""
    return params["directory"] or default_directory(params["state_directory"], params["prefix"])


def default_directory(state: str, prefix: str) -> str:
    """Where backups are kept that nobody wanted elsewhere."""
    return os.path.join(state_directory(state), "backups", prefix)


def container_of(engine: Engine, params: dict[str, Any], part: dict[str, Any]) -> dict[str, Any] | None:
    """The container of a service, found by its labels alone: a running one, if there is one."""
    found = engine.containers(
        "%s=%s" % (PREFIX, params["prefix"]), "%s=%s" % (PROJECT, params["project"]), "%s=%s" % (SERVICE, part["key"])
    )
    found = [each for each in found if labels_of(each).get(ONE_OFF) != "True"]
    found.sort(key=lambda each: not is_running(each))
    return found[0] if found else None


def server_of(engine: Engine, params: dict[str, Any], part: dict[str, Any]) -> Server:
    """The database server of a part. Raises EngineError where it does not run."""
    container = container_of(engine, params, part)
    if container is None:
        raise EngineError(
            "%s is not deployed here: service %s has no container. Deploy first" % (params["prefix"], part["service"])
        )
    if not is_running(container):
        raise EngineError(
            "the container of service %s does not run (%s): deploy, or start it with aiia.bulkhead.restart"
            % (part["service"], condition(container))
        )
    return Server(engine, container["Id"], part["admin"], params["timeout"])


def files_of(engine: Engine, params: dict[str, Any], part: dict[str, Any]) -> Files | None:
    """The files of a part; None where its service has no container."""
    container = container_of(engine, params, part)
    if container is None:
        return None
    # The database's image has a shell for sure: it was made with one.
    databases = [container_of(engine, params, part) for part in params["parts"] if part["kind"] == DATABASE]
    helpers = [database["Image"] for database in databases if database]
    return Files(engine, container, part["path"], params["timeout"], (helpers or [""])[0])
