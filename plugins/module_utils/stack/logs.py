# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tasks of a service wrote, wherever they run: a manager asks their nodes."""

from __future__ import annotations

from ..core.errors import last_lines
from ..docker.engine import Engine, EngineError


def service_log(engine: Engine, name: str, lines: int, since: str = "") -> list[str]:
    """The last lines of a service, in the order of time, each with its time. Raises EngineError where it has none."""
    bounds = ["--since", since] if since else []
    code, output, errors = engine.docker(
        "service", "logs", "--raw", "--timestamps", "--tail", str(lines), *bounds, name, limit=60
    )
    if code != 0:
        engine.check_reachable(errors)
        raise EngineError("the log of service %s cannot be read" % name, last_lines(errors))
    both = [line.rstrip("\r") for line in (output + "\n" + errors).split("\n") if line]
    return sorted(both, key=lambda line: line.split(" ")[0])[-lines:]
