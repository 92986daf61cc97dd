# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers of a person's as definitions of services: over the default stack where it has the same, else beside it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.docker.labels import COMPOSE
from ..isolation.facts.service_kinds import FRONT, words_of
from ..isolation.readers.fingerprints import use_of
from .model import DATA, VOLUMES, Container, Handmade, is_below
from .programs import literal, program
from .settings import AppSettings

_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_URL = re.compile(r"https?://[^/\s\"']+(/[A-Za-z0-9._~/-]*)")
#: The engine's own name for a volume that nobody named.
_ANONYMOUS = re.compile(r"[0-9a-f]{64}\Z")


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


def stack_of(
    own: Handmade,
    application: Container | None,
    django: bool,
    volumes: Mapping[str, Mapping[str, Any]],
    claimed: Mapping[str, str],
    settings: AppSettings,
    port: int,
) -> FoundStack:
    """The services of an environment. ``volumes`` are those of the machine by name; ``claimed`` says which other
    environment mounts one as well."""
    found = FoundStack(app_port=port or _listens(application))
    taken: dict[str, Container] = {}
    for part in ("nginx", "pgbouncer", "postgresql", "redis"):
        containers = list(own.parts(part))
        if containers:
            taken[part] = containers[0]
        for container in containers[1:]:
            _other(found, own, container, volumes, claimed, settings)
    for part in ("nginx", "pgbouncer", "postgresql", "redis"):
        if part not in taken:
            found.services[part] = None
        else:
            found.services[part] = {"image": taken[part].seen["image"]}
            if part in DATA:
                _data(found, own, part, taken[part], volumes, claimed)
    if "postgresql" in taken and "pgbouncer" not in taken:
        found.services["postgresql"]["x-bulkhead"] = {"env": {"DB_HOST": "postgresql", "DB_PORT": "5432"}}
    if application is None:
        found.services["django"] = None
        own.say(f"{own.prefix} has no container of an application: add its service to bulkhead_services.")
    else:
        _application(found, own, application, django, volumes, claimed, settings, "nginx" in taken)
    for container in own.parts("app"):
        if container is not application:
            _other(found, own, container, volumes, claimed, settings, application)
    return found


