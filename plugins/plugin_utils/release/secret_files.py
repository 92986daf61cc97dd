# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that services read from a file below ``/run/secrets`` instead of ``.env`` (``bulkhead_secret_files``).

The file is one that the service brings along, so everything that holds for those holds for it: kept with the release,
compared by digest, never shown. Its directory is mounted, not the file: a replaced file would stay the earlier one.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..declaration.model import Declaration
from ..declaration.settings import FOR_BULKHEAD
from ..declaration.value_forms import SETTING
from ..declaration.variables import SETTINGS
from ..isolation.model import SEAL
from ..isolation.wording import in_words
from .definitions import Definition

VARIABLE = "bulkhead_secret_files"

#: Where a service finds its files.
DIRECTORY = "/run/secrets"

_EXAMPLE = f"write {VARIABLE}: {{STRIPE_KEY: [django]}}"


def with_secret_files(
    declaration: Declaration, definitions: Sequence[Definition], secrets: Mapping[str, str]
) -> list[Definition]:
    """The services of an environment, each with the files of its secrets. Problems are noted in the declaration.

    A secret with a file needs no line in ``.env``, and has none, so that no other service gets it. What is not to be
    had here is a seal.
    """
    wanted: dict[str, list[str]] = {}
    for name, services in declaration.values[VARIABLE].items():
        problems = list(_problems(name, services, definitions))
        for message, fix in problems:
            declaration.problem("invalid-variable", VARIABLE, message, fix, resource=f"{VARIABLE}.{name}")
        # A name of another form is noted where all forms are checked.
        if not problems and not SETTING.problem(name):
            for service in services:
                wanted.setdefault(service, []).append(name)
    found = []
    for definition in definitions:
        names = wanted.get(definition.name, [])
        _check_room(declaration, definition, names)
        found.append(_with_files(definition, {name: secrets.get(name) or SEAL for name in names}))
    return found


def _problems(name: Any, services: Any, definitions: Sequence[Definition]) -> Iterator[tuple[str, str]]:
    """(message, fix) of each thing that is wrong with one entry."""
    if name in FOR_BULKHEAD:
        yield f"{VARIABLE} has {name}, which is for Bulkhead itself and reaches no service", "take it away"
    if not isinstance(services, list) or not services or not all(isinstance(service, str) for service in services):
        yield f"{VARIABLE}.{name} is {in_words(services)}, not a list of services", _EXAMPLE
        return
    known = [definition.name for definition in definitions]
    for service in services:
        if service not in known:
            near = difflib.get_close_matches(service, known, n=1, cutoff=0.6)
            fix = f"did you mean {near[0]}?" if near else f"name one of {', '.join(known)}"
            yield f"{VARIABLE}.{name} names the service {service}, and bulkhead_services has none of that name", fix


def _check_room(declaration: Declaration, definition: Definition, names: Collection[str]) -> None:
    """Note what stands in a service where the files and their settings are to be."""
    settings = {
        f"bulkhead_services.{definition.name}.environment": _names(definition.compose.get("environment")),
        **{variable: _names(declaration.values[variable]) for variable in SETTINGS},
    }
    for name in names:
        for variable, taken in settings.items():
            for key in (name, f"{name}_FILE"):
                if key in taken and (key, variable) != (name, "bulkhead_secrets"):
                    declaration.problem(
                        "setting-twice",
                        VARIABLE,
                        f"{VARIABLE} gives {name} to {definition.name} as a file, and {variable} sets {key}; which one "
                        "counts is a guess",
                        "keep it in one of the two",
                        resource=f"{VARIABLE}.{name}",
                    )
    where = next(_mounted(definition.compose), "") if names else ""
    if where:
        declaration.problem(
            "invalid-variable",
            VARIABLE,
            f"{VARIABLE} puts files into {DIRECTORY} of {definition.name}, and {where} mounts something there",
            f"name all of them in {VARIABLE}, or mount yours elsewhere",
            resource=f"{VARIABLE}: {definition.name}",
        )


def _mounted(compose: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a service that mount something at or below the directory."""
    for key in ("secrets", "configs"):
        for entry in compose.get(key) or ():
            target = str(entry.get("target") or "") if isinstance(entry, Mapping) else ""
            if (key == "secrets" and not target.startswith("/")) or _is_there(target):
                yield key
    for mount in compose.get("volumes") or ():
        parts = str(mount).split(":")
        found = mount.get("target") if isinstance(mount, Mapping) else parts[1] if len(parts) > 1 else parts[0]
        if _is_there(str(found)):
            yield "volumes"
    places = compose.get("tmpfs") or ()
    if any(
        _is_there(str(place).split(":", maxsplit=1)[0]) for place in ([places] if isinstance(places, str) else places)
    ):
        yield "tmpfs"


def _is_there(path: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{DIRECTORY}/")


def _names(environment: Any) -> list[str]:
    """The names that a service's environment sets, written in either of Compose's two ways."""
    if isinstance(environment, (list, tuple)):
        return [str(entry).partition("=")[0] for entry in environment]
    return [str(name) for name in environment or ()]


def _with_files(definition: Definition, values: Mapping[str, str]) -> Definition:
    if not values:
        return definition
    compose, extra = dict(definition.compose), dict(definition.extra)
    folder = f".bulkhead/private/{definition.name}/run-secrets"
    settings = {f"{name}_FILE": f"{DIRECTORY}/{name}" for name in values}
    given = compose.get("environment") or {}
    if isinstance(given, (list, tuple)):
        compose["environment"] = [*given, *(f"{key}={path}" for key, path in settings.items())]
    else:
        compose["environment"] = {**given, **settings}
    compose["volumes"] = [*(compose.get("volumes") or ()), f"./{folder}:{DIRECTORY}:ro"]
    # A command that reloads a service's configuration tells it nothing of these.
    flags = {"secret": True, "restart": True}
    files = [{"path": f"{folder}/{name}", "content": value, **flags} for name, value in values.items()]
    extra["files"] = [*(extra.get("files") or ()), *files]
    for key in ("secrets", "private"):
        extra[key] = [*(extra.get(key) or ()), *values]
    return replace(definition, compose=compose, extra=extra)
