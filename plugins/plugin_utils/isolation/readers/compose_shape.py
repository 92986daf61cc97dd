# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes that Compose accepts: which keys there are, and of which type their values may be.

A shape is a word of type letters (``s`` string, ``i`` integer, ``n`` number, ``b`` boolean, ``0`` null, ``*`` anything)
or one of the classes below. Keys that begin with ``x-`` are allowed wherever Compose allows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Union

from .errors import ReaderError
from .yaml_text import Map, Seq

Shape = Union[str, "ListOf", "MapOf", "Keys", "Either"]


_TYPES: dict[str, tuple[type, ...]] = {
    "s": (str,),
    "i": (int,),
    "n": (int, float),
    "b": (bool,),
    "0": (type(None),),
}


@cache
def _types(letters: str) -> frozenset[type]:
    return frozenset(base for letter in letters for base in _TYPES[letter])


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose entries have one shape."""

    entry: Shape


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with keys of the user's own."""

    value: Shape


class Keys:
    """A mapping with known keys. A name that ends in ``!`` must be there."""

    __slots__ = ("needed", "shapes")

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = {name.rstrip("!"): shape for name, shape in shapes.items()}
        self.needed = [name[:-1] for name in shapes if name.endswith("!")]


class Either:
    """One of several shapes; they differ in what kind of value they are, so that a value's type chooses one."""

    __slots__ = ("by_type", "shapes")

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = shapes
        self.by_type: dict[type, Shape] = {}
        for shape in shapes:
            if isinstance(shape, str):
                kinds: Iterable[type] = _types(shape)
            elif isinstance(shape, Either):
                kinds = shape.by_type
            else:
                kinds = (list, Seq) if isinstance(shape, ListOf) else (dict, Map)
            for kind in kinds:
                self.by_type.setdefault(kind, shape)


_KINDS = {"s": "a string", "i": "a whole number", "n": "a number", "b": "true or false", "0": "null"}

