# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merge models as Compose does: several files, ``extends``, ``!reset``, ``!override``, unique entries of lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...errors import ReaderError
from .short_forms import compose_text, parse_volume
from .yaml_text import Map, Seq

Path = tuple[str, ...]
Merger = Callable[[Any, Any, Path], Any]


def matches(path: Path, pattern: Path) -> bool:
    """Whether a path matches a pattern, in which ``*`` stands for any single key."""
    return len(path) == len(pattern) and all(want in ("*", part) for part, want in zip(path, pattern, strict=True))


def merge(base: Any, over: Any, path: Path = ()) -> Any:
    """Merge ``over`` into ``base``. A mapping ``base`` is changed in place and returned."""
    special = _special(path, _MERGERS)
    if special:
        return special(base, over, path)
    if over is None:
        return base
    if isinstance(base, dict):
        if not isinstance(over, dict):
            raise _unmergeable(path)
        return _mappings(base, over, path)
    if isinstance(base, list):
        if not isinstance(over, list):
            raise _unmergeable(path)
        return _joined(base, over)
    return over


def extend(base: dict[str, Any], over: dict[str, Any]) -> Any:
    """Merge a service (``over``) into the one that it extends (``base``)."""
    return _mappings(base, over, ("services", "*"))


def reset(target: Any, resets: Iterable[Path], path: Path = ()) -> None:
    """Delete from ``target`` what a later file resets or overrides."""
    patterns = list(resets)
    if not patterns or not isinstance(target, dict):
        return
    for key in list(target):
        here = (*path, key)
        if any(matches(here, pattern) for pattern in patterns):
            del target[key]
        else:
            reset(target[key], patterns, here)


def unique(value: Any, path: Path = ()) -> Any:
    """Remove duplicates from a model's lists, in place; the last one is kept, at the position of the first."""
    if isinstance(value, dict):
        for key in value:
            value[key] = unique(value[key], (*path, key))
    elif isinstance(value, list):
        index = _special(path, _UNIQUE)
        if index:
            return _unique_list(value, index, path)
    return value


def _unique_list(value: list[Any], index: Callable[[Any, Path], str], path: Path) -> Seq:
    kept = Seq()
    seen: dict[str, int] = {}
    places = getattr(value, "at", [])
    for number, entry in enumerate(value):
        key = index(entry, path)
        place = places[number] if number < len(places) else ("", 0)
        if key in seen:
            kept[seen[key]] = entry
            kept.at[seen[key]] = place
        else:
            seen[key] = len(kept)
            kept.append(entry)
            kept.at.append(place)
    return kept


def _special(path: Path, table: dict[Path, Any]) -> Any:
    """The entry of a table for a path, in which ``*`` stands for the names of services, networks and so on."""
    if len(path) < 3:
        return None
    entry = table.get((path[0], "*", *path[2:]))
    if entry is None and len(path) == 4:
        entry = table.get((path[0], "*", path[2], "*"))
    if entry is None and len(path) == 5:
        entry = table.get((path[0], "*", path[2], "*", path[4]))
    return entry


def _mappings(base: dict[str, Any], over: dict[str, Any], path: Path) -> dict[str, Any]:
    at = getattr(base, "at", None)
    places = getattr(over, "at", {})
    for key, value in over.items():
        if key not in base or key.startswith("x-"):
            base[key] = value
        else:
            base[key] = merge(base[key], value, (*path, key))
        if at is not None and key in places:
            at[key] = places[key]
    return base


def _joined(base: list[Any], over: list[Any]) -> Seq:
    return Seq([*base, *over], at=[*_places(base), *_places(over)])


def _places(value: list[Any]) -> list[tuple[str, int]]:
    places = list(getattr(value, "at", []))
    return places + [("", 0)] * (len(value) - len(places))


