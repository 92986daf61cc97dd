# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that the gates need to know about a machine, read once and not judged. Runs on the targets.

The number of engine calls does not depend on the number of containers: one list and one inspection for each kind.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from typing import Any

from ..core.directory import digest
from ..docker.containers import condition, labels_of, name_of, published_by
from ..docker.engine import Engine, engine_info, inspect_objects
from ..docker.labels import COMPOSE, OF_A_STACK, OURS, PREFIX, WORKING_DIRECTORY
from ..state.directories import registered_elsewhere
from ..state.locks import Locks
from ..state.registry import Registry, state_directory
from . import facts as machine
from .capacity import memory, space, usage, was_short
from .firewall import bridge_of
from .firewall_fingerprints import guards
from .sockets import restarts_of

#: The port of a Redis, and where the default stack mounts its settings.
_REDIS, _REDIS_SETTINGS = 6379, "/usr/local/etc/redis"


def observe(engine: Engine, state: str = "", directories: Iterable[str] = (), keep: bool = False) -> dict[str, Any]:
    """Observe the machine: engine, containers, networks, volumes, sockets, registered directories, schedules.

    ``state`` is the machine's state directory; ``directories`` are environments' directories to read beside the
    registered ones. With ``keep``, lost and edited registry entries are rebuilt if possible.
    """
    place = state_directory(state)
    facts = engine_facts(engine)
    registry = Registry(place)
    key = registry.key(keep)
    observed = containers(engine, key)
    working = {container["labels"].get(WORKING_DIRECTORY, "") for container in observed} - {""}
    entries = registry.entries({*directories, *working}, keep)
    networked, stored, built = networks(engine), volumes(engine), images(engine)
    seen = {item["labels"].get(PREFIX, "") for item in (*observed, *networked, *stored)}
    paths = sorted({*directories, *(entry["directory"] for entry in entries.values() if entry.get("directory"))})
    disks = space([*paths, facts["root"], place])
    return {
        "machine": machine.machine_id(),
        "generation": machine.generation(engine.docker_host),
        "engine": facts,
        "containers": observed,
        "networks": networked,
        "volumes": stored,
        "images": built,
        "sockets": machine.listening(),
        "space": disks,
        "usage": usage(engine, disks, facts["root"], observed, built),
        "memory": memory(),
        "state_directory": place,
        "limits": machine.limits(),
        "engine_users": machine.engine_users(),
        "registry": entries,
        "elsewhere": registered_elsewhere(place, seen - {"", *entries}),
        "locks": Locks(place).held(),
        "deployments": Locks(place).last(),
        "key": digest(key)[:8],
        "files": {path: machine.files_digest(path, key) for path in paths},
        "checkouts": {path: machine.checkout(os.path.join(path, "code")) for path in paths},
        "places": {path: os.path.realpath(path) for path in sorted({*paths, *working})},
        "maintenance": [path for path in paths if machine.shows_page(path)],
        "schedules": machine.schedules(),
        "parents": machine.compose_files_above(paths),
        "guards": guards(engine),
        "programs": {"age": bool(engine.find("age"))},
    }


def engine_facts(engine: Engine) -> dict[str, Any]:
    """The engine's identity and settings."""
    facts = engine_info(engine)
    options = [str(option) for option in facts.get("SecurityOptions") or ()]
    return {
        "id": facts.get("ID", ""),
        "version": facts.get("ServerVersion", ""),
        "time": facts.get("SystemTime", ""),
        "root": facts.get("DockerRootDir", ""),
        "live_restore": bool(facts.get("LiveRestoreEnabled")),
        "rootless": any("rootless" in option for option in options),
        "user_namespaces": any("userns" in option for option in options),
        "cgroup": facts.get("CgroupVersion", ""),
        "swap_limit": bool(facts.get("SwapLimit")),
        "storage": facts.get("Driver", ""),
        "logging": facts.get("LoggingDriver", ""),
        "swarm": (facts.get("Swarm") or {}).get("LocalNodeState", ""),
        "node": (facts.get("Swarm") or {}).get("NodeID", ""),
        "address_pools": [pool.get("Base", "") for pool in facts.get("DefaultAddressPools") or ()],
    }


def containers(engine: Engine, key: bytes = b"") -> list[dict[str, Any]]:
    """All containers, running or not. Values of their settings may be secret, so only keyed digests are returned."""
    ids = engine.docker_ok("ps", "--all", "--quiet", "--no-trunc").split()
    return [summary(container, key) for container in engine.inspect(ids)]