def _application(
    found: FoundStack,
    own: Handmade,
    container: Container,
    django: bool,
    volumes: Mapping[str, Mapping[str, Any]],
    claimed: Mapping[str, str],
    settings: AppSettings,
    behind_nginx: bool,
) -> None:
    found.app_service = "django" if django else _key(container, own)
    definition = program(container, settings)
    mounts = _mounts(found, own, container, volumes, claimed)
    if django:
        mounts = _storage(found, own, container, mounts)
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
    found.health_path = asked[1] if asked else ""
    if not django:
        depends = _depends(container, found, own)
        definition["expose"] = [str(found.app_port)]
        definition["networks"] = {"default": {"aliases": [f"{own.prefix}_{found.app_service}"]}}
        definition["healthcheck"] = {
            "test": [literal(word) for word in test]
            if test[:1] in (["CMD"], ["CMD-SHELL"])
            else ["CMD-SHELL", f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{found.app_port}'"],
            "interval": "15s",
            "start_period": "60s",
            "start_interval": "1s",
        }
        if depends:
            definition["depends_on"] = depends
        if behind_nginx:
            definition["x-bulkhead"] = {"rolling": True}
        found.services["django"] = None
    if found.backup:
        definition["x-bulkhead"] = {"backup": {"kind": "files", "path": found.backup}}
    if definition:
        found.services[found.app_service] = definition


def _storage(found: FoundStack, own: Handmade, container: Container, mounts: list[str]) -> list[str]:
    """The mounts of the application, where the volume that nginx serves from is called ``storage``, as in the default
    stack. Its parts ``static`` and ``media`` are expected there."""
    nginx = own.part("nginx")
    served = {mount["source"] for mount in nginx.seen["mounts"] if mount["type"] == "volume"} if nginx else set()
    both = [mount for mount in container.seen["mounts"] if mount["type"] == "volume" and mount["source"] in served]
    key = next((key for mount in both for key, name in found.adopted.items() if name == mount["source"]), "")
    if not key:
        if nginx and mounts:
            own.say(
                f"{container.name} and nginx of {own.prefix} share no volume, and Bulkhead's nginx serves /static/ and "
                "/media/ from the volume storage: mount it in both (bulkhead_services), with static and media in it."
            )
        return mounts
    found.adopted = {"storage" if name == key else name: volume for name, volume in found.adopted.items()}
    if both[0]["target"] != "/srv/storage":
        own.say(
            f"{container.name} of {own.prefix} has its files at {both[0]['target']}. Backups take all of it; nginx "
            "serves static and media below it."
        )
        found.backup = both[0]["target"]
    return [mount.replace(f"{key}:", "storage:", 1) if mount.startswith(f"{key}:") else mount for mount in mounts]


def _other(
    found: FoundStack,
    own: Handmade,
    container: Container,
    volumes: Mapping[str, Mapping[str, Any]],
    claimed: Mapping[str, str],
    settings: AppSettings,
    application: Container | None = None,
) -> None:
    """A service that the default stack does not have: a worker of the application, or a server of another kind."""
    if words_of(container.service, {"image": container.seen["image"]}) & FRONT:
        own.say(
            f"{container.name} of {own.prefix} is a web server or proxy other than nginx. It was left out, because "
            "what it routes by (labels, the engine's socket) reaches other environments. Its routes become "
            "bulkhead_domains."
        )
        return
    definition = program(container, settings)
    same = application is not None and container.seen["image_id"] == application.seen["image_id"]
    if same:
        if not container.differs("health"):
            definition["healthcheck"] = {"disable": True}  # the image's own asks a web server
    else:
        definition["image"] = container.seen["image"]
        given = {}
        for name, value in sorted(container.own_settings.items()):
            if use_of(name):
                settings.secret[name] = value
                given[name] = f"${{{name}}}"
            else:
                given[name] = literal(value)
        if given:
            definition["environment"] = given
    mounts = _mounts(found, own, container, volumes, claimed)
    if mounts:
        definition["volumes"] = mounts
    ports = [port for port in container.seen["ports"] if port["published"]]
    if ports:
        own.say(
            f"{container.name} of {own.prefix} publishes port {ports[0]['published']} of the machine. It was not taken "
            "over: inside of the environment its service's name reaches it. Add `ports` in bulkhead_services if "
            "others need it."
        )
    found.services[_key(container, own)] = definition


def _data(
    found: FoundStack,
    own: Handmade,
    part: str,
    container: Container,
    volumes: Mapping[str, Mapping[str, Any]],
    claimed: Mapping[str, str],
) -> None:
    """Take over the volume of a server of the default stack, or say why its data has to move otherwise."""
    mount = container.mounted(DATA[part])
    held = volumes.get(mount["source"], {}).get("holds", {}) if mount else {}
    why = ""
    if mount is None:
        why = f"keeps its data in no volume at {DATA[part]}"
    elif mount["type"] != "volume":
        why = f"keeps its data in the directory {mount['source']}"
    elif mount["target"] != DATA[part] or held.get("below"):
        why = f"keeps its data below {mount['target']}, elsewhere than the default stack's server looks for it"
    elif mount["source"] in claimed:
        why = f"has its data in the volume {mount['source']}, which {claimed[mount['source']]} mounts as well"
    elif volumes.get(mount["source"], {}).get("options"):
        why = f"has its data in the volume {mount['source']}, which is a share or a directory of the machine"
    elif part == "postgresql" and _entry(container) != container.image.get("entrypoint", []):
        why = "starts by another entry point than its image's"
    if not why and mount:
        found.adopted[VOLUMES[part]] = mount["source"]
    elif part == "postgresql":
        found.dumped = f"{container.name} {why}"
        found.adopted[VOLUMES[part]] = f"{own.prefix}_pgdata_moved"
    else:
        own.say(
            f"{container.name} of {own.prefix} {why}: what it holds is not taken over, and starts empty. If it is more "
            "than a cache, copy it before (redis-cli --rdb) and ask it back."
        )


def _entry(container: Container) -> Any:
    return container.seen["entrypoint"] or container.image.get("entrypoint", [])


def _mounts(
    found: FoundStack,
    own: Handmade,
    container: Container,
    volumes: Mapping[str, Mapping[str, Any]],
    claimed: Mapping[str, str],
) -> list[str]:
    """The mounts of a service: volumes are taken over, directories beside the Compose file are copied."""
    mounts = []
    for mount in sorted(container.seen["mounts"], key=lambda mount: str(mount["target"])):
        source, target, mode = mount["source"], mount["target"], "" if mount["writable"] else ":ro"
        if mount["type"] == "volume" and source in claimed:
            own.say(
                f"The volume {source} of {own.prefix} is mounted by {claimed[source]} as well, so neither can have it "
                f"for its own and it was taken over by none. Copy what {own.prefix} needs into a volume of its own "
                "after it has moved."
            )
        elif mount["type"] == "volume" and _ANONYMOUS.match(source):
            own.say(
                f"{container.name} of {own.prefix} has a volume without a name at {target}. It is taken over by its "
                "id; what made it may make others, so give it a name sooner or later."
            )
            key = _NAME.sub("_", target.strip("/")) or "data"
            found.adopted[key] = source
            mounts.append(f"{key}:{target}{mode}")
        elif mount["type"] == "volume":
            key = _volume_key(source, own, found)
            found.adopted[key] = source
            mounts.append(f"{key}:{target}{mode}")
        elif mount["type"] == "bind" and own.directory and is_below(source, own.directory) and source != own.directory:
            path = posixpath.relpath(source, own.directory)
            found.copied[source] = posixpath.join(own.home, path)
            mounts.append(f"./{path}:{target}{mode}")
        else:
            own.say(
                f"{container.name} of {own.prefix} mounts {source or mount['type']} of the machine at {target}. It was "
                "left out: it reaches outside of the environment. What the application needs of it belongs into its "
                "image, its settings or a volume of its own."
            )
    for reach in container.seen["reach"]:
        own.say(
            f"{container.name} of {own.prefix} has {reach}. It was left out: it reaches outside of the environment."
        )
    return mounts


def _volume_key(name: str, own: Handmade, found: FoundStack) -> str:
    """A short name for a volume: without the project and the environment that its name has around it."""
    short = name
    for part in (own.compose_project, own.prefix, own.project):
        if short.startswith(f"{part}_"):
            short = short[len(part) + 1 :]
    short = re.sub(rf"[_-]{re.escape(own.environment)}\Z", "", short) or name
    return short if found.adopted.get(short, name) == name else _NAME.sub("_", name)


def _depends(container: Container, found: FoundStack, own: Handmade) -> dict[str, Any]:
    """What the application waits for, as the label of Compose says it, in the names of the stack."""
    names = {other.service: other.part if other.part != "app" else _key(other, own) for other in own.containers}
    awaited = {}
    for text in str(container.seen["labels"].get(f"{COMPOSE}depends_on") or "").split(","):
        service = text.partition(":")[0]
        if service in names and names[service] != "nginx":
            awaited[names[service]] = {"condition": "service_healthy" if names[service] in DATA else "service_started"}
    for part in DATA:
        if found.services.get(part):
            awaited.setdefault(part, {"condition": "service_healthy"})
    return dict(sorted(awaited.items()))


def _key(container: Container, own: Handmade) -> str:
    """The name of a service in the stack: without the environment that the Compose file puts behind it."""
    short = re.sub(rf"[_-]{re.escape(own.environment)}\Z", "", container.service)
    return _NAME.sub("_", short) or "web"


def _listens(container: Container | None) -> int:
    if container is None:
        return 8000
    targets = [port["target"] for port in container.seen["ports"]]
    return int(next(iter([*targets, *container.seen["exposed"], 8000])))
