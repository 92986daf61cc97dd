# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a manager says of the whole swarm: seven questions, however many stacks there are. Runs on the targets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..docker.labels import OURS, PREFIX, STACK
from ..swarm.api import SwarmApi, SwarmError
from ..swarm.look import node_of
from .deciding import UNDECIDED, why_undecided


def look(api: SwarmApi) -> dict[str, Any]:
    """The swarm as this engine sees it. One that manages nothing, or cannot, has only its own part: ``refused`` then
    says why. Raises SwarmError where the engine gives no answer."""
    info = api.info()
    swarm = info.get("Swarm") or {}
    found: dict[str, Any] = {
        "engine": str(info.get("ServerVersion") or ""),
        "node": str(swarm.get("NodeID") or ""),
        "state": str(swarm.get("LocalNodeState") or "inactive"),
        "cluster": str((swarm.get("Cluster") or {}).get("ID") or ""),
        "control": bool(swarm.get("ControlAvailable")),
        "refused": "",
        **{kind: [] for kind in ("nodes", "services", "tasks", "networks", "configs", "secrets")},
    }
    if not found["control"]:
        return found
    if swarm.get("Error"):
        return {**found, "refused": str(swarm["Error"])}
    try:
        found["nodes"] = [node_of(node) for node in api.nodes()]
        found["services"] = [service_of(service) for service in api.services()]
        found["tasks"] = [task_of(task) for task in api.tasks()]
        found["networks"] = [_network(network) for network in api.networks()]
        found["configs"] = [_file(config) for config in api.configs()]
        found["secrets"] = [_file(secret) for secret in api.secrets()]
    except SwarmError as error:
        return {**found, "refused": error.message}
    return found


def look_or_fail(api: SwarmApi) -> dict[str, Any]:
    """The swarm as a manager that can decide sees it. Raises SwarmError for any other engine: a swarm that says nothing
    is not an empty one."""
    seen = look(api)
    why = why_undecided(seen)
    if why:
        raise SwarmError(UNDECIDED % why)
    return seen


def service_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """A service, without the settings of its tasks, which may be secret: ``spec`` is a digest of all that it is."""
    spec, update = said["Spec"], said.get("UpdateStatus") or {}
    endpoint, counted = said.get("Endpoint") or {}, said.get("ServiceStatus") or {}
    return {
        "id": said["ID"],
        "name": spec.get("Name") or "",
        "labels": _known(spec.get("Labels")),
        "version": int((said.get("Version") or {}).get("Index") or 0),
        "spec": digest_of(spec),
        "tasks": digest_of(((spec.get("TaskTemplate") or {}).get("ContainerSpec")) or {}),
        "forced": int((spec.get("TaskTemplate") or {}).get("ForceUpdate") or 0),
        "image": str(((spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}).get("Image") or ""),
        "mode": next(iter(spec.get("Mode") or {}), ""),
        "update": {key: str(update.get(key) or "") for key in ("State", "StartedAt", "CompletedAt", "Message")},
        "desired": int(counted.get("DesiredTasks") or 0),
        "running": int(counted.get("RunningTasks") or 0),
        "ports": [
            {"port": int(port["PublishedPort"]), "mode": port.get("PublishMode") or "ingress"}
            for port in (endpoint.get("Ports") or (endpoint.get("Spec") or {}).get("Ports") or ())
            if port.get("PublishedPort")
        ],
    }


def task_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """A task: where it runs, in what state, and as what it was made."""
    status, spec = said.get("Status") or {}, said.get("Spec") or {}
    labels = (spec.get("ContainerSpec") or {}).get("Labels") or {}
    return {
        "id": said["ID"],
        "service": said.get("ServiceID") or "",
        "stack": str(labels.get(STACK) or ""),
        "job": bool(said.get("JobIteration")),
        "node": said.get("NodeID") or "",
        "slot": int(said.get("Slot") or 0),
        "state": str(status.get("State") or ""),
        "desired": str(said.get("DesiredState") or ""),
        "error": str(status.get("Err") or ""),
        "since": str(status.get("Timestamp") or ""),
        "created": str(said.get("CreatedAt") or ""),
        "container": str((status.get("ContainerStatus") or {}).get("ContainerID") or ""),
        "tasks": digest_of(spec.get("ContainerSpec") or {}),
        "forced": int(spec.get("ForceUpdate") or 0),
    }


def _network(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": said["Id"],
        "name": said["Name"],
        "labels": _known(said.get("Labels")),
        "attachable": bool(said.get("Attachable")),
    }


def _file(said: Mapping[str, Any]) -> dict[str, Any]:
    spec = said["Spec"]
    return {"id": said["ID"], "name": spec.get("Name") or "", "labels": _known(spec.get("Labels"))}


def _known(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Ours and the stack's; another label may hold anything."""
    return {name: text for name, text in (labels or {}).items() if name.startswith(OURS) or name == STACK}


def digest_of(value: Any) -> str:
    """A digest of what the engine says of something. It says the same thing in the same words."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def own(objects: Iterable[Mapping[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """What of these carries the environment's own label, exactly."""
    return [dict(one) for one in objects if one["labels"].get(PREFIX) == prefix]
