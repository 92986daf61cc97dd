# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was found: an environment with its containers and the part that each plays, and the stack that comes of them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.docker.labels import SERVICE
from ..isolation.facts.service_kinds import words_of

#: The parts that the default stack knows, with the words by which images and services are recognised.
_PARTS: Mapping[str, frozenset[str]] = {
    "pgbouncer": frozenset({"pgbouncer"}),
    "postgresql": frozenset({"postgres", "postgresql", "postgis", "timescaledb", "pgvector"}),
    "redis": frozenset({"redis", "valkey"}),
    "nginx": frozenset({"nginx"}),
}
#: Where PostgreSQL's own image and Redis's keep their data.
DATA = {"postgresql": "/var/lib/postgresql/data", "redis": "/data"}
#: The volumes of the default stack's services.
VOLUMES = {"postgresql": "pgdata", "redis": "redis_data"}


@dataclass(frozen=True)
class Container:
    """A container of a person's, with its image."""

    seen: Mapping[str, Any]
    image: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name on the machine."""
        return str(self.seen["name"])

    @property
    def service(self) -> str:
        """Its service in the Compose file; its name where no file says one."""
        return str(self.seen["labels"].get(SERVICE) or self.name)

    @property
    def part(self) -> str:
        """The part of the default stack that it plays; ``app`` for everything else."""
        found = words_of(self.service, {"image": self.seen["image"]})
        return next((part for part, words in _PARTS.items() if words & found), "app")

    @property
    def hosts(self) -> set[str]:
        """The names by which others reach it."""
        aliases = {alias for names in self.seen["networks"].values() for alias in names}
        return {self.name, self.service, *aliases}

    @property
    def own_settings(self) -> dict[str, str]:
        """The settings that its image does not have already."""
        given = self.image.get("settings") or {}
        return {name: value for name, value in self.seen["settings"].items() if given.get(name) != value}

    def differs(self, key: str) -> bool:
        """Whether it has another command, entry point, health check or user than its image."""
        return bool(self.seen[key]) and self.seen[key] != (self.image.get(key) or type(self.seen[key])())

    def mounted(self, target: str) -> Mapping[str, Any] | None:
        """The mount at a path, or above it."""
        found = [mount for mount in self.seen["mounts"] if is_below(target, mount["target"])]
        return max(found, key=lambda mount: len(mount["target"]), default=None)

    def on_machine(self, path: str) -> str:
        """The path on the machine of a file in the container; empty where it is on no bind mount."""
        mount = self.mounted(path)
        if mount is None or mount["type"] != "bind":
            return ""
        return posixpath.normpath(posixpath.join(mount["source"], posixpath.relpath(path, mount["target"])))


@dataclass
class Handmade:
    """An environment that a person set up.

    ``environment``, ``project`` and ``group`` are what it is going to be called. ``directory`` is where its Compose
    file runs, ``files`` are the Compose files. ``said`` are sentences about what cannot be reproduced.
    """

    environment: str
    project: str
    group: str
    compose_project: str
    directory: str
    files: tuple[str, ...]
    containers: tuple[Container, ...]
    homes: str = "/srv"
    said: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """Its prefix under Bulkhead."""
        return f"{self.project}_{self.environment}"

    @property
    def home(self) -> str:
        """Its directory under Bulkhead: a new one, so that what is there stays as the way back."""
        return f"{self.homes.rstrip('/')}/{self.project}/{self.environment}"

    def part(self, name: str) -> Container | None:
        """The container that plays a part of the default stack; of several, the first."""
        return next(self.parts(name), None)

    def parts(self, name: str) -> Iterator[Container]:
        """All containers that play a part."""
        return (container for container in self.containers if container.part == name)

    def say(self, sentence: str) -> None:
        """Note what cannot be reproduced, once."""
        if sentence not in self.said:
            self.said.append(sentence)


@dataclass
class FoundStack:
    """The services of an environment under Bulkhead.

    ``adopted`` are volumes to take over: key in the stack, name on the machine. ``copied`` are directories to copy:
    from, to. ``dumped`` says why the database moves as a copy, into a new volume; empty where its own is taken over.
    """

    services: dict[str, Any] = field(default_factory=dict)
    adopted: dict[str, str] = field(default_factory=dict)
    copied: dict[str, str] = field(default_factory=dict)
    dumped: str = ""
    app_service: str = "django"
    app_port: int = 8000
    health_path: str = ""
    backup: str = ""

    @property
    def kept(self) -> dict[str, str]:
        """The volumes that are there now and are taken over; that of a copied database is new."""
        return {key: name for key, name in self.adopted.items() if not (self.dumped and key == VOLUMES["postgresql"])}


def is_below(path: str, directory: str) -> bool:
    """Whether a path is a directory, or lies below it."""
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")
