# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask Compose what it would replace, and make sure that it only answered. Runs on the targets.

Newer versions of Compose are reported to have replaced containers in a dry run. So the containers of the whole engine
are listed before and after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.errors import last_lines
from ..docker.engine import Engine, EngineError
from ..docker.labels import PREFIX, PROJECT
from ..state.locks import Locks
from ..state.registry import state_directory

#: How Compose says, in a dry run, that it would replace a container, and that it would leave a running one as it is.
_RECREATE = re.compile(r"Container (\S+)\s+Recreate\s*$", re.MULTILINE)
_RUNNING = re.compile(r"DRY-RUN MODE -\s+Container (\S+)\s+Running\s*\Z")

_FORMAT = "\t".join(("{{.ID}}", "{{.Names}}", '{{.Label "%s"}}' % PROJECT, '{{.Label "%s"}}' % PREFIX))


class DryRunError(EngineError):
    """Compose replaced containers in a dry run. It must not be asked again."""


class Foreseen(NamedTuple):
    """What Compose would do: the containers that it would replace, those that it would leave running, and whether that
    is all."""

    recreated: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    idle: bool = False


class ListedContainer(NamedTuple):
    """A container as the engine lists it."""

    name: str
    project: str
    prefix: str


def ask(engine: Engine, params: Mapping[str, Any]) -> Foreseen:
    """What Compose would do now, for whatever reason. Raises DryRunError if it has replaced containers.

    Without starting them: it would really wait for a service that has to end first and that only seems to run.
    """
    before = _listed(engine)
    code, output, errors = engine.compose("--dry-run", "up", "--no-start", "--no-build", "--quiet-pull")
    replaced = _replaced(before, _listed(engine), engine.project, params)
    if replaced:
        raise DryRunError(
            "docker compose --dry-run, which must not change anything, has replaced containers for real: %s. Install "
            "another version of Docker Compose on this machine; it has %s" % (", ".join(replaced), _version(engine))
        )
    if code != 0:
        engine.check_reachable(errors)
        raise EngineError("Compose cannot say what it would do", last_lines(errors or output, 6))
    return _foreseen("%s\n%s" % (output, errors))


def _foreseen(said: str) -> Foreseen:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    left = [found.group(1) for found in map(_RUNNING.match, lines) if found]
    return Foreseen(frozenset(_RECREATE.findall(said)), frozenset(left), len(left) == len(lines))


def _listed(engine: Engine) -> dict[str, ListedContainer]:
    """All containers of the engine, running or not, by id."""
    lines = engine.docker_ok("ps", "--all", "--no-trunc", "--format", _FORMAT).splitlines()
    rows = [line.split("\t") for line in lines]
    return {row[0]: ListedContainer(*row[1:4]) for row in rows if len(row) == 4}


def _replaced(
    before: dict[str, ListedContainer], after: dict[str, ListedContainer], project: str, params: Mapping[str, Any]
) -> list[str]:
    """The names of containers that were replaced in between.

    Of the own project every difference counts. Elsewhere others may start and remove containers at any time, so only a
    name that changed hands counts, and not that of an environment that is being deployed just now.
    """
    gone = {identifier: before[identifier] for identifier in before if identifier not in after}
    new = {identifier: after[identifier] for identifier in after if identifier not in before}
    own = {listed.name for listed in [*gone.values(), *new.values()] if listed.project == project}
    taken = {listed.name for listed in new.values()}
    others = [listed for listed in gone.values() if listed.project != project and listed.name in taken]
    held = Locks(state_directory(params.get("state_directory", ""))).held() if others else {}
    return sorted(own | {listed.name for listed in others if listed.prefix not in held})


def _version(engine: Engine) -> str:
    code, output, _errors = engine.docker("compose", "version", "--short")
    return output.strip() if code == 0 else "unknown"
