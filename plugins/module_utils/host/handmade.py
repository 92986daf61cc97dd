# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine runs that was set up by hand, read once and not judged. Runs on the targets and changes nothing.

Labels, files and names are whatever their owners wrote: everything is bounded, links of others are not followed, and
what cannot be read is said with its path instead of its content. With ``values`` the answer holds secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..core import handles
from ..core.directory import Tree, read, read_through
from ..core.errors import Failure
from ..docker.containers import condition, is_running, labels_of, name_of
from ..docker.engine import Engine, inspect_objects
from ..docker.labels import COMPOSE, FRONT_DOOR, OURS, PREFIX, PROJECT, WORKING_DIRECTORY
from . import facts
from .observation import engine_facts

CONFIG_FILES = COMPOSE + "project.config_files"

#: More than any machine that a person set up by hand has; what is beyond is left out and said.
_MOST_CONTAINERS, _MOST_FILES, _MOST_NAMES = 300, 200, 200
#: Bytes of the largest file of settings that a person writes, and of the longest value.
_LARGEST, _LONGEST = 256 << 10, 32 << 10

_ORIGIN = re.compile(r"^\[remote \"origin\"\]\n(?:[ \t].*\n)*?[ \t]+url[ \t]*=[ \t]*(\S.*)$", re.MULTILINE)
_ENV = re.compile(r"\.env(?:\.[\w.-]+)?\Z|[\w-]+\.env\Z")
_NGINX = (".conf", ".template")
_SITES = ("/etc/nginx/conf.d", "/etc/nginx/sites-enabled")


def look(engine: Engine, values: bool = False, projects: Iterable[str] = ()) -> dict[str, Any]:
    """Everything that a person put onto this machine with Docker, nginx and cron.

    Without ``values``, neither the values of settings and commands nor the texts of files are returned. ``projects``
    are the Compose projects to look at; empty means all, and containers without one. What Bulkhead deployed is only
    named. Raises EngineError where the engine does not answer.
    """
    ids = engine.docker_ok("ps", "--all", "--quiet", "--no-trunc").split()
    every, wanted = engine.inspect(ids[:_MOST_CONTAINERS]), set(projects)
    managed = {labels_of(item)[PREFIX] for item in every if labels_of(item).get(PREFIX)}
    inspected = [
        item
        for item in every
        if not {PREFIX, FRONT_DOOR} & set(labels_of(item)) and (not wanted or labels_of(item).get(PROJECT) in wanted)
    ]
    containers = [_container(item, values) for item in inspected]
    working = sorted({labels_of(item).get(WORKING_DIRECTORY, "") for item in inspected} - {""})
    files = list(_files(inspected, working))
    return {
        "engine": engine_facts(engine),
        "containers": containers,
        "managed": sorted(managed),
        "left_out": max(0, len(ids) - _MOST_CONTAINERS),
        "images": {item["Id"]: _image(item, values) for item in _images(engine, inspected)},
        "volumes": _volumes(engine),
        "networks": _networks(engine),
        "files": [_file(kind, path, values) for kind, path in files[:_MOST_FILES]],
        "files_left_out": max(0, len(files) - _MOST_FILES),
        "checkouts": dict(_checkouts(working)),
        "schedules": [item for item in facts.schedules() if item["lines"]],
        "sockets": facts.listening(),
    }


def _container(item: dict[str, Any], values: bool) -> dict[str, Any]:
    config, host = item.get("Config") or {}, item.get("HostConfig") or {}
    attached = (item.get("NetworkSettings") or {}).get("Networks") or {}
    labels = labels_of(item)
    return {
        "name": name_of(item),
        "image": str(config.get("Image") or ""),
        "image_id": str(item.get("Image") or ""),
        "labels": {name: value for name, value in labels.items() if name.startswith((COMPOSE, OURS))},
        "running": is_running(item),
        "condition": condition(item),
        "policy": (host.get("RestartPolicy") or {}).get("Name") or "",
        "stop_seconds": config.get("StopTimeout") or 10,
        "ports": list(_ports(host.get("PortBindings"))),
        "networks": {
            name: sorted({*((point or {}).get("Aliases") or ()), *((point or {}).get("DNSNames") or ())})
            for name, point in attached.items()
        },
        "mounts": [
            {
                "type": str(mount.get("Type")),
                "source": str(mount.get("Name") or mount.get("Source") or ""),
                "target": str(mount.get("Destination") or ""),
                "writable": bool(mount.get("RW")),
            }
            for mount in item.get("Mounts") or ()
        ],
        "reach": _reach(host),
        "memory": host.get("Memory") or 0,
        **_program(config, values),
    }


def _program(config: dict[str, Any], values: bool) -> dict[str, Any]:
    """What an image or a container starts, and with which settings."""
    pairs = [str(line).partition("=")[::2] for line in config.get("Env") or ()]
    test = (config.get("Healthcheck") or {}).get("Test") or []
    return {
        "settings": {name: value[:_LONGEST] if values else "" for name, value in pairs},
        "command": [str(word) for word in config.get("Cmd") or ()] if values else [],
        "entrypoint": [str(word) for word in config.get("Entrypoint") or ()] if values else [],
        "health": [str(word) for word in test] if values else test[:1],
        "user": str(config.get("User") or ""),
        "exposed": sorted(
            int(port.split("/")[0]) for port in config.get("ExposedPorts") or {} if port.endswith("/tcp")
        ),
    }


