# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that the gates need to know of a machine, read once. It judges nothing. Runs on the targets.

The number of engine calls does not grow with the number of containers: one list and one inspection for each kind.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils import sockets
from ansible_collections.aiia.bulkhead.plugins.module_utils.containers import (
    condition,
    labels_of,
    name_of,
    published_by,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.locks import Locks
from ansible_collections.aiia.bulkhead.plugins.module_utils.registry import Registry, state_directory
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import digest, read

#: Where scheduled work of the machine stands. Only names and digests are taken, and lines that speak of Docker.
CRON = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*")
UNITS = ("/etc/systemd/system/*.service", "/etc/systemd/system/*.timer")


def observe(engine: Engine, state: str = "", directories: Iterable[str] = ()) -> dict[str, Any]:
    """The machine as it is: engine, containers, networks, volumes, sockets, registered directories, schedules.

    ``state`` is the machine's state directory, ``directories`` are environments' to look at beside registered ones.
    """
    place = state_directory(state)
    registry = Registry(place).entries()
    paths = sorted({*directories, *(entry["directory"] for entry in registry.values() if entry.get("directory"))})
    facts = engine_facts(engine)
    return {
        "machine": machine_id(),
        "engine": facts,
        "containers": containers(engine),
        "networks": networks(engine),
        "volumes": volumes(engine),
        "images": images(engine),
        "sockets": listening(),
        "disk": {path: free_bytes(path) for path in [*paths, facts["root"]]},
        "registry": registry,
        "locks": Locks(place).held(),
        "files": {path: files_digest(path) for path in paths},
        "checkouts": {path: checkout(os.path.join(path, "code")) for path in paths},
        "schedules": schedules(),
        "parents": compose_files_above(paths),
    }


def machine_id() -> str:
    """What tells this machine from every other."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        content = read(os.path.realpath(path))
        if content and content.strip():
            return content.decode("ascii", "replace").strip()
    return ""


def engine_facts(engine: Engine) -> dict[str, Any]:
    """Who the engine is and how it is set."""
    facts = json.loads(engine.docker_ok("info", "--format", "{{json .}}"))
    return {
        "id": facts.get("ID", ""),
        "version": facts.get("ServerVersion", ""),
        "root": facts.get("DockerRootDir", ""),
        "live_restore": bool(facts.get("LiveRestoreEnabled")),
        "rootless": any("rootless" in option for option in facts.get("SecurityOptions") or ()),
        "cgroup": facts.get("CgroupVersion", ""),
    }


def containers(engine: Engine) -> list[dict[str, Any]]:
    """Every container, running or not, without its environment: settings may be secret."""
    ids = engine.docker_ok("ps", "--all", "--quiet", "--no-trunc").split()
    return [summary(each) for each in engine.inspect(ids)]


def summary(container: dict[str, Any]) -> dict[str, Any]:
    """What a container is, as far as rules and receipts need it."""
    state = container.get("State") or {}
    host = container.get("HostConfig") or {}
    attached = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        "id": container["Id"],
        "name": name_of(container),
        "image": container.get("Image", ""),
        "labels": labels_of(container),
        "condition": condition(container),
        "running": bool(state.get("Running")),
        "started": state.get("StartedAt", ""),
        "restarts": container.get("RestartCount", 0),
        "policy": (host.get("RestartPolicy") or {}).get("Name", ""),
        "network_mode": host.get("NetworkMode", ""),
        "networks": {
            name: {
                "id": (each or {}).get("NetworkID", ""),
                "address": (each or {}).get("IPAddress", ""),
                "aliases": sorted(set((each or {}).get("Aliases") or ()) | set((each or {}).get("DNSNames") or ())),
            }
            for name, each in attached.items()
        },
        "mounts": sorted(
            [
                each.get("Destination"),
                each.get("Type"),
                each.get("Name") or each.get("Source") or "",
                bool(each.get("RW")),
            ]
            for each in container.get("Mounts") or ()
        ),
        "ports": [{"port": port, "address": address} for port, address in published_by(container)],
        "exposed": sorted(
            int(port.split("/")[0])
            for port in (container.get("Config") or {}).get("ExposedPorts") or {}
            if port.endswith("/tcp")
        ),
        "pid": state.get("Pid", 0),
    }


def networks(engine: Engine) -> list[dict[str, Any]]:
    """Every network with its subnets and bridge."""
    found = []
    for each in _inspect_all(engine, "network"):
        options = each.get("Options") or {}
        found.append(
            {
                "id": each["Id"],
                "name": each["Name"],
                "driver": each.get("Driver"),
                "internal": bool(each.get("Internal")),
                "labels": each.get("Labels") or {},
                "subnets": [config.get("Subnet") for config in (each.get("IPAM") or {}).get("Config") or ()],
                "gateways": [
                    config.get("Gateway")
                    for config in (each.get("IPAM") or {}).get("Config") or ()
                    if config.get("Gateway")
                ],
                "bridge": options.get("com.docker.network.bridge.name") or "br-%s" % each["Id"][:12],
            }
        )
    return found


def volumes(engine: Engine) -> list[dict[str, Any]]:
    """Every volume with where it is."""
    return [
        {
            "name": each["Name"],
            "driver": each.get("Driver"),
            "created": each.get("CreatedAt", ""),
            "labels": each.get("Labels") or {},
            "options": each.get("Options") or {},
            "mountpoint": each.get("Mountpoint", ""),
        }
        for each in _inspect_all(engine, "volume")
    ]


def images(engine: Engine) -> list[dict[str, str]]:
    """Images that environments built, by their labels, and what other images are called."""
    code, output, errors = engine.docker("image", "ls", "--no-trunc", "--format", "{{json .}}")
    if code != 0:
        engine.check_reachable(errors)
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [{"id": row.get("ID", ""), "name": "%s:%s" % (row.get("Repository"), row.get("Tag"))} for row in rows]


def checkout(path: str) -> dict[str, str]:
    """Branch and commit of a checkout, read from its files: no git runs in somebody else's directory."""
    head = (read(os.path.join(path, ".git", "HEAD")) or b"").decode("utf-8", "replace").strip()
    if not head:
        return {}
    if not head.startswith("ref: "):
        return {"branch": "", "commit": head}
    name = head[5:]
    commit = (read(os.path.join(path, ".git", name)) or b"").decode("utf-8", "replace").strip()
    return {"branch": name[len("refs/heads/") :] if name.startswith("refs/heads/") else name, "commit": commit}


def _inspect_all(engine: Engine, kind: str) -> list[dict[str, Any]]:
    names = engine.docker_ok(kind, "ls", "--quiet").split()
    if not names:
        return []
    _code, output, errors = engine.docker(kind, "inspect", *names)
    if not output.strip():
        engine.check_reachable(errors)
    return json.loads(output or "[]")


def listening() -> list[dict[str, Any]]:
    """Listening TCP sockets of the machine, each once."""
    return [
        {"address": address, "port": port}
        for address, port in sorted({(where, number) for where, number, _i in sockets.listening()})
    ]


def free_bytes(path: str) -> int:
    """Free space where a directory is or would be."""
    while path != "/" and not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def files_digest(directory: str) -> dict[str, str]:
    """Digests of the files in force of an environment's directory: what a deployment of another must leave alone."""
    found = {}
    for pattern in (".env", "docker-compose.*", "docker/nginx/*", ".bulkhead/private/*/*", ".bulkhead/private/*/*/*"):
        for path in glob.glob(os.path.join(directory, pattern)):
            if os.path.isfile(path):
                try:
                    with open(path, "rb") as stream:
                        found[os.path.relpath(path, directory)] = digest(stream.read())
                except OSError:
                    found[os.path.relpath(path, directory)] = "unreadable"
    return found


def schedules() -> list[dict[str, Any]]:
    """Cron files and systemd units: their names and digests, and their lines that call Docker."""
    found = []
    for pattern in CRON + UNITS:
        for path in sorted(glob.glob(pattern)):
            try:
                with open(path, encoding="utf-8", errors="replace") as stream:
                    text = stream.read(1 << 20)
            except OSError:
                continue
            found.append(
                {
                    "path": path,
                    "digest": digest(text.encode()),
                    "lines": [line for line in text.splitlines() if "docker" in line][:50],
                }
            )
    return found


def compose_files_above(directories: Iterable[str]) -> list[str]:
    """Compose files in parents of the directories: Compose finds those when it is called without a file."""
    found = set()
    for directory in directories:
        step = os.path.dirname(os.path.abspath(directory))
        while True:
            found |= {
                path
                for path in glob.glob(os.path.join(step, "*compose.y*ml"))
                if os.path.basename(path).split(".")[0] in ("compose", "docker-compose")
            }
            if step == os.path.dirname(step):
                break
            step = os.path.dirname(step)
    return sorted(found)