def _sequence(value: Any) -> Seq:
    """A mapping, a string or a list as a list of ``key=value``."""
    if isinstance(value, dict):
        at = getattr(value, "at", {})
        made: list[tuple[str, tuple[str, int]]] = []
        for key, item in value.items():
            for scalar in item if isinstance(item, list) else [item]:
                text = key if scalar is None else f"{key}={compose_text(scalar)}"
                made.append((text, at.get(key, ("", 0))))
        made.sort(key=lambda pair: pair[0])
        return Seq([text for text, _unused in made], at=[place for _unused, place in made])
    if isinstance(value, list):
        return Seq(value, at=_places(value))
    if isinstance(value, str):
        return Seq([value], at=[("", 0)])
    return Seq()


def _mapping(value: Any, default: dict[str, Any] | None) -> Map:
    if isinstance(value, dict):
        return value if isinstance(value, Map) else Map(value)
    made = Map()
    if isinstance(value, list):
        for item, place in zip(value, _places(value), strict=True):
            made[str(item)] = None if default is None else dict(default)
            made.at[str(item)] = place
    return made


def _merge_sequences(base: Any, over: Any, path: Path) -> Any:
    del path
    return _joined(_sequence(base), _sequence(over))


def _merge_hosts(base: Any, over: Any, path: Path) -> Any:
    del path
    kept = _sequence(base)
    new = _sequence(over)
    fresh = [(item, place) for item, place in zip(new, new.at, strict=True) if item not in kept]
    return _joined(kept, Seq([item for item, _unused in fresh], at=[place for _unused, place in fresh]))


def _merge_build(base: Any, over: Any, path: Path) -> Any:
    def build(value: Any) -> Map:
        if isinstance(value, str):
            return Map({"context": value})
        return _mapping(value, None)

    return _mappings(build(base), build(over), path)


def _merge_depends_on(base: Any, over: Any, path: Path) -> Any:
    default = {"condition": "service_started", "required": True}
    return _mappings(_mapping(base, default), _mapping(over, default), path)


def _merge_networks(base: Any, over: Any, path: Path) -> Any:
    return _mappings(_mapping(base, None), _mapping(over, None), path)


def _merge_logging(base: Any, over: Any, path: Path) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        raise _unmergeable(path)
    if "driver" not in base or "driver" not in over or base["driver"] == over["driver"]:
        return _mappings(base, over, path)
    return over


def _merge_ipam(base: Any, over: Any, path: Path) -> Any:
    if not isinstance(base, list) or not isinstance(over, list):
        raise _unmergeable(path)
    pools: list[dict[str, Any]] = []

    def find(subnet: Any) -> int:
        return next((number for number, pool in enumerate(pools) if pool.get("subnet") == subnet), -1)

    for original in base:
        ours = _mapping(original, None)
        for other in over:
            theirs = _mapping(other, None)
            if theirs.get("subnet") != ours.get("subnet") and find(theirs.get("subnet")) < 0:
                pools.append(theirs)
                continue
            merged = _mappings(ours, theirs, path)
            known = find(merged.get("subnet"))
            if known >= 0:
                pools[known] = merged
            else:
                pools.append(merged)
    return Seq(pools)


def _override(base: Any, over: Any, path: Path) -> Any:
    del base, path
    return over


def _unmergeable(path: Path) -> ReaderError:
    return ReaderError(
        f"cannot override {'.'.join(path)}: one is a mapping or list, the other is not", rule="not-compose"
    )


