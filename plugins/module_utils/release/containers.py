# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The containers of one environment's project, as one look found them. Runs on the targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..docker.containers import condition, labels_of, name_of
from ..docker.engine import Engine
from ..docker.labels import ONE_OFF, SERVICE
from .service import Service


@dataclass(frozen=True)
class Containers:
    """Inspected containers, one-off ones included."""

    found: tuple[dict[str, Any], ...]

    @classmethod
    def look(cls, engine: Engine) -> Containers:
        """The project's containers now."""
        return cls(tuple(engine.project_containers()))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def restarts(self) -> dict[str, int]:
        """How often each container was restarted, by its id. One that was never started is as good as none."""
        ran = [container for container in self.found if not condition(container).startswith("created")]
        return {container["Id"]: container.get("RestartCount", 0) for container in ran}

    def of_service(self, service: Service) -> list[dict[str, Any]]:
        """The containers of a service, without one-off ones."""
        return [
            container
            for container in self.found
            if labels_of(container).get(SERVICE) == service.key and labels_of(container).get(ONE_OFF) != "True"
        ]

    def named(self, name: str) -> dict[str, Any] | None:
        """The container of a name, one-off ones included."""
        return next((container for container in self.found if name_of(container) == name), None)

    def moves(self, service: Service) -> bool:
        """Whether a service that is replaced without a gap changes the port that nginx sends requests to."""
        wanted = {_port(port) for port in service.expose}
        exposed = [(container.get("Config") or {}).get("ExposedPorts") for container in self.of_service(service)]
        return service.rolling and any(wanted - set(map(_port, ports or wanted)) for ports in exposed)


def _port(text: str) -> str:
    """A port as the engine writes it; Compose leaves the protocol out."""
    return text if "/" in text else "%s/tcp" % text
