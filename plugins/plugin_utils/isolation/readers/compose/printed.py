# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The printed form of services: the defaults and types of ``docker compose config --format json``.

Like Compose, it omits what is empty, zero or false, unless its absence would mean something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ReaderError
from .keys import LISTS, SCALARS, SIZES, TEXTS, WORDS
from .short_forms import compose_text, posixpath_clean
from .values import (
    as_command,
    as_duration,
    as_hosts,
    as_labels,
    as_list,
    as_mapping,
    as_number,
    as_size,
    as_text,
    as_texts,
    is_empty,
)
from .yaml_text import Map, Seq

#: Keys that are printed although empty, since absent means something else.
_KEPT = {"attach", "build", "command", "deploy", "entrypoint", "healthcheck", "init", "logging", "scale"}
_SHARED_NAMESPACES = ("network_mode", "ipc", "pid", "uts", "cgroup")


def finish_service(service: Mapping[str, Any], env: Mapping[str, str]) -> Map:
    """The printed form of a canonical service with absolute paths. ``env`` has the values of bare names."""
    made = Map(at=getattr(service, "at", None))
    made["command"] = made["entrypoint"] = None
    for key, value in service.items():
        if key == "extends" or key.startswith("x-"):
            continue
        try:
            finished = _FINISH.get(key, _plain)(value)
        except ReaderError as error:
            line = error.line or made.at.get(key, ("", 0))[1]
            raise ReaderError(f"{key}: {error.message}", line, rule=error.rule) from None
        if finished is not None and (key in _KEPT or not is_empty(finished)):
            made[key] = finished
    environment = made.get("environment")
    if environment:
        made["environment"] = _resolved(environment, env, keep=True)
    build = made.get("build")
    if build and build.get("args"):
        build["args"] = _resolved(build["args"], env, keep=False)
    _connect(made)
    _imply_dependencies(made)
    return made


def _connect(service: Map) -> None:
    """Connect a service without networks to the default one."""
    if "network_mode" not in service and not service.get("networks"):
        service["networks"] = {"default": None}


def _imply_dependencies(service: Map) -> None:
    """Add the dependencies that links and shared namespaces imply."""
    depends = dict(service.get("depends_on") or {})
    at = getattr(service.get("depends_on"), "at", None)

    def add(name: str, restart: bool) -> None:
        if name not in depends:
            depends[name] = {"condition": "service_started", "required": True}
            if restart:
                depends[name]["restart"] = True

    for link in service.get("links") or ():
        parts = link.split(":")
        add(parts[0] if len(parts) == 2 else link, True)
    for key in _SHARED_NAMESPACES:
        reference = service.get(key)
        if isinstance(reference, str) and reference.startswith("service:"):
            add(reference[len("service:") :], True)
    for source in service.get("volumes_from") or ():
        if not source.startswith("container:"):
            add(source.split(":")[0], False)
    if depends:
        service["depends_on"] = Map(depends, at=at)


def _resolved(values: Mapping[str, str | None], env: Mapping[str, str], *, keep: bool) -> Map:
    """Give bare names their values from the project's environment, if it has them."""
    made = Map(at=getattr(values, "at", None))
    for key, value in values.items():
        if value is None:
            value = env.get(key)
            if value is None and not keep:
                continue
        made[key] = value
    return made


def _plain(value: Any) -> Any:
    """The value of a key without special rules, unchanged."""
    return value


