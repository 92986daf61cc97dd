# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What services refer to in their own stack. Compose refuses names that lead nowhere, but only on the machine."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ..declaration.model import Declaration

#: What ``bulkhead_compose`` adds to; the rest of a Compose file has a place of its own.
SECTIONS = ("configs", "networks", "secrets", "volumes")


def check_references(declaration: Declaration, default: Mapping[str, Any], compose: Mapping[str, Any]) -> None:
    """Note names of services, networks, configs and secrets that a stack does not have.

    A service of the default stack that was left out may still be named: then no service waits for it.
    """
    given = declaration.values["bulkhead_services"]
    known = {*default["services"], *given}
    for name, definition in given.items():
        for wanted in _depends(definition):
            if wanted not in known:
                _note(declaration, f"bulkhead_services.{name}.depends_on", "service", wanted, known)
    for key, service in compose["services"].items():
        for section, wanted in _sections(service):
            there = {*(compose.get(section) or {}), *(("default",) if section == "networks" else ())}
            if wanted not in there:
                where = f"services.{key}.{section}"
                _note(declaration, where, section.removesuffix("s"), wanted, there)


def check_sections(declaration: Declaration, more: Mapping[str, Any]) -> None:
    """Note keys of ``bulkhead_compose`` that would have no effect."""
    elsewhere = {"services": "bulkhead_services", "name": "bulkhead_prefix"}
    for key in more:
        if key in elsewhere:
            declaration.problem(
                "invalid-variable",
                "bulkhead_compose",
                f"bulkhead_compose.{key} would have no effect: {elsewhere[key]} decides that",
                f"write it in {elsewhere[key]}; bulkhead_compose adds {', '.join(SECTIONS)}",
                resource=f"bulkhead_compose.{key}",
            )


def _depends(definition: Any) -> Iterable[str]:
    depends = definition.get("depends_on") if isinstance(definition, Mapping) else None
    return [str(name) for name in depends] if isinstance(depends, (list, Mapping)) else []


def _sections(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    networks = service.get("networks")
    yield from (("networks", str(name)) for name in (networks if isinstance(networks, (list, Mapping)) else ()))
    for section in ("configs", "secrets"):
        for item in service.get(section) or ():
            yield section, str(item.get("source") if isinstance(item, Mapping) else item)


def _note(declaration: Declaration, where: str, kind: str, name: str, known: Collection[str]) -> None:
    close = difflib.get_close_matches(name, sorted(known), 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    declaration.problem(
        "unknown-reference",
        "bulkhead_services",
        f"{where} names the {kind} {name}, which this stack does not have.{meant}",
        f"name one of {', '.join(sorted(known)) or 'its own'}"
        + ("" if kind == "service" else f", or add it to bulkhead_compose.{kind}s"),
        resource=f"{where}: {name}",
    )
