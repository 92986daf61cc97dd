# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask Compose what it would replace, and make sure that it only answered. Runs on the targets.

Newer versions of Compose are reported to have replaced containers in a dry run. So those of the project are listed
before and after it. Others' may be replaced at any time by whoever they belong to, and Compose touches its project's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..core.errors import last_lines
from ..docker.containers import name_of
from ..docker.engine import Engine, EngineError

#: How Compose says, in a dry run, that it would replace a container, and that it would leave a running one as it is.
_RECREATE = re.compile(r"Container (\S+)\s+Recreate\s*$", re.MULTILINE)
_RUNNING = re.compile(r"DRY-RUN MODE -\s+Container (\S+)\s+Running\s*\Z")


class DryRunError(EngineError):
    """Compose replaced containers in a dry run. It must not be asked again."""


class Foreseen(NamedTuple):
    """What Compose would do: the containers that it would replace, those that it would leave running, and whether that
    is all."""

    recreated: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    idle: bool = False


def ask(engine: Engine) -> Foreseen:
    """What Compose would do now, for whatever reason. Raises DryRunError if it has replaced containers.

    Without starting them: it would really wait for a service that has to end first and that only seems to run.
    """
    before = _listed(engine)
    code, output, errors = engine.compose("--dry-run", "up", "--no-start", "--no-build", "--quiet-pull")
    after = _listed(engine)
    replaced = sorted({(before.get(found) or after[found]) for found in before.keys() ^ after.keys()})
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


def _listed(engine: Engine) -> dict[str, str]:
    """All containers of the project, running or not: their names by their ids."""
    return {container["Id"]: name_of(container) for container in engine.project_containers()}


def _version(engine: Engine) -> str:
    code, output, _errors = engine.docker("compose", "version", "--short")
    return output.strip() if code == 0 else "unknown"