def _healthcheck(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ReaderError("must be a mapping", rule="not-compose")
    made: dict[str, Any] = {}
    for key, item in value.items():
        if key == "test" and item is not None:
            made[key] = ["CMD-SHELL", item] if isinstance(item, str) else as_list(item)
        elif key in ("interval", "timeout", "start_period", "start_interval") and item is not None:
            made[key] = as_duration(item)
        elif key == "disable" and item:
            made[key] = True
        elif key == "retries" and item is not None:
            made[key] = item
    return made


def _hooks(value: Any) -> Any:
    if not isinstance(value, list):
        raise ReaderError("must be a list", rule="not-compose")
    made = []
    for hook in value:
        entry = {key: item for key, item in hook.items() if not is_empty(item)}
        entry["command"] = as_command(hook.get("command"))
        if "environment" in entry:
            entry["environment"] = as_mapping(entry["environment"])
        made.append(entry)
    return Seq(made, at=getattr(value, "at", None))


def _logging(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ReaderError("must be a mapping", rule="not-compose")
    made = {key: item for key, item in value.items() if key in ("driver", "options") and not is_empty(item)}
    if "options" in made:
        made["options"] = as_texts(made["options"])
    return made


def _deploy(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ReaderError("must be a mapping", rule="not-compose")
    made: dict[str, Any] = {"resources": {}, "placement": {}}
    for key, item in value.items():
        if key == "resources" and isinstance(item, dict):
            made[key] = {kind: _limits(limits) for kind, limits in item.items() if isinstance(limits, dict)}
        elif key == "labels":
            made[key] = as_labels(item)
        elif key in ("update_config", "rollback_config", "restart_policy") and isinstance(item, dict):
            made[key] = {name: _policy(name, part) for name, part in item.items() if not is_empty(part)}
        elif key == "placement" and isinstance(item, dict):
            made[key] = {name: part for name, part in item.items() if not is_empty(part)}
        elif not key.startswith("x-") and (key == "replicas" or not is_empty(item)) and item is not None:
            made[key] = item
    return made


def _policy(name: str, value: Any) -> Any:
    return as_duration(value) if name in ("delay", "monitor", "window") else value


def _limits(value: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in value.items():
        if key == "memory":
            item = as_size(item)
        elif key == "cpus":
            item = as_number(item)
        if not is_empty(item):
            made[key] = item
    return made


def _build(value: dict[str, Any]) -> Any:
    made = Map(at=getattr(value, "at", None))
    for key, item in {"context": ".", **value}.items():
        if key in ("args",):
            item = as_mapping(item)
        elif key == "labels":
            item = as_labels(item)
        elif key == "additional_contexts":
            item = as_texts(item)
        elif key in ("cache_from", "cache_to", "tags", "platforms"):
            item = as_list(item)
        elif key == "extra_hosts":
            item = as_hosts(item)
        elif key == "shm_size":
            item = as_size(item)
        elif key == "ssh" and isinstance(item, dict):
            item = [name if path is None else f"{name}={path}" for name, path in item.items()]
        if not key.startswith("x-") and not is_empty(item):
            made[key] = item
    if not made.get("dockerfile") and not made.get("dockerfile_inline"):
        made["dockerfile"] = "Dockerfile"
    return made


def _ports(value: list[Any]) -> Any:
    made = Seq(at=getattr(value, "at", None))
    for entry in value:
        port = {"mode": "ingress", "protocol": "tcp", **entry}
        try:
            port["target"] = int(port.get("target") or 0)
        except (TypeError, ValueError):
            raise ReaderError(f"invalid target of a port: {port.get('target')!r}", rule="not-compose") from None
        if "published" in port:
            port["published"] = compose_text(port["published"])
        made.append({key: item for key, item in port.items() if not is_empty(item) and not key.startswith("x-")})
    return made


def _volumes(value: list[Any]) -> Any:
    made = Seq(at=getattr(value, "at", None))
    for entry in value:
        if not isinstance(entry.get("target"), str):
            raise ReaderError("a mount has no target", rule="not-compose")
        mount = {key: item for key, item in entry.items() if key in ("bind", "volume", "tmpfs") or not is_empty(item)}
        mount["target"] = posixpath_clean(entry["target"])
        for key in ("bind", "volume", "tmpfs"):
            part = mount.get(key)
            if isinstance(part, dict):
                mount[key] = {name: item for name, item in part.items() if not is_empty(item)}
            elif key in mount:
                del mount[key]
        if mount.get("tmpfs", {}).get("size"):
            mount["tmpfs"]["size"] = as_size(mount["tmpfs"]["size"])
        made.append(mount)
    return made


def _mounted_files(default: str) -> Callable[[Any], Any]:
    def finish(value: list[dict[str, Any]]) -> Any:
        made = Seq(at=getattr(value, "at", None))
        for entry in value:
            full = {"target": f"{default}{entry.get('source')}", **entry} if default else entry
            made.append({key: item for key, item in full.items() if key == "mode" or not is_empty(item)})
        return made

    return finish


def _service_networks(value: dict[str, Any]) -> Any:
    made = Map(at=getattr(value, "at", None))
    for name, how in value.items():
        if how is not None and not isinstance(how, dict):
            raise ReaderError(f"{name} must be a mapping", rule="not-compose")
        made[name] = None if how is None else {key: item for key, item in how.items() if not is_empty(item)}
    return made


def _dependencies(value: dict[str, Any]) -> Any:
    made = Map(at=getattr(value, "at", None))
    for name, how in value.items():
        made[name] = {key: item for key, item in how.items() if key == "required" or not is_empty(item)}
    return made


def _ulimits(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ReaderError("must be a mapping", rule="not-compose")
    return {
        name: {key: item for key, item in limit.items() if not is_empty(item)} if isinstance(limit, dict) else limit
        for name, limit in value.items()
    }


def _devices(value: list[dict[str, Any]]) -> Any:
    return [{key: item for key, item in entry.items() if not is_empty(item)} for entry in value]


def _pull_policy(value: Any) -> Any:
    return "missing" if value == "if_not_present" else value


_FINISH: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(SIZES, as_size),
    **dict.fromkeys((*LISTS, *WORDS, *SCALARS), as_list),
    **dict.fromkeys((*TEXTS, "pid"), as_text),
    "annotations": as_texts,
    "build": _build,
    "command": as_command,
    "configs": _mounted_files(""),
    "cpus": as_number,
    "depends_on": _dependencies,
    "deploy": _deploy,
    "devices": _devices,
    "entrypoint": as_command,
    **dict.fromkeys(("post_start", "pre_stop"), _hooks),
    "env_file": lambda value: Seq([entry["path"] for entry in value], at=getattr(value, "at", None)),
    "environment": as_mapping,
    "extra_hosts": as_hosts,
    "gpus": lambda value: [gpu if {"count", "device_ids"} & set(gpu) else {**gpu, "count": -1} for gpu in value],
    "healthcheck": _healthcheck,
    "labels": as_labels,
    "logging": _logging,
    "networks": _service_networks,
    "ports": _ports,
    "pull_policy": _pull_policy,
    "secrets": _mounted_files("/run/secrets/"),
    "stop_grace_period": as_duration,
    "storage_opt": as_texts,
    "sysctls": as_texts,
    "ulimits": _ulimits,
    "volumes": _volumes,
}
