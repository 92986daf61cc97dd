# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits that the engine changes on a running container: swap, and the weight among those who want a processor.

They are set by ``docker update`` and are not in the Compose file: there they would recreate each container that an
earlier version made, its database too. Without a limit of its own a container may swap as much as it has memory.
Runs on the targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..core.steps import Step
from ..docker.containers import is_running, name_of
from ..docker.engine import Engine, EngineError
from .comparison import Comparison
from .containers import Containers
from .service import Service

#: What the engine shows as swap where it cannot limit it, or was told not to.
_UNLIMITED = -1


def to_limit(containers: Containers, services: Iterable[Service], weight: int) -> Iterator[tuple[str, list[str]]]:
    """Containers that lack such limits, each with the options of ``docker update`` that set them.

    ``weight`` is the environment's processor weight; 0 leaves it as it is.
    """
    for service in services:
        # The engine can only limit a running one. One that has failed is not left out of what is waited for.
        for container in filter(is_running, containers.of_service(service)):
            options = missing_limits(container, service, weight)
            if options:
                yield name_of(container), options


def missing_limits(container: dict[str, Any], service: Service, weight: int) -> list[str]:
    """The options of ``docker update`` for what one container of a service lacks."""
    host = container.get("HostConfig") or {}
    memory, swap = host.get("Memory") or 0, host.get("MemorySwap") or 0
    options = []
    if memory and swap not in (memory, _UNLIMITED) and "memswap_limit" not in service.declares:
        options += ["--memory=%d" % memory, "--memory-swap=%d" % memory]
    if weight and host.get("CpuShares") != weight and host and "cpu_shares" not in service.declares:
        options.append("--cpu-shares=%d" % weight)
    return options


def limit_steps(comparison: Comparison) -> list[Step]:
    """What would be limited on containers that stay; those whose limits are put back anyway are left out."""
    mended = comparison.params.get("mend") or {}
    new = {name for service in comparison.changed for name in service.container_names}
    weight = comparison.params.get("cpu_weight", 0)
    return [
        Step("limit", name, "container", detail=", ".join(_words(options)))
        for name, options in to_limit(comparison.containers, comparison.services, weight)
        if name not in new and not (mended.get(name) or {}).get("limits")
    ]


def apply_limits(engine: Engine, wanted: Iterable[tuple[str, list[str]]]) -> None:
    """Set them. Raises EngineError where the engine or the kernel refuses."""
    for name, options in wanted:
        try:
            engine.docker_ok("update", *options, name)
        except EngineError as error:
            if not any(map(is_running, engine.inspect([name]))):  # it has just ended
                continue
            raise EngineError(
                "cannot limit %s (docker update %s). If it needs the swap that it uses now, set memswap_limit of its "
                "service in bulkhead_services, or more memory" % (name, " ".join(options)),
                error.detail,
            ) from error


def _words(options: list[str]) -> Iterator[str]:
    for option in options:
        name, _equals, value = option.partition("=")
        if name == "--memory-swap":
            yield "no swap"
        elif name == "--cpu-shares":
            yield "processor weight %s" % value