def _reach(host: dict[str, Any]) -> list[str]:
    """The options by which a container reaches out of itself, in Compose's words."""
    found = ["privileged: true"] if host.get("Privileged") else []
    for key, name in (("NetworkMode", "network_mode"), ("PidMode", "pid"), ("IpcMode", "ipc"), ("UTSMode", "uts")):
        mode = str(host.get(key) or "")
        if mode == "host" or mode.startswith("container:"):
            found.append("%s: %s" % (name, mode))
    found += ["cap_add: %s" % name for name in host.get("CapAdd") or ()]
    return found + ["devices: %s" % device.get("PathOnHost") for device in host.get("Devices") or ()]


def _ports(bindings: Any) -> Iterator[dict[str, Any]]:
    for target, places in (bindings or {}).items():
        number, _slash, protocol = target.partition("/")
        for place in places or ():
            yield {
                "target": int(number),
                "protocol": protocol,
                "address": str(place.get("HostIp") or ""),
                "published": str(place.get("HostPort") or ""),
            }


def _images(engine: Engine, inspected: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return inspect_objects(engine, "image", sorted({str(item.get("Image")) for item in inspected} - {"", "None"}))


def _image(item: dict[str, Any], values: bool) -> dict[str, Any]:
    return {
        "tags": item.get("RepoTags") or [],
        "digests": item.get("RepoDigests") or [],
        "size": item.get("Size") or 0,
        **_program(item.get("Config") or {}, values),
    }


def _volumes(engine: Engine) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(engine.docker_ok("volume", "ls", "--quiet").split()))
    found = []
    for volume in inspect_objects(engine, "volume", names):
        labels = volume.get("Labels") or {}
        found.append(
            {
                "name": volume["Name"],
                "driver": volume.get("Driver") or "",
                "options": sorted(volume.get("Options") or {}),  # of a network share, the values hold its password
                "labels": {name: value for name, value in labels.items() if name.startswith((COMPOSE, OURS))},
                "holds": _holds(str(volume.get("Mountpoint") or "/nonexistent")),
            }
        )
    return found


def _holds(place: str) -> dict[str, str]:
    """What kind of data lies in a volume: PostgreSQL with its version, or what Redis keeps."""
    for below in ("", "data", "pgdata"):
        try:
            version = Tree(place).read(os.path.join(below, "PG_VERSION"))
        except Failure:
            version = None
        if version:
            return {"postgresql": version.decode("utf-8", "replace").strip()[:8], "below": below}
    try:
        names = set(Tree(place).names(""))
    except Failure:
        return {}
    if "appendonlydir" in names or "appendonly.aof" in names:
        return {"redis": "aof"}
    return {"redis": "rdb"} if "dump.rdb" in names else {}


def _networks(engine: Engine) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(engine.docker_ok("network", "ls", "--quiet").split()))
    return [
        {
            "name": item["Name"],
            "labels": {
                name: value for name, value in (item.get("Labels") or {}).items() if name.startswith((COMPOSE, OURS))
            },
        }
        for item in inspect_objects(engine, "network", names)
    ]


def _files(inspected: Iterable[dict[str, Any]], working: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The files that say what runs: (kind, path), each once. Which they are, labels and mounts say."""
    found: dict[str, str] = {}
    for item in inspected:
        labels = labels_of(item)
        where = labels.get(WORKING_DIRECTORY, "/")
        for path in labels.get(CONFIG_FILES, "").split(","):
            if path:
                found.setdefault(os.path.normpath(os.path.join(where, path)), "compose")
        for mount in item.get("Mounts") or ():
            target, source = str(mount.get("Destination")), str(mount.get("Source"))
            if mount.get("Type") == "bind" and target.startswith("/etc/nginx"):
                for path in _configurations(source, target):
                    found.setdefault(path, "nginx")
    for directory in working:
        for name in _names(directory):
            if _ENV.match(name):
                found.setdefault(os.path.join(directory, name), "env")
    for path in ["/etc/nginx/nginx.conf", *(os.path.join(site, name) for site in _SITES for name in _names(site))]:
        found.setdefault(path, "machine-nginx")
    return ((kind, path) for path, kind in found.items())


def _configurations(source: str, target: str) -> list[str]:
    """The files of nginx that a bind mount brings: those of the directory, or the file itself. Not its certificates."""
    inside = [os.path.join(source, name) for name in _names(source) if name.endswith(_NGINX)]
    return inside or [source] * target.endswith(_NGINX)


def _names(directory: str) -> list[str]:
    """The names in a directory; none where it is no directory, or one behind a link of somebody else."""
    try:
        with handles.folder(directory) as handle:
            return handles.names_at(handle)[:_MOST_NAMES]
    except (Failure, OSError):
        return []


def _file(kind: str, path: str, values: bool) -> dict[str, Any]:
    """A file with its text, or with the reason why that is not to be had."""
    text, problem = "", ""
    try:
        content = read_through(path) if kind == "machine-nginx" else read(path)
        if content is None:
            problem = "there is no such file, or it is a link that is not followed"
        elif len(content) > _LARGEST:
            problem = "it has more than %d KiB, which no file of settings has" % (_LARGEST >> 10)
        elif b"\0" in content:
            problem = "it is not text"
        else:
            text = content.decode("utf-8")
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except Failure as error:
        problem = error.message
    return {"kind": kind, "path": path, "text": text if values else "", "problem": problem}


def _checkouts(working: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The checkouts in the directories of projects and one level below: branch, commit and where they were cloned
    from."""
    for directory in working:
        for path in [directory, *(os.path.join(directory, name) for name in _names(directory))]:
            try:
                config = read(os.path.join(path, ".git", "config"))
            except Failure:
                continue
            if config is None:
                continue
            known = facts.checkout(path)
            origin = _ORIGIN.search(config.decode("utf-8", "replace"))
            yield (
                path,
                {
                    "branch": known.get("branch", ""),
                    "commit": known.get("commit", ""),
                    "origin": origin[1].strip()[:1000] if origin else "",
                },
            )