_MERGERS: dict[Path, Merger] = {
    ("networks", "*", "ipam", "config"): _merge_ipam,
    ("services", "*", "build"): _merge_build,
    ("services", "*", "build", "extra_hosts"): _merge_hosts,
    ("services", "*", "extra_hosts"): _merge_hosts,
    ("services", "*", "depends_on"): _merge_depends_on,
    ("services", "*", "logging"): _merge_logging,
    ("services", "*", "networks"): _merge_networks,
    ("services", "*", "ulimits", "*"): _override,
    ("services", "*", "command"): _override,
    ("services", "*", "entrypoint"): _override,
    ("services", "*", "healthcheck", "test"): _override,
    ("networks", "*", "labels"): _merge_sequences,
    ("volumes", "*", "labels"): _merge_sequences,
    ("services", "*", "build", "args"): _merge_sequences,
    ("services", "*", "build", "additional_contexts"): _merge_sequences,
    ("services", "*", "build", "labels"): _merge_sequences,
    ("services", "*", "deploy", "labels"): _merge_sequences,
    **{
        ("services", "*", key): _merge_sequences
        for key in (
            "annotations",
            "dns",
            "dns_opt",
            "dns_search",
            "env_file",
            "label_file",
            "environment",
            "labels",
            "sysctls",
            "tmpfs",
        )
    },
}


def _by_key(entry: Any, path: Path) -> str:
    if not isinstance(entry, str):
        raise ReaderError(f"{'.'.join(path)}: every entry of a list must be a string", rule="not-compose")
    return entry.partition("=")[0]


def _by_target(entry: Any, path: Path) -> str:
    if isinstance(entry, dict):
        target = entry.get("target")
        if not isinstance(target, str):
            raise ReaderError(f"{'.'.join(path)}: a mount has no target", rule="not-compose")
        return target
    return str(parse_volume(entry).get("target", "")) if isinstance(entry, str) else ""


def _by_device(entry: Any, path: Path) -> str:
    if isinstance(entry, dict):
        return _by_target(entry, path)
    parts = str(entry).split(":")
    return parts[0] if len(parts) == 1 else parts[1]


def _by_path(entry: Any, path: Path) -> str:
    if isinstance(entry, dict):
        if "path" not in entry:
            raise ReaderError(f"{'.'.join(path)}: an entry has no path", rule="not-compose")
        return str(entry["path"])
    return str(entry)


def _by_port(entry: Any, path: Path) -> str:
    if isinstance(entry, dict):
        if "target" not in entry:
            raise ReaderError(f"{'.'.join(path)}: a port has no target", rule="not-compose")
        host, protocol = entry.get("host_ip", "0.0.0.0"), entry.get("protocol", "tcp")
        return f"{host}:{entry.get('published')}:{entry['target']}/{protocol}"
    return str(entry)


def _by_mount(default: str) -> Callable[[Any, Path], str]:
    def index(entry: Any, path: Path) -> str:
        if isinstance(entry, dict):
            return str(entry.get("target") or f"{default}/{entry.get('source')}")
        if not isinstance(entry, str):
            raise ReaderError(f"{'.'.join(path)}: {entry!r} is neither a name nor a mapping", rule="not-compose")
        return f"{default}/{entry}"

    return index


_UNIQUE: dict[Path, Callable[[Any, Path], str]] = {
    ("networks", "*", "labels"): _by_key,
    ("networks", "*", "ipam", "options"): _by_key,
    ("services", "*", "build", "args"): _by_key,
    ("services", "*", "build", "additional_contexts"): _by_key,
    ("services", "*", "build", "tags"): _by_key,
    ("services", "*", "build", "labels"): _by_key,
    ("services", "*", "deploy", "labels"): _by_key,
    ("services", "*", "networks", "*", "aliases"): _by_key,
    ("services", "*", "networks", "*", "link_local_ips"): _by_key,
    ("services", "*", "devices"): _by_device,
    ("services", "*", "configs"): _by_mount(""),
    ("services", "*", "secrets"): _by_mount("/run/secrets"),
    ("services", "*", "env_file"): _by_path,
    ("services", "*", "expose"): lambda entry, path: str(entry),
    ("services", "*", "ports"): _by_port,
    ("services", "*", "volumes"): _by_target,
    **{
        ("services", "*", key): _by_key
        for key in (
            "annotations",
            "cap_add",
            "cap_drop",
            "dns",
            "dns_opt",
            "dns_search",
            "environment",
            "labels",
            "links",
            "profiles",
            "sysctls",
            "tmpfs",
        )
    },
}
