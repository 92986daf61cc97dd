# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The definitions of an environment's services: the default stack, and ``bulkhead_services`` merged over it.

Both are mappings of Compose service definitions. A service may carry two keys that are ours: ``service_name`` (its key
in the Compose file) and ``x-bulkhead`` (what it brings along: files, settings for the application's ``.env``, secrets).
Both are taken out before the file is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..declaration.settings import texts
from ..isolation.wording import in_words
from .tuning import fit_to_limits, workers

#: Keys of a service definition that are ours and not Compose's.
OURS = ("service_name", "x-bulkhead")


@dataclass(frozen=True, slots=True)
class Definition:
    """A service: its ``name`` in ``bulkhead_services``, its ``key`` in the Compose file, what Compose gets of it, and
    what is ours (``x-bulkhead``). ``application`` says that it runs the image that is built from the source."""

    name: str
    key: str
    compose: Mapping[str, Any]
    extra: Mapping[str, Any]
    application: bool

    @property
    def settings(self) -> dict[str, str]:
        """The settings that it brings along for ``.env``; under the name in ``workers``, how many processes its limits
        have room for."""
        number = workers(self.compose) if self.extra.get("workers") else 0
        found = {str(self.extra["workers"]): str(number)} if number else {}
        return {**found, **texts(self.extra.get("env") or {})}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that it needs."""
        return tuple(self.extra.get("secrets") or ())

    @property
    def private(self) -> tuple[str, ...]:
        """The names of the secrets that are kept out of ``.env``."""
        return tuple(self.extra.get("private") or ())


def definitions_of(stack: Mapping[str, Any], services: Mapping[str, Any]) -> list[Definition]:
    """The services of an environment.

    ``stack`` is the default stack with the keys ``common`` (what every service gets), ``application`` (what a service
    without an image of its own gets), ``services`` and ``networks``. ``services`` is ``bulkhead_services``.

    Raises ``ValueError`` with a message for the user when a definition has a shape that Compose cannot mean.
    """
    wanted = merge(stack["services"], services, (*FILE, "services"))
    for name, definition in wanted.items():
        if not isinstance(definition, Mapping):
            raise ValueError(
                f"bulkhead_services.{name} is {in_words(definition)}; it must be a mapping of Compose's service "
                "keys (image, command, environment …), or null to leave the service out"
            )
    _check_started(wanted)
    found: dict[str, Definition] = {}
    for name, definition in wanted.items():
        application = not definition.get("image")
        layers = [stack["common"], stack["application"]] if application else [stack["common"]]
        complete: dict[str, Any] = {}
        # Not the merged definition: a null removes what comes from `common` as well.
        for layer in (*layers, stack["services"].get(name) or {}, services.get(name) or {}):
            complete = merge(complete, layer, (*FILE, "services", name))
        key, extra = str(definition.get("service_name") or name), complete.get("x-bulkhead") or {}
        if key in found:
            raise ValueError(f"two services of bulkhead_services have the service_name {key!r}")
        compose = {name: value for name, value in complete.items() if name not in OURS}
        if isinstance(extra, Mapping):
            fit_to_limits(name, compose, extra, services.get(name) or {})
        found[key] = Definition(name, key, compose, extra, application)
    return list(found.values())


#: What stands for a Compose file in a path, and how long the paths of its sections and of a service's keys are.
FILE = ("",)
_SECTION, _OF_SERVICE = 2, 4

#: Where null is a value of Compose's own: a network with its defaults, a setting from ``.env``, a volume of its own.
_MEANINGFUL = ("networks", "environment", "volumes")


def merge(base: Any, over: Any, path: tuple[str, ...] = ()) -> Any:
    """Merge deeply: mappings merge, null removes a key, everything else (lists too) replaces.

    ``path`` is where the two stand in a Compose file, if they do: below a service's networks, environment and volumes,
    and below the file's own networks and volumes, Compose gives null a meaning, and it stays.
    """
    if not (isinstance(over, (dict, Mapping)) and isinstance(base, (dict, Mapping))):
        return _copied(over)
    merged = dict(base)
    for key, value in over.items():
        if value is not None:
            merged[key] = merge(merged.get(key), value, (*path, str(key)) if path else ())
        elif not path or path[-1] not in _MEANINGFUL or len(path) not in (_SECTION, _OF_SERVICE):
            merged.pop(key, None)
        elif path[-1] == "environment":
            merged[key] = None
        else:
            merged.setdefault(key, None)
    return merged


def _copied(value: Any) -> Any:
    """A copy of what YAML can hold, so that no two stacks have a list or mapping in common."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _check_started(services: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ValueError with all services that Compose would never start."""
    found = [(name, what) for name, definition in services.items() for what in _keeps_away(definition)]
    if found:
        said = ", ".join(f"bulkhead_services.{name} has {what}" for name, what in found)
        nulls = ", ".join(f"{name}: null" for name in dict.fromkeys(name for name, _what in found))
        raise ValueError(
            f"{said}: Compose would start no container of it, and each deployment would wait for one. Take that "
            f"away, or leave the service out with null (bulkhead_services: {{{nulls}}})"
        )


def _keeps_away(definition: Mapping[str, Any]) -> Iterator[str]:
    """What in a service's definition keeps Compose from starting it."""
    if definition.get("profiles"):
        yield "profiles"
    if str(definition.get("scale", "")) == "0":
        yield "scale: 0"
    deploy = definition.get("deploy")
    if isinstance(deploy, Mapping) and str(deploy.get("replicas", "")) == "0":
        yield "deploy.replicas: 0"
