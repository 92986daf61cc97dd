# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put back by the engine what was changed on a running container by hand and Compose does not see: limits (docker
update) and networks (docker network connect and disconnect). Nothing is restarted. Runs on the targets."""

from __future__ import annotations

from typing import Any

from ..core.steps import Step
from ..docker.containers import labels_of, name_of
from ..docker.engine import Engine
from ..docker.labels import PROJECT


def mending_steps(wanted: dict[str, dict[str, Any]]) -> list[Step]:
    """What would be done."""
    steps = []
    for name, item in sorted(wanted.items()):
        if item.get("limits"):
            steps.append(Step("put back", name, "container", detail="limits"))
        for verb in ("connect", "disconnect"):
            steps += [Step(verb, name, "container", detail=network) for network in sorted(item.get(verb) or ())]
    return steps


def mend(engine: Engine, wanted: dict[str, dict[str, Any]]) -> None:
    """Do it, on containers of this environment's own project only. Raises EngineError."""
    found = engine.inspect(sorted(wanted))
    own = {name_of(container) for container in found if labels_of(container).get(PROJECT) == engine.project}
    for name in sorted(own):
        item = wanted[name]
        if item.get("limits"):
            engine.docker_ok("update", *update_arguments(item["limits"]), name)
        for network, aliases in sorted((item.get("connect") or {}).items()):
            called = [word for alias in aliases for word in ("--alias", alias)]
            if engine.docker("network", "inspect", network)[0] == 0:  # else Compose makes it, and the container anew
                engine.docker_ok("network", "connect", *called, network, name)
        for network in sorted(item.get("disconnect") or ()):
            engine.docker_ok("network", "disconnect", network, name)


def update_arguments(limits: dict[str, Any]) -> list[str]:
    """The options of ``docker update`` that restore limits. It cannot remove a limit of memory or processors."""
    options = ["--pids-limit=%d" % (int(limits["pids"]) or -1), "--restart=%s" % limits["restart"]]
    if limits["memory"]:
        # Twice the memory was the engine's choice, from before swap was limited.
        swap = limits["memory"] if limits["swap"] == 2 * limits["memory"] else limits["swap"]
        options += ["--memory=%d" % limits["memory"], "--memory-swap=%d" % swap]
    if limits["cpus"]:
        options.append("--cpus=%g" % limits["cpus"])
    return options
