# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert a model to its long form: short syntax, defaults, absolute paths.

This works on models while they are merged; :mod:`.printed` makes the printed form.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ReaderError
from .short_forms import compose_text, parse_ports, parse_volume, posixpath_clean
from .yaml_text import Map, Place, Seq

SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
_URLS = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")


def canonical(model: dict[str, Any]) -> dict[str, Any]:
    """Convert every short form of a model to its long form, in place."""
    for section in SECTIONS:
        entries = model.get(section)
        if not isinstance(entries, dict):
            continue
        for name, entry in entries.items():
            if isinstance(entry, dict):
                entries[name] = canonical_service(entry, name) if section == "services" else _resource(entry, name)
    return model


def canonical_service(service: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of a service with every short form converted to its long form."""
    made = Map(service, at=getattr(service, "at", None))
    for key, value in service.items():
        step = _LONG.get(key)
        if step is None or value is None:
            continue
        try:
            made[key] = step(value)
        except ReaderError as error:
            place = made.at.get(key, ("", 0))
            raise ReaderError(
                f"services.{name}.{key}: {error.message}", error.line or place[1], rule=error.rule
            ) from None
    return made


def _resource(entry: dict[str, Any], name: str) -> dict[str, Any]:
    external = entry.get("external")
    if isinstance(external, dict):
        entry["external"] = True
        if "name" in external:
            if entry.get("name", external["name"]) != external["name"]:
                raise ReaderError(f"{name}: name and external.name differ; keep name", rule="not-compose")
            entry["name"] = external["name"]
    return entry


def _items(value: Any, step: Callable[[Any], Any]) -> Seq:
    """A list with ``step`` applied to each entry (a tuple adds several entries); places are kept."""
    if not isinstance(value, list):
        raise ReaderError("must be a list", rule="not-compose")
    places: list[Place] = getattr(value, "at", [])
    made = Seq()
    for number, entry in enumerate(value):
        place = places[number] if number < len(places) else ("", 0)
        try:
            changed = step(entry)
        except ReaderError as error:
            raise ReaderError(error.message, error.line or place[1], rule=error.rule) from None
        for long_form in changed if isinstance(changed, tuple) else (changed,):
            made.append(long_form)
            made.at.append(place)
    return made


def _port(entry: Any) -> Any:
    if isinstance(entry, dict):
        return Map(entry, at=getattr(entry, "at", None))
    if isinstance(entry, bool) or not isinstance(entry, (int, str)):
        raise ReaderError(f"invalid port {entry!r}", rule="not-compose")
    return tuple(parse_ports(str(entry)))


def _mount(entry: Any) -> Any:
    if isinstance(entry, dict):
        return Map(entry, at=getattr(entry, "at", None))
    if not isinstance(entry, str):
        raise ReaderError(f"invalid volume {entry!r}", rule="not-compose")
    return parse_volume(entry)


def _device(entry: Any) -> Any:
    if isinstance(entry, dict):
        return dict(entry)
    parts = str(entry).split(":")
    if len(parts) > 3:
        raise ReaderError(f"confusing device {entry!r}: use the long form", rule="not-compose")
    target = parts[1] if len(parts) > 1 and parts[1] else parts[0]
    return {"source": parts[0], "target": target, "permissions": parts[2] if len(parts) == 3 else "rwm"}


def _file_mount(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"source": entry}
    if not isinstance(entry, dict):
        raise ReaderError(f"{entry!r} is neither a name nor a mapping", rule="not-compose")
    return dict(entry)


def _env_file(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"path": entry, "required": True}
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise ReaderError(f"{entry!r} is neither a path nor a mapping with one", rule="not-compose")
    return {"required": True, **entry}


def _depends_on(value: Any) -> Any:
    if isinstance(value, list):
        places: list[Place] = getattr(value, "at", [])
        made = Map({str(name): {"condition": "service_started", "required": True} for name in value})
        made.at = {str(name): place for name, place in zip(value, places, strict=False)}
        return made
    if not isinstance(value, dict):
        raise ReaderError("must be a list or a mapping", rule="not-compose")
    for name, how in value.items():
        if not isinstance(how, dict):
            raise ReaderError(f"{name} must be a mapping", rule="not-compose")
    full = {name: {"condition": "service_started", "required": True, **how} for name, how in value.items()}
    return Map(full, at=getattr(value, "at", None))


def _networks(value: Any) -> Any:
    if isinstance(value, list):
        places: list[Place] = getattr(value, "at", [])
        made = Map(dict.fromkeys(map(str, value)))
        made.at = {str(name): place for name, place in zip(value, places, strict=False)}
        return made
    if not isinstance(value, dict):
        raise ReaderError("must be a list or a mapping", rule="not-compose")
    return value


def _build(value: Any) -> Any:
    if isinstance(value, str):
        return {"context": value}
    if not isinstance(value, dict):
        raise ReaderError("must be a path or a mapping", rule="not-compose")
    made = Map(value, at=getattr(value, "at", None))
    if isinstance(made.get("secrets"), list):
        made["secrets"] = _items(made["secrets"], _file_mount)
    if isinstance(made.get("additional_contexts"), list):
        made["additional_contexts"] = _key_values(made["additional_contexts"])
    if isinstance(made.get("ssh"), list):
        made["ssh"] = {key: path or None for key, _unused, path in (str(item).partition("=") for item in made["ssh"])}
    return made


def _key_values(value: list[Any]) -> dict[str, str]:
    made = {}
    for item in value:
        key, equals, text = str(item).partition("=")
        if not equals:
            raise ReaderError(f"{item!r} is not key=value", rule="not-compose")
        made[key] = text
    return made


def _words(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _dns(value: Any) -> Any:
    return [entry for entry in _words(value) if entry not in (None, "")]


def _gpus(value: Any) -> Any:
    if isinstance(value, str) and value != "all":
        raise ReaderError("must be 'all' or a list", rule="not-compose")
    return [{}] if isinstance(value, str) else value


def _list_or_mapping(value: Any) -> Any:
    if not isinstance(value, (list, dict)):
        raise ReaderError("must be a list or a mapping", rule="not-compose")
    return value


_LONG: dict[str, Callable[[Any], Any]] = {
    "build": _build,
    "configs": lambda value: _items(value, _file_mount),
    "depends_on": _depends_on,
    "devices": lambda value: _items(value, _device),
    "dns": _dns,
    "env_file": lambda value: _items([value] if isinstance(value, str) else value, _env_file),
    "environment": _list_or_mapping,
    "gpus": _gpus,
    "label_file": _words,
    "labels": _list_or_mapping,
    "networks": _networks,
    "ports": lambda value: _items(value, _port),
    "secrets": lambda value: _items(value, _file_mount),
    "volumes": lambda value: _items(value, _mount),
}


class Paths:
    """Makes paths absolute, relative to ``base``; ``home`` replaces ``~``."""

    def __init__(self, base: str, home: str) -> None:
        self._base = base
        self._home = home

    def path(self, value: Any) -> Any:
        """An absolute path; an already absolute one is kept as written."""
        text = compose_text(value)
        if text.startswith("~"):
            text = posixpath_clean(posixpath.join(self._home, text[1:].lstrip("/")))
        if not text or text.startswith("/"):
            return text
        if len(text) > 2 and text[1] == ":" and text[0].isalpha() and text[2] in "/\\":
            return text
        return posixpath_clean(posixpath.join(self._base, text))

    def context(self, value: Any) -> Any:
        """A build context: an absolute path, unless it is a URL or another service."""
        text = compose_text(value)
        if "://" in text or text.startswith(("service:", *_URLS)):
            return text
        return self.path(text)

    def service(self, service: dict[str, Any], *, defaults: bool = True) -> None:
        """Convert all paths of a canonical service in place. With ``defaults``, add a missing build context."""
        build = service.get("build")
        if isinstance(build, dict):
            build = service["build"] = Map(build, at=getattr(build, "at", None))
            if defaults or build.get("context") is not None:
                build["context"] = self.context(build.get("context") or ".")
            if isinstance(build.get("additional_contexts"), dict):
                contexts = build["additional_contexts"].items()
                build["additional_contexts"] = {key: self.context(value) for key, value in contexts}
        for entry in service.get("env_file") or ():
            entry["path"] = self.path(entry["path"])
        if isinstance(service.get("label_file"), list):
            service["label_file"] = [self.path(entry) for entry in service["label_file"]]
        extends = service.get("extends")
        if isinstance(extends, dict) and extends.get("file"):
            service["extends"] = {**extends, "file": self.path(extends["file"])}
        for mount in service.get("volumes") or ():
            if mount.get("type") == "bind":
                if not mount.get("source"):
                    raise ReaderError(f"the bind mount on {mount.get('target')!r} has no source", rule="not-compose")
                if str(mount["source"]).startswith("~"):
                    mount["x-home"] = True
                mount["source"] = self.path(mount["source"])

    def resources(self, model: Mapping[str, Any]) -> None:
        """Convert the paths of volumes, secrets and configs in place."""
        for section in ("secrets", "configs"):
            for entry in (model.get(section) or {}).values():
                if isinstance(entry, dict) and entry.get("file") is not None:
                    entry["file"] = self.path(entry["file"])
        for entry in (model.get("volumes") or {}).values():
            options = entry.get("driver_opts") if isinstance(entry, dict) and entry.get("driver") == "local" else None
            if isinstance(options, dict) and options.get("o") == "bind" and isinstance(options.get("device"), str):
                entry["driver_opts"] = {**options, "device": self.path(options["device"])}

    def model(self, model: Mapping[str, Any], *, defaults: bool = True) -> None:
        """Convert all paths of a canonical model in place."""
        for service in (model.get("services") or {}).values():
            if isinstance(service, dict):
                self.service(service, defaults=defaults)
        self.resources(model)
