# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services of a release, as the modules on the machine take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ...module_utils.docker.containers import PREPARING, STAND_IN
from ...module_utils.docker.labels import INPUT, RELEASE
from ...module_utils.release.service import DeclaredService, Service
from ..declaration.settings import plain
from ..isolation.facts.service_kinds import runs_once
from .render import Release
from .stack import StackService, mounted_directories, named_volume

#: What Compose does when it starts a container, and the engine does not.
_AT_START = ("configs", "post_start", "provider", "secrets")


def services(release: Release) -> list[Service]:
    """The services of a release as the machine must know them."""
    return [_service(release, service) for service in release.stack.services]


def _service(release: Release, service: StackService) -> Service:
    definition = plain(release.stack.compose["services"][service.key])
    definitions = release.stack.compose["services"]
    needs_application = _needs_application(release, service.key)
    awaited = any(service.key in (definition.get("depends_on") or ()) for definition in definitions.values())
    return Service(
        **{field.name: getattr(service, field.name) for field in fields(DeclaredService)},
        files=tuple(file.path for file in service.brings),
        start_files=tuple(file.path for file in service.brings if file.restart),
        overlaps=tuple(file.path for file in service.brings if file.overlap),
        mounts=tuple(f"./{source}:{target}" for source, target in mounted_directories(definition)),
        env_files=_env_files(definition),
        expose=tuple(map(str, definition.get("expose") or ())),
        bare=not any(definition.get(key) for key in _AT_START),
        one_shot=runs_once(definition),
        awaited=awaited and not needs_application,
        needs_application=needs_application,
        steady=_is_steady(service, definition, awaited),
        declares=tuple(key for key in ("memswap_limit", "cpu_shares") if definition.get(key) is not None),
        # Services of a stack carry neither.
        input=definition["labels"].get(INPUT, ""),
        release=definition["labels"].get(RELEASE, ""),
        **(release.route if service.edge else {}),
        stand_in=service.host + STAND_IN,
        preparing=service.host + PREPARING,
    )


def _needs_application(release: Release, key: str) -> bool:
    """Whether a service runs the application, or waits for one that does: Compose starts what one waits for with it."""
    definitions, met, left = release.stack.compose["services"], set(), [key]
    application = {service.key for service in release.stack.services if service.rolling or service.application}
    while left:
        met.add(left[-1])
        left += [other for other in definitions[left.pop()].get("depends_on") or () if other not in met]
    return bool(met & application)


def _is_steady(service: StackService, definition: Mapping[str, Any], awaited: bool) -> bool:
    """Whether a service is down while it is replaced and others miss it: it has data or ports, or others wait for it.

    What runs the application is replaced with each release, one way or the other.
    """
    if service.rolling or service.application:
        return False
    named = any(map(named_volume, definition.get("volumes") or ()))
    return bool(awaited or definition.get("ports") or named)


def _env_files(definition: Mapping[str, Any]) -> tuple[str, ...]:
    """The files of settings that a service reads when it starts, below the environment's directory."""
    given = definition.get("env_file") or ()
    files = [given] if isinstance(given, (str, Mapping)) else given
    paths = (str(file.get("path") if isinstance(file, Mapping) else file) for file in files)
    return tuple(path.removeprefix("./") for path in paths)