_STRINGS = ListOf("s")
_WORDS = Either("s", _STRINGS)
_PAIRS = Either(MapOf("snb0"), _STRINGS)
_SWITCH = "bs"
_NUMBER = "ns"
_COMMAND = Either("0s", _STRINGS)
_HOSTS = Either(MapOf(_WORDS), _STRINGS)
_ULIMITS = MapOf(Either("is", Keys({"hard!": "is", "soft!": "is"})))
_FILES = ListOf(Either("s", Keys({"source": "s", "target": "s", "uid": "s", "gid": "s", "mode": "ns"})))
_OPTIONS = MapOf("sn")
_HOOKS = ListOf(
    Keys({"command": _COMMAND, "user": "s", "privileged": _SWITCH, "working_dir": "s", "environment": _PAIRS})
)
_GPUS = ListOf(
    Keys({"capabilities": _STRINGS, "count": "si", "device_ids": _STRINGS, "driver": "s", "options": _PAIRS})
)
_UPDATE = Keys(
    {
        "parallelism": "is",
        "delay": "s",
        "failure_action": "s",
        "monitor": "s",
        "max_failure_ratio": "ns",
        "order": "s",
    }
)
_LIMITS = Keys(
    {
        "cpus": "ns",
        "memory": "s",
        "pids": "is",
        "devices": _GPUS,
        "generic_resources": ListOf(Keys({"discrete_resource_spec": Keys({"kind": "s", "value": "ns"})})),
    }
)
_DEPLOY = Either(
    "0",
    Keys(
        {
            "mode": "s",
            "endpoint_mode": "s",
            "replicas": "is",
            "labels": _PAIRS,
            "rollback_config": _UPDATE,
            "update_config": _UPDATE,
            "resources": Keys({"limits": _LIMITS, "reservations": _LIMITS}),
            "restart_policy": Keys({"condition": "s", "delay": "s", "max_attempts": "is", "window": "s"}),
            "placement": Keys(
                {
                    "constraints": _STRINGS,
                    "preferences": ListOf(Keys({"spread": "s"})),
                    "max_replicas_per_node": "is",
                }
            ),
        }
    ),
)
_BUILD = Either(
    "s",
    Keys(
        {
            "context": "s",
            "dockerfile": "s",
            "dockerfile_inline": "s",
            "entitlements": _STRINGS,
            "ssh": Either("b", _PAIRS),
            "args": _PAIRS,
            "labels": _PAIRS,
            "cache_from": _STRINGS,
            "cache_to": _STRINGS,
            "no_cache": _SWITCH,
            "no_cache_filter": _WORDS,
            "additional_contexts": _PAIRS,
            "network": "s",
            "provenance": "sb",
            "sbom": "sb",
            "pull": _SWITCH,
            "target": "s",
            "shm_size": "is",
            "extra_hosts": _HOSTS,
            "isolation": "s",
            "privileged": _SWITCH,
            "secrets": _FILES,
            "tags": _STRINGS,
            "ulimits": _ULIMITS,
            "platforms": _STRINGS,
        }
    ),
)
_HEALTH = Keys(
    {
        "disable": _SWITCH,
        "interval": "s",
        "retries": "ns",
        "test": _WORDS,
        "timeout": "s",
        "start_period": "s",
        "start_interval": "s",
    }
)
_MOUNT = Keys(
    {
        "type!": "s",
        "source": "s",
        "target": "s",
        "read_only": _SWITCH,
        "consistency": "s",
        "bind": Keys({"propagation": "s", "create_host_path": _SWITCH, "recursive": "s", "selinux": "s"}),
        "volume": Keys({"nocopy": _SWITCH, "subpath": "s", "labels": _PAIRS}),
        "tmpfs": Keys({"size": "is", "mode": "ns"}),
        "image": Keys({"subpath": "s"}),
    }
)
_PORT = Keys(
    {
        "name": "s",
        "mode": "s",
        "host_ip": "s",
        "target": "is",
        "published": "is",
        "protocol": "s",
        "app_protocol": "s",
    }
)
_SERVICE_NETWORK = Either(
    "0",
    Keys(
        {
            "aliases": _STRINGS,
            "interface_name": "s",
            "ipv4_address": "s",
            "ipv6_address": "s",
            "link_local_ips": _STRINGS,
            "mac_address": "s",
            "driver_opts": _OPTIONS,
            "priority": "n",
            "gw_priority": "n",
        }
    ),
)
_SERVICE = Keys(
    {
        **dict.fromkeys(
            ("attach", "init", "oom_kill_disable", "privileged", "read_only", "stdin_open", "tty", "use_api_socket"),
            _SWITCH,
        ),
        **dict.fromkeys(
            (
                "cpu_count",
                "cpu_percent",
                "cpu_period",
                "cpu_quota",
                "cpu_rt_period",
                "cpu_rt_runtime",
                "cpu_shares",
                "cpus",
                "mem_limit",
                "mem_reservation",
                "mem_swappiness",
                "memswap_limit",
                "oom_score_adj",
                "pids_limit",
                "scale",
                "shm_size",
            ),
            _NUMBER,
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
                "platform",
                "pull_policy",
                "pull_refresh_after",
                "restart",
                "runtime",
                "stop_grace_period",
                "stop_signal",
                "user",
                "userns_mode",
                "uts",
                "working_dir",
            ),
            "s",
        ),
        **dict.fromkeys(
            (
                "cap_add",
                "cap_drop",
                "device_cgroup_rules",
                "dns_opt",
                "external_links",
                "links",
                "profiles",
                "security_opt",
                "volumes_from",
            ),
            _STRINGS,
        ),
        **dict.fromkeys(("dns", "dns_search", "label_file", "tmpfs"), _WORDS),
        **dict.fromkeys(("annotations", "environment", "labels", "sysctls"), _PAIRS),
        **dict.fromkeys(("command", "entrypoint"), _COMMAND),
        **dict.fromkeys(("configs", "secrets"), _FILES),
        **dict.fromkeys(("blkio_config", "credential_spec", "provider"), MapOf("*")),
        "build": _BUILD,
        "depends_on": Either(_STRINGS, MapOf(Keys({"condition!": "s", "restart": _SWITCH, "required": "b"}))),
        "deploy": _DEPLOY,
        "develop": Either("0", MapOf("*")),
        "devices": ListOf(Either("s", Keys({"source!": "s", "target": "s", "permissions": "s"}))),
        "env_file": Either("s", ListOf(Either("s", Keys({"path!": "s", "format": "s", "required": _SWITCH})))),
        "expose": ListOf("sn"),
        "extends": Either("s", Keys({"service!": "s", "file": "s"})),
        "extra_hosts": _HOSTS,
        "gpus": Either("s", _GPUS),
        "group_add": ListOf("sn"),
        "healthcheck": _HEALTH,
        "logging": Keys({"driver": "s", "options": MapOf("sn0")}),
        "models": Either(_STRINGS, MapOf("*")),
        "networks": Either(_STRINGS, MapOf(_SERVICE_NETWORK)),
        "pid": "s0",
        "ports": ListOf(Either("ns", _PORT)),
        "post_start": _HOOKS,
        "pre_stop": _HOOKS,
        "storage_opt": MapOf("*"),
        "ulimits": _ULIMITS,
        "volumes": ListOf(Either("s", _MOUNT)),
    }
)
_EXTERNAL = Either("bs", Keys({"name": "s"}))
_NETWORK = Either(
    "0",
    Keys(
        {
            "name": "s",
            "driver": "s",
            "driver_opts": _OPTIONS,
            "ipam": Keys(
                {
                    "driver": "s",
                    "config": ListOf(
                        Keys({"subnet": "s", "ip_range": "s", "gateway": "s", "aux_addresses": MapOf("s")})
                    ),
                    "options": MapOf("s"),
                }
            ),
            "external": _EXTERNAL,
            **dict.fromkeys(("internal", "enable_ipv4", "enable_ipv6", "attachable"), _SWITCH),
            "labels": _PAIRS,
        }
    ),
)
_VOLUME = Either(
    "0", Keys({"name": "s", "driver": "s", "driver_opts": _OPTIONS, "external": _EXTERNAL, "labels": _PAIRS})
)
_FILE = Keys(
    {
        **dict.fromkeys(("name", "content", "environment", "file", "driver", "template_driver"), "s"),
        "driver_opts": _OPTIONS,
        "external": _EXTERNAL,
        "labels": _PAIRS,
    }
)
_MODEL = Keys(
    {
        "name": "s",
        "version": "s",
        "include": "*",
        "services": MapOf(_SERVICE),
        "networks": MapOf(_NETWORK),
        "volumes": MapOf(_VOLUME),
        "secrets": MapOf(_FILE),
        "configs": MapOf(_FILE),
        "models": MapOf("*"),
    }
)


