# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a Compose project to the stack file of a swarm: what Swarm ignores is translated, or noted as a problem.

What is neither translated nor noted here stays as it is, and the proof refuses it by name (``containment/swarm.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.docker.labels import DATA
from ..declaration.model import Declaration
from ..isolation.wording import listing
from .stack import Stack, labels
from .swarm_files import SwarmFiles
from .swarm_service import SwarmService, note_problem
from .writers import DotenvLine


def as_swarm(declaration: Declaration, stack: Stack, texts: Mapping[str, str]) -> Stack:
    """Translate the Compose project of an environment into the stack of its swarm. ``texts`` are the contents of the
    files that services bring along, by path.

    What cannot be translated is noted in the declaration, all of it. Raises ValueError for a value that has no meaning
    in Compose either.
    """
    values = declaration.values
    own = labels(values["bulkhead_project"], values["bulkhead_environment"], declaration.prefix)
    brought = [file for service in stack.services for file in service.brings]
    files = SwarmFiles(declaration.prefix, own, brought, texts)
    services = [SwarmService(declaration, service, files) for service in stack.services]
    definitions = {service.key: service.translated(stack.compose["services"][service.key], own) for service in services}
    compose = {
        **stack.compose,
        "services": definitions,
        "networks": {key: _network(one) for key, one in (stack.compose.get("networks") or {}).items()},
    }
    for section, entries in files.sections.items():
        given = stack.compose.get(section) or {}
        for name, entry in given.items():
            if not (isinstance(entry, Mapping) and entry.get("external")):
                note_problem(
                    declaration,
                    f"bulkhead_compose.{section}.{name}",
                    "a config or secret of a swarm cannot be changed, so each version needs a name of its own",
                    "let the service bring the file along (x-bulkhead.files), which Bulkhead versions",
                )
        compose[section] = {**given, **entries}
        if not compose[section]:
            del compose[section]
    waits = {service.key: tuple(service.waits_for) for service in services}
    notes = tuple(_notes(declaration.prefix, services))
    relays = any(service.relays for service in services)
    return Stack(compose, stack.services, values["bulkhead_swarm"], notes, waits, relays)


def check_single_lines(declaration: Declaration, settings: Sequence[DotenvLine]) -> None:
    """Note settings with several lines, which the client of a swarm cannot read from a file."""
    for setting in settings:
        if "\n" in setting.value or "\r" in setting.value:
            note_problem(
                declaration,
                f"{setting.variable}.{setting.key}",
                "its value has several lines, and a swarm's settings are read line by line",
                "give the value in one line (base64, or \\n for a line end), or as a file (bulkhead_secret_files)",
            )


def _network(definition: Mapping[str, Any] | None) -> dict[str, Any]:
    """An overlay network that nobody else joins. Between nodes its traffic is encrypted: it carries passwords."""
    given = dict(definition or {})
    if given.get("external"):
        return given
    options = {"encrypted": "true", **(given.pop("driver_opts", None) or {})}
    if str(options["encrypted"]).lower() == "false":
        del options["encrypted"]  # engines take the mere key for a yes
    return {"driver": "overlay", "attachable": False, **given, **({"driver_opts": options} if options else {})}


def _notes(prefix: str, services: list[SwarmService]) -> list[str]:
    """What a person has to know of a stack: what Compose did, and Swarm does not."""
    found = []
    waits = [
        f"{service.key} does not wait for {listing(service.waits_for)}" for service in services if service.waits_for
    ]
    if waits:
        found.append(f"Swarm starts services in no order: {'; '.join(waits)}. A task that fails is started again.")
    unguarded = [service.key for service in services if service.unguarded]
    if unguarded:
        found.append(
            f"Swarm cannot set no-new-privileges for {listing(unguarded)}: set it for all containers, in daemon.json "
            'of every node ("no-new-privileges": true).'
        )
    pinned = [service.key for service in services if service.pinned]
    if pinned:
        found.append(
            f"{listing(pinned)} run only on the node that has the label {DATA}{prefix}=true, because their volumes are "
            "there."
        )
    return [f"{prefix}: {note}" for note in found]
