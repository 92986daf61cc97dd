# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The printed form of a model: defaults, names, and the types of ``docker compose config --format json``.

What is empty, zero or false is left out, as Compose leaves it out, unless its absence would mean something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .compose_short import (
    compose_text,
    duration_text,
    parse_command,
    parse_duration,
    parse_size,
    posixpath_clean,
)
from .errors import ReaderError
from .yaml_text import Map, Seq

#: Where absent and empty differ, so that empty is printed.
_KEPT = {"attach", "build", "command", "deploy", "entrypoint", "healthcheck", "init", "logging", "scale"}
_SHARED_NAMESPACES = ("network_mode", "ipc", "pid", "uts", "cgroup")


def finish_service(service: Mapping[str, Any], env: Mapping[str, str]) -> Map:
    """A canonical service with absolute paths as Compose prints it. ``env`` gives values to bare names."""
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
        if finished is not None and (key in _KEPT or not _empty(finished)):
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
    """A service that names no network is on the default one."""
    if "network_mode" not in service and not service.get("networks"):
        service["networks"] = {"default": None}


def _imply_dependencies(service: Map) -> None:
    """Links and shared namespaces are dependencies, too."""
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


def finish_resources(model: Mapping[str, Any], project: str) -> dict[str, Map]:
    """Networks, volumes, secrets and configs with their real names. The default network is there if it is used."""
    made = {section: Map(at=getattr(model.get(section), "at", None)) for section in _RESOURCES}
    for section, finish in _RESOURCES.items():
        for key, entry in (model.get(section) or {}).items():
            given = entry or {}
            external = _truth(given.get("external", False))
            body = {name: value for name, value in given.items() if not name.startswith("x-")}
            body["name"] = compose_text(given.get("name")) or (key if external else f"{project}_{key}")
            body["external"] = external
            finished = Map(finish(body), at=getattr(entry, "at", None))
            for name in [name for name, value in finished.items() if _empty(value) and name != "ipam"]:
                del finished[name]
            made[section][key] = finished
    used = any("default" in (service.get("networks") or ()) for service in (model.get("services") or {}).values())
    if used and "default" not in made["networks"]:
        made["networks"]["default"] = Map({"name": f"{project}_default", "ipam": {}})
    return made


def _network(body: dict[str, Any]) -> dict[str, Any]:
    ipam = dict(body.get("ipam") or {})
    pools = ipam.get("config")
    if isinstance(pools, list):
        ipam["config"] = [_pool(pool) for pool in pools if isinstance(pool, dict)]
    body["ipam"] = {key: value for key, value in ipam.items() if not _empty(value) and key in ("driver", "config")}
    _texts_of(body, "driver_opts")
    if "labels" in body:
        body["labels"] = _labels(body["labels"])
    for key in ("internal", "attachable"):
        if key in body:
            body[key] = _truth(body[key])
    return body


def _pool(pool: Mapping[str, Any]) -> dict[str, Any]:
    made = {key: compose_text(pool[key]) for key in ("subnet", "gateway", "ip_range") if pool.get(key)}
    if pool.get("aux_addresses"):
        made["aux_addresses"] = _texts(pool["aux_addresses"])
    return made


def _volume(body: dict[str, Any]) -> dict[str, Any]:
    _texts_of(body, "driver_opts")
    if "labels" in body:
        body["labels"] = _labels(body["labels"])
    return body


def _config(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("environment"):
        body.pop("content", None)
    return _volume(body)


_RESOURCES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "networks": _network,
    "volumes": _volume,
    "secrets": _config,
    "configs": _config,
}


def _texts_of(body: dict[str, Any], key: str) -> None:
    if key in body:
        body[key] = _texts(body[key])


def _empty(value: Any) -> bool:
    return value is None or value is False or value == 0 or value == "" or value == [] or value == {}


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in ("true", "y", "yes", "on", "1")
    return bool(value)


def _resolved(values: Mapping[str, str | None], env: Mapping[str, str], *, keep: bool) -> Map:
    """Bare names get their value from the project's environment, where it has one."""
    made = Map(at=getattr(values, "at", None))
    for key, value in values.items():
        if value is None:
            value = env.get(key)
            if value is None and not keep:
                continue
        made[key] = value
    return made


def _plain(value: Any) -> Any:
    """A value of a key without rules of its own; numbers stay numbers."""
    return value


