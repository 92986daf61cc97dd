# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compose's variables: filled in from ``.env`` before the proof, so that nothing that was proved still holds one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ...module_utils.docker.labels import INPUT
from ..declaration.model import Declaration
from ..isolation.errors import ReaderError
from ..isolation.model import SEAL
from ..isolation.readers.compose.interpolation import Interpolator

_SECTIONS = ("networks", "volumes", "configs", "secrets")

_NO_SECRET = (
    "let the service bring a file along (x-bulkhead.files, with secret: true) and name that file under env_file, or "
    "mount it"
)


@dataclass
class Filler:
    """Fills in the variables of one place. ``used`` are those that it met."""

    settings: Mapping[str, str]
    secrets: frozenset[str]
    used: list[str] = field(default_factory=list)
    unset: dict[str, Any] = field(default_factory=dict)

    def value(self, value: Any) -> Any:
        """A value without variables, and with each dollar as Compose wants it."""
        if isinstance(value, str):
            if "$" not in value:
                return value
            return Interpolator(self.lookup, unset=self.unset).substitute(value).replace("$", "$$")
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value

    def environment(self, given: Any) -> Any:
        """The environment of a service. Compose takes names without a value from ``.env``, or leaves them out."""
        if isinstance(given, Mapping):
            found = {key: self._dollars(key) if text is None else text for key, text in given.items()}
            return {key: text for key, text in found.items() if text is not None}
        if isinstance(given, (list, tuple)):
            found = {item: item if "=" in str(item) else self._pair(str(item)) for item in given}
            return [text for text in found.values() if text is not None]
        return given

    def lookup(self, name: str) -> str | None:
        """The value of a setting; that of a secret one stays out of the file."""
        self.used.append(name)
        return SEAL if name in self.secrets else self.settings.get(name)

    def _dollars(self, key: Any) -> str | None:
        text = self.lookup(str(key))
        return None if text is None else text.replace("$", "$$")

    def _pair(self, key: str) -> str | None:
        text = self._dollars(key)
        return None if text is None else f"{key}={text}"


def fill_in(
    declaration: Declaration,
    compose: Mapping[str, Any],
    names: Mapping[str, str],
    settings: Mapping[str, str],
    secrets: Iterable[str],
) -> dict[str, Any]:
    """A Compose project without variables; problems are noted where it cannot be.

    ``names`` are the names of the services by their keys, ``settings`` the lines of ``.env``, ``secrets`` the names of
    those that are secret, and of all others that are kept out of it.
    """
    hidden = frozenset(secrets)
    filled = dict(compose)
    filled["services"] = {
        key: _service(declaration, service, f"bulkhead_services.{names[key]}", Filler(settings, hidden))
        for key, service in compose["services"].items()
    }
    for section in _SECTIONS:
        if "$" in repr(compose.get(section)):
            filled[section] = {
                key: _part(declaration, entry, f"bulkhead_compose.{section}.{key}", Filler(settings, hidden))
                for key, entry in compose[section].items()
            }
    return filled


def _service(declaration: Declaration, service: Mapping[str, Any], where: str, filler: Filler) -> Mapping[str, Any]:
    found = dict(service)
    given = service.get("environment")
    bare = isinstance(given, Mapping) and None in given.values()
    bare = bare or (isinstance(given, list) and not all("=" in str(item) for item in given))
    # Searching repr() for a dollar is much faster than checking each value.
    if bare or "$" in repr(service):
        found = {key: _part(declaration, item, f"{where}.{key}", filler) for key, item in service.items()}
    if bare:
        found["environment"] = filler.environment(found["environment"])
        _note_secrets(declaration, f"{where}.environment", filler)
    if filler.used:
        text = json.dumps({**found, "labels": {**found["labels"], INPUT: ""}}, sort_keys=True, default=str)
        found["labels"] = {**found["labels"], INPUT: sha256(text.encode()).hexdigest()[:16]}
    return found


def _part(declaration: Declaration, value: Any, where: str, filler: Filler) -> Any:
    """One value of a service or section; its variables that are unset or secret are problems."""
    own = Filler(filler.settings, filler.secrets)
    try:
        found = own.value(value)
    except ReaderError as error:
        _note(
            declaration,
            where,
            f"{where}: {error.message}",
            "set the variable in bulkhead_env, or write '$$' for a dollar",
        )
        return value
    finally:
        filler.used += own.used
    _note_secrets(declaration, where, own)
    for name in own.unset:
        _note(
            declaration,
            where,
            f"{where} contains ${name}, and .env has no {name}: Compose would put nothing in its place",
            f"write '$$' for a dollar ($${name}), or add {name} to bulkhead_env",
        )
    return found


def _note_secrets(declaration: Declaration, where: str, filler: Filler) -> None:
    for name in dict.fromkeys(filler.used):
        if name in filler.secrets:
            message = f"{where} contains {name}, which is secret: the Compose file is not, and would hold it"
            _note(declaration, where, message, _NO_SECRET)


def _note(declaration: Declaration, where: str, message: str, fix: str) -> None:
    declaration.problem("compose-variable", where.partition(".")[0], message, fix, resource=where)
