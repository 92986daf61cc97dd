# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers of a person's as definitions of services: over the default stack where it has the same, else beside it."""

from __future__ import annotations

import re
from typing import Any

from ...module_utils.docker.labels import COMPOSE
from ..isolation.facts.service_kinds import FRONT, words_of
from ..isolation.readers.fingerprints import use_of
from .data import NOT_IN_A_NAME, KeptData
from .model import DATA, Container, FoundStack, Handmade
from .programs import literal, program
from .settings import AppSettings

_URL = re.compile(r"https?://[^/\s\"']+(/[A-Za-z0-9._~/-]*)")


def stack_of(
    own: Handmade, application: Container | None, django: bool, settings: AppSettings, data: KeptData
) -> FoundStack:
    """The services of an environment, beside what it keeps."""
    data.found.app_port = data.found.app_port or _listens(application)
    return _Services(own, settings, data).all(application, django)


class _Services:
    """The services of one environment, while they are put together."""

    def __init__(self, own: Handmade, settings: AppSettings, data: KeptData) -> None:
        self._own = own
        self._settings = settings
        self._data = data
        self._found = data.found

    def all(self, application: Container | None, django: bool) -> FoundStack:
        """Those of the default stack, the application, and what is beside them."""
        own = self._own
        taken: dict[str, Container] = {}
        for part in ("nginx", "pgbouncer", "postgresql", "redis"):
            containers = list(own.parts(part))
            if containers:
                taken[part] = containers[0]
            for container in containers[1:]:
                self._add_beside(container)
        for part in ("nginx", "pgbouncer", "postgresql", "redis"):
            if part not in taken:
                self._found.services[part] = None
            else:
                self._found.services[part] = {"image": taken[part].seen["image"]}
                if part in DATA:
                    self._data.take(part, taken[part])
        if "postgresql" in taken and "pgbouncer" not in taken:
            self._found.services["postgresql"]["x-bulkhead"] = {"env": {"DB_HOST": "postgresql", "DB_PORT": "5432"}}
        if application is None:
            self._found.services["django"] = None
            own.say(f"{own.prefix} has no container of an application: add its service to bulkhead_services.")
        else:
            self._add_application(application, django, "nginx" in taken)
        for container in own.parts("app"):
            if container is not application:
                self._add_beside(container, application)
        return self._found

    def _add_application(self, container: Container, django: bool, behind_nginx: bool) -> None:
        self._found.app_service = "django" if django else _key(container, self._own)
        definition = program(container, self._settings)
        mounts = self._data.mounts(container)
        if django:
            mounts = self._data.share_storage(container, mounts)
        if mounts:
            definition["volumes"] = mounts
        if not behind_nginx:
            definition["ports"] = [
                f"{port['address'] + ':' if port['address'] else ''}{port['published']}:{port['target']}"
                for port in container.seen["ports"]
                if port["published"]
            ]
            if not definition["ports"]:
                del definition["ports"]
        test = list(container.seen["health"])
        asked = _URL.search(" ".join(test))
        self._found.health_path = asked[1] if asked else ""
        if not django:
            depends = self._depends(container)
            definition["expose"] = [str(self._found.app_port)]
            definition["networks"] = {"default": {"aliases": [f"{self._own.prefix}_{self._found.app_service}"]}}
            definition["healthcheck"] = {
                "test": [literal(word) for word in test]
                if test[:1] in (["CMD"], ["CMD-SHELL"])
                else ["CMD-SHELL", f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{self._found.app_port}'"],
                "interval": "15s",
                "start_period": "60s",
                "start_interval": "1s",
            }
            if depends:
                definition["depends_on"] = depends
            if behind_nginx:
                definition["x-bulkhead"] = {"rolling": True}
            self._found.services["django"] = None
        if self._found.backup:
            definition["x-bulkhead"] = {"backup": {"kind": "files", "path": self._found.backup}}
        if definition:
            self._found.services[self._found.app_service] = definition

    def _add_beside(self, container: Container, application: Container | None = None) -> None:
        """A service that the default stack does not have: a worker of the application, or a server of another kind."""
        own = self._own
        if words_of(container.service, {"image": container.seen["image"]}) & FRONT:
            own.say(
                f"{container.name} of {own.prefix} is a web server or proxy other than nginx. It was left out, because "
                "what it routes by (labels, the engine's socket) reaches other environments. Its routes become "
                "bulkhead_domains."
            )
            return
        definition = program(container, self._settings)
        same = application is not None and container.seen["image_id"] == application.seen["image_id"]
        if same:
            if not container.differs("health"):
                definition["healthcheck"] = {"disable": True}  # the image's own asks a web server
        else:
            definition["image"] = container.seen["image"]
            given = {}
            for name, value in sorted(container.own_settings.items()):
                if use_of(name):
                    self._settings.secret[name] = value
                    given[name] = f"${{{name}}}"
                else:
                    given[name] = literal(value)
            if given:
                definition["environment"] = given
        mounts = self._data.mounts(container)
        if mounts:
            definition["volumes"] = mounts
        ports = [port for port in container.seen["ports"] if port["published"]]
        if ports:
            own.say(
                f"{container.name} of {own.prefix} publishes port {ports[0]['published']} of the machine. It was not "
                "taken over: inside of the environment its service's name reaches it. Add `ports` in bulkhead_services "
                "if others need it."
            )
        self._found.services[_key(container, own)] = definition

    def _depends(self, container: Container) -> dict[str, Any]:
        """What the application waits for, as the label of Compose says it, in the names of the stack."""
        own = self._own
        names = {other.service: other.part if other.part != "app" else _key(other, own) for other in own.containers}
        awaited = {}
        for text in str(container.seen["labels"].get(f"{COMPOSE}depends_on") or "").split(","):
            service = text.partition(":")[0]
            if service in names and names[service] != "nginx":
                awaited[names[service]] = {
                    "condition": "service_healthy" if names[service] in DATA else "service_started"
                }
        for part in DATA:
            if self._found.services.get(part):
                awaited.setdefault(part, {"condition": "service_healthy"})
        return dict(sorted(awaited.items()))


def _key(container: Container, own: Handmade) -> str:
    """The name of a service in the stack: without the environment that the Compose file puts behind it."""
    short = re.sub(rf"[_-]{re.escape(own.environment)}\Z", "", container.service)
    return NOT_IN_A_NAME.sub("_", short) or "web"


def _listens(container: Container | None) -> int:
    if container is None:
        return 8000
    targets = [port["target"] for port in container.seen["ports"]]
    return int(next(iter([*targets, *container.seen["exposed"], 8000])))