def _text(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        raise ReaderError("a value must be a string or a number", rule="not-compose")
    return compose_text(value)


def _texts(value: Any) -> dict[str, str]:
    """A mapping, or a list of ``key=value``, of strings."""
    return {key: text or "" for key, text in _mapping(value).items()}


def _labels(value: Any) -> dict[str, str]:
    made = _mapping(value)
    for key, text in made.items():
        if text is None:
            made[key] = ""
    return made  # type: ignore[return-value]


def _mapping(value: Any) -> Map:
    """A mapping or a list of ``key=value`` as a mapping of strings; ``None`` for a bare key."""
    made: Map = Map()
    if isinstance(value, dict):
        made.at = getattr(value, "at", made.at)
        for key, item in value.items():
            made[key] = None if item is None else _text(item)
        return made
    if not isinstance(value, list):
        raise ReaderError("must be a list or a mapping", rule="not-compose")
    places = getattr(value, "at", [])
    for number, item in enumerate(value):
        _text(item)
        key, equals, text = compose_text(item).partition("=")
        made[key] = text if equals else None
        if number < len(places):
            made.at[key] = places[number]
    return made


def _list(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ReaderError("must be a list", rule="not-compose")
    return Seq([compose_text(item) for item in value], at=getattr(value, "at", None))


def _command(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        return parse_command(value)
    return _list(value)


def _size(value: Any) -> Any:
    size = parse_size(value)
    return str(size) if size else None


def _duration(value: Any) -> str:
    return duration_text(parse_duration(value))


def _hosts(value: Any) -> Any:
    pairs: list[str] = []
    if isinstance(value, dict):
        for host, addresses in value.items():
            for address in addresses if isinstance(addresses, list) else [addresses]:
                pairs.append(f"{host}={compose_text(address).strip('[]')}")
        return sorted(pairs)
    for item in _list(value):
        host, separator, addresses = item.partition("=" if "=" in item else ":")
        if not separator or not host:
            raise ReaderError(f"{item!r} is no host=address", rule="not-compose")
        pairs += [f"{host}={address.strip('[]')}" for address in addresses.split(",")]
    return sorted(pairs)


def _healthcheck(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ReaderError("must be a mapping", rule="not-compose")
    made: dict[str, Any] = {}
    for key, item in value.items():
        if key == "test" and item is not None:
            made[key] = ["CMD-SHELL", item] if isinstance(item, str) else _list(item)
        elif key in ("interval", "timeout", "start_period", "start_interval") and item is not None:
            made[key] = _duration(item)
        elif key == "disable" and item:
            made[key] = True
        elif key == "retries" and item is not None:
            made[key] = item
    return made


def _logging(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ReaderError("must be a mapping", rule="not-compose")
    made = {key: item for key, item in value.items() if key in ("driver", "options") and not _empty(item)}
    if "options" in made:
        made["options"] = _texts(made["options"])
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
            made[key] = _labels(item)
        elif key in ("update_config", "rollback_config", "restart_policy") and isinstance(item, dict):
            made[key] = {name: _policy(name, part) for name, part in item.items() if not _empty(part)}
        elif key == "placement" and isinstance(item, dict):
            made[key] = {name: part for name, part in item.items() if not _empty(part)}
        elif not key.startswith("x-") and (key == "replicas" or not _empty(item)) and item is not None:
            made[key] = item
    return made


def _policy(name: str, value: Any) -> Any:
    return _duration(value) if name in ("delay", "monitor", "window") else value


def _limits(value: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in value.items():
        if key == "memory":
            item = _size(item)
        elif key == "cpus":
            item = _number(item)
        if not _empty(item):
            made[key] = item
    return made


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ReaderError(f"invalid number {value!r}", rule="not-compose") from None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _build(value: dict[str, Any]) -> Any:
    made = Map(at=getattr(value, "at", None))
    for key, item in {"context": ".", **value}.items():
        if key in ("args",):
            item = _mapping(item)
        elif key == "labels":
            item = _labels(item)
        elif key == "additional_contexts":
            item = _texts(item)
        elif key in ("cache_from", "cache_to", "tags", "platforms"):
            item = _list(item)
        elif key == "extra_hosts":
            item = _hosts(item)
        elif key == "shm_size":
            item = _size(item)
        elif key == "ssh" and isinstance(item, dict):
            item = [name if path is None else f"{name}={path}" for name, path in item.items()]
        if not key.startswith("x-") and not _empty(item):
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
        made.append({key: item for key, item in port.items() if not _empty(item) and not key.startswith("x-")})
    return made


def _volumes(value: list[Any]) -> Any:
    made = Seq(at=getattr(value, "at", None))
    for entry in value:
        if not isinstance(entry.get("target"), str):
            raise ReaderError("a mount has no target", rule="not-compose")
        mount = {key: item for key, item in entry.items() if key in ("bind", "volume", "tmpfs") or not _empty(item)}
        mount["target"] = posixpath_clean(entry["target"])
        for key in ("bind", "volume", "tmpfs"):
            part = mount.get(key)
            if isinstance(part, dict):
                mount[key] = {name: item for name, item in part.items() if not _empty(item)}
            elif key in mount:
                del mount[key]
        if mount.get("tmpfs", {}).get("size"):
            mount["tmpfs"]["size"] = _size(mount["tmpfs"]["size"])
        made.append(mount)
    return made


def _mounted_files(default: str) -> Callable[[Any], Any]:
    def finish(value: list[dict[str, Any]]) -> Any:
        made = Seq(at=getattr(value, "at", None))
        for entry in value:
            full = {"target": f"{default}{entry.get('source')}", **entry} if default else entry
            made.append({key: item for key, item in full.items() if key == "mode" or not _empty(item)})
        return made

    return finish


def _service_networks(value: dict[str, Any]) -> Any:
    made = Map(at=getattr(value, "at", None))
    for name, how in value.items():
        if how is not None and not isinstance(how, dict):
            raise ReaderError(f"{name} must be a mapping", rule="not-compose")
        made[name] = None if how is None else {key: item for key, item in how.items() if not _empty(item)}
    return made


def _dependencies(value: dict[str, Any]) -> Any:
    made = Map(at=getattr(value, "at", None))
    for name, how in value.items():
        made[name] = {key: item for key, item in how.items() if key == "required" or not _empty(item)}
    return made


def _ulimits(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ReaderError("must be a mapping", rule="not-compose")
    return {
        name: {key: item for key, item in limit.items() if not _empty(item)} if isinstance(limit, dict) else limit
        for name, limit in value.items()
    }


def _devices(value: list[dict[str, Any]]) -> Any:
    return [{key: item for key, item in entry.items() if not _empty(item)} for entry in value]


def _pull_policy(value: Any) -> Any:
    return "missing" if value == "if_not_present" else value


_FINISH: dict[str, Callable[[Any], Any]] = {
    "annotations": _texts,
    "build": _build,
    "command": _command,
    "configs": _mounted_files(""),
    "cpus": _number,
    "depends_on": _dependencies,
    "deploy": _deploy,
    "devices": _devices,
    "entrypoint": _command,
    "env_file": lambda value: Seq([entry["path"] for entry in value], at=getattr(value, "at", None)),
    "environment": _mapping,
    "extra_hosts": _hosts,
    "gpus": lambda value: [each if {"count", "device_ids"} & set(each) else {**each, "count": -1} for each in value],
    "healthcheck": _healthcheck,
    "labels": _labels,
    "logging": _logging,
    "networks": _service_networks,
    "ports": _ports,
    "pull_policy": _pull_policy,
    "secrets": _mounted_files("/run/secrets/"),
    "stop_grace_period": _duration,
    "storage_opt": _texts,
    "sysctls": _texts,
    "ulimits": _ulimits,
    "volumes": _volumes,
    **dict.fromkeys(("mem_limit", "mem_reservation", "memswap_limit", "mem_swappiness", "shm_size"), _size),
    **dict.fromkeys(
        (
            "cap_add",
            "cap_drop",
            "device_cgroup_rules",
            "dns",
            "dns_opt",
            "dns_search",
            "expose",
            "external_links",
            "group_add",
            "links",
            "profiles",
            "security_opt",
            "tmpfs",
            "volumes_from",
        ),
        _list,
    ),
    **dict.fromkeys(
        (
            "cgroup",
            "cgroup_parent",
            "container_name",
            "cpuset",
            "domainname",
            "hostname",
            "image",
            "ipc",
            "isolation",
            "mac_address",
            "network_mode",
            "pid",
            "platform",
            "restart",
            "runtime",
            "stop_signal",
            "user",
            "userns_mode",
            "uts",
            "working_dir",
        ),
        _text,
    ),
}