def summary(container: dict[str, Any], key: bytes = b"") -> dict[str, Any]:
    """The properties of a container that rules and receipts need."""
    state = container.get("State") or {}
    host = container.get("HostConfig") or {}
    attached = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        "id": container["Id"],
        "name": name_of(container),
        "image": container.get("Image", ""),
        **_labels(labels_of(container)),
        "condition": condition(container),
        "running": bool(state.get("Running")),
        "started": state.get("StartedAt", ""),
        "run": _redis_run(container, attached.values()),
        "restarts": container.get("RestartCount", 0),
        "killed": bool(state.get("OOMKilled")) or was_short(state.get("Pid", 0)),
        "policy": (host.get("RestartPolicy") or {}).get("Name", ""),
        "network_mode": host.get("NetworkMode", ""),
        "networks": {
            name: {
                "id": (endpoint or {}).get("NetworkID", ""),
                "address": (endpoint or {}).get("IPAddress", ""),
                "address6": (endpoint or {}).get("GlobalIPv6Address", ""),
                "gateways": [endpoint[key] for key in ("Gateway", "IPv6Gateway") if (endpoint or {}).get(key)],
                "aliases": sorted(
                    set((endpoint or {}).get("Aliases") or ()) | set((endpoint or {}).get("DNSNames") or ())
                ),
            }
            for name, endpoint in attached.items()
        },
        "mounts": sorted(
            [
                mount.get("Destination"),
                mount.get("Type"),
                mount.get("Name") or mount.get("Source") or "",
                bool(mount.get("RW")),
            ]
            for mount in container.get("Mounts") or ()
        ),
        "ports": [{"port": port, "address": address} for port, address in published_by(container)],
        "exposed": sorted(
            int(port.split("/")[0])
            for port in (container.get("Config") or {}).get("ExposedPorts") or {}
            if port.endswith("/tcp")
        ),
        "pid": state.get("Pid", 0),
        "settings": _settings((container.get("Config") or {}).get("Env") or (), key),
        "limits": {
            "memory": host.get("Memory") or 0,
            "swap": host.get("MemorySwap") or 0,
            "cpus": (host.get("NanoCpus") or 0) / 1e9,
            "pids": host.get("PidsLimit") or 0,
            "restart": (host.get("RestartPolicy") or {}).get("Name") or "no",
        },
    }


def _redis_run(container: dict[str, Any], networks: Iterable[dict[str, Any] | None]) -> str:
    """What shows that a Redis was restarted inside its container, which the engine does not see; else empty."""
    exposed = (container.get("Config") or {}).get("ExposedPorts") or {}
    mounted = {mount.get("Destination") for mount in container.get("Mounts") or ()}
    addresses = [network["IPAddress"] for network in networks if network and network.get("IPAddress")]
    is_redis = "%d/tcp" % _REDIS in exposed or _REDIS_SETTINGS in mounted
    if PREFIX not in labels_of(container) or not is_redis or not addresses:
        return ""
    return restarts_of((container.get("State") or {}).get("Pid", 0), addresses[0], _REDIS)


def _settings(variables: Iterable[str], key: bytes) -> dict[str, str]:
    """Variables by name, each with a digest keyed by the machine's key, which reveals changes but no values."""
    digests = {}
    for variable in variables:
        name, _equals, value = variable.partition("=")
        digests[name] = hmac.new(key, value.encode("utf-8", "replace"), "sha256").hexdigest()[:8] if key else ""
    return dict(sorted(digests.items()))


def networks(engine: Engine) -> list[dict[str, Any]]:
    """All networks with their subnets and bridges."""
    observed = []
    for network in _inspect_all(engine, "network"):
        configs = (network.get("IPAM") or {}).get("Config") or ()
        observed.append(
            {
                "id": network["Id"],
                "name": network["Name"],
                "driver": network.get("Driver"),
                "internal": bool(network.get("Internal")),
                **_labels(network.get("Labels") or {}),
                "subnets": [config.get("Subnet") for config in configs],
                "gateways": [config.get("Gateway") for config in configs if config.get("Gateway")],
                "bridge": bridge_of(network),
            }
        )
    return observed


def volumes(engine: Engine) -> list[dict[str, Any]]:
    """All volumes with their location, and the PostgreSQL cluster in each if this user may read it."""
    return [
        {
            "name": volume["Name"],
            "driver": volume.get("Driver"),
            "created": volume.get("CreatedAt", ""),
            **_labels(volume.get("Labels") or {}),
            # Only the device: the options of a network share include its password.
            "device": (volume.get("Options") or {}).get("device", ""),
            "mountpoint": volume.get("Mountpoint", ""),
            "database": machine.database_identity(volume.get("Mountpoint") or "/nonexistent"),
        }
        for volume in _inspect_all(engine, "volume")
    ]


def images(engine: Engine) -> list[dict[str, Any]]:
    """The images that environments built, with their names."""
    return [
        {
            "id": image["Id"],
            "names": image.get("RepoTags") or [],
            "size": image.get("Size") or 0,
            **_labels((image.get("Config") or {}).get("Labels") or {}),
        }
        for image in _inspect_all(engine, "image", "--filter", "label=%s" % PREFIX)
    ]


def _labels(labels: dict[str, str]) -> dict[str, Any]:
    """Compose's labels, a stack's and ours with their values; of other labels, which may hold anything, only the
    names."""
    known = {name: value for name, value in labels.items() if name.startswith((COMPOSE, OURS)) or name in OF_A_STACK}
    return {"labels": known, "other_labels": sorted(set(labels) - set(known))}


def _inspect_all(engine: Engine, kind: str, *filters: str) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(engine.docker_ok(kind, "ls", "--quiet", *filters).split()))
    return inspect_objects(engine, kind, names)