def check_model(model: Mapping[str, Any]) -> None:
    """Refuse a model that Compose's schema refuses. Raises :class:`ReaderError` with the line where it is known."""
    _refuse(model, _MODEL, "")


def check_service(service: Any, name: str) -> None:
    """Refuse a service that Compose's schema refuses."""
    _refuse(service, _SERVICE, f"services.{name}")


class _Misfit(Exception):
    """What does not fit. The way to it is put together while the error comes up: most values fit."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path: list[str] = []
        self.line = 0

    def below(self, key: object, place: tuple[str, int] | None) -> None:
        """Note one more step of the way."""
        self.path.append(str(key))
        self.line = self.line or (place[1] if place else 0)


def _refuse(value: Any, shape: Shape, start: str) -> None:
    try:
        _check(value, shape)
    except _Misfit as misfit:
        path = ".".join([start] * bool(start) + misfit.path[::-1])
        raise ReaderError(f"{path or 'the file'}{misfit.message}", misfit.line, rule="not-compose") from None


def _check(value: Any, shape: Shape) -> None:
    if isinstance(shape, str):
        if shape != "*" and not _is(value, shape):
            raise _wrong(shape)
    elif isinstance(shape, Either):
        chosen = shape.by_type.get(type(value)) or next((each for each in shape.shapes if _fits(value, each)), None)
        if chosen is None:
            raise _wrong(*shape.shapes)
        _check(value, chosen)
    elif not _fits(value, shape):
        raise _wrong(shape)
    elif isinstance(shape, ListOf):
        for number, entry in enumerate(value):
            try:
                _check(entry, shape.entry)
            except _Misfit as misfit:
                places = getattr(value, "at", ())
                misfit.below(number, places[number] if number < len(places) else None)
                raise
    else:
        _check_mapping(value, shape)


def _check_mapping(value: Mapping[str, Any], shape: MapOf | Keys) -> None:
    known = shape.shapes if isinstance(shape, Keys) else None
    key = ""
    try:
        for key, item in value.items():
            if known is None:
                _check(item, shape.value)  # type: ignore[union-attr]
            elif key in known:
                _check(item, known[key])
            elif not str(key).startswith("x-"):
                raise _Misfit(": Compose knows no such key")
    except _Misfit as misfit:
        misfit.below(key, getattr(value, "at", {}).get(key))
        raise
    for key in shape.needed if isinstance(shape, Keys) else ():
        if key not in value:
            raise _Misfit(f" has no {key!r}")


def _is(value: Any, letters: str) -> bool:
    if type(value) in _types(letters):
        return True
    if isinstance(value, float):
        return value.is_integer() and "i" in letters
    # Ansible's own strings are of subclasses of str.
    return isinstance(value, str) and "s" in letters


def _fits(value: Any, shape: Shape) -> bool:
    """Whether a value is of a shape's kind, whatever is inside."""
    if isinstance(shape, str):
        return shape == "*" or _is(value, shape)
    if isinstance(shape, ListOf):
        return isinstance(value, list)
    if isinstance(shape, Either):
        return any(_fits(value, each) for each in shape.shapes)
    return isinstance(value, Mapping)


def _wrong(*shapes: Shape) -> _Misfit:
    kinds = " or ".join(dict.fromkeys(kind for shape in shapes for kind in _words_of(shape)))
    return _Misfit(f" must be {kinds}")


def _words_of(shape: Shape) -> Iterator[str]:
    if isinstance(shape, str):
        yield from (_KINDS[letter] for letter in shape if letter in _KINDS)
    elif isinstance(shape, Either):
        for each in shape.shapes:
            yield from _words_of(each)
    else:
        yield "a list" if isinstance(shape, ListOf) else "a mapping"
