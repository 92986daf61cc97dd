# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compose's variables: filled in from ``.env`` before the proof, so that nothing that was proved still holds one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..declaration.model import Declaration
from ..isolation.errors import ReaderError
from ..isolation.model import SEAL
from ..isolation.readers.compose.interpolation import Interpolator
from .definitions import Definition

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
        if isinstance(value, (dict, Mapping)):
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


class ComposeVariables:
    """The variables that an environment's Compose file may use. Problems are noted in its declaration.

    ``settings`` are the lines of ``.env``; ``secrets`` are the names of those that are secret, and of all others that
    are kept out of it.
    """

    def __init__(self, declaration: Declaration, settings: Mapping[str, str], secrets: Iterable[str]) -> None:
        self._declaration = declaration
        self._settings = settings
        self._secrets = frozenset(secrets)

    def service(self, definition: Definition) -> Definition:
        """A service without variables, and without names in its environment that have no value."""
        compose, where = definition.compose, f"bulkhead_services.{definition.name}"
        given = compose.get("environment")
        values = given.values() if isinstance(given, Mapping) else ()
        items = given if isinstance(given, list) else ()
        bare = None in values or not all("=" in str(item) for item in items)
        # Searching repr() for a dollar is much faster than checking each value.
        if not bare and "$" not in repr(compose):
            return definition
        found = {key: self._filled(value, f"{where}.{key}") for key, value in compose.items()}
        if bare:
            filler = Filler(self._settings, self._secrets)
            found["environment"] = filler.environment(found["environment"])
            self._note_secrets(f"{where}.environment", filler)
        return replace(definition, compose=found)

    def sections(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """``bulkhead_compose`` without variables."""
        found = dict(more)
        for section, entries in more.items():
            if "$" not in repr(entries):
                continue
            where = f"bulkhead_compose.{section}"
            if isinstance(entries, Mapping):
                found[section] = {key: self._filled(entry, f"{where}.{key}") for key, entry in entries.items()}
            else:
                found[section] = self._filled(entries, where)
        return found

    def _filled(self, value: Any, where: str) -> Any:
        filler = Filler(self._settings, self._secrets)
        try:
            found = filler.value(value)
        except ReaderError as error:
            fix = "set the variable in bulkhead_env, or write '$$' for a dollar"
            self._note(where, f"{where}: {error.message}", fix)
            return value
        self._note_secrets(where, filler)
        for name in filler.unset:
            self._note(
                where,
                f"{where} contains ${name}, and .env has no {name}: Compose would put nothing in its place",
                f"write '$$' for a dollar ($${name}), or add {name} to bulkhead_env",
            )
        return found

    def _note_secrets(self, where: str, filler: Filler) -> None:
        for name in dict.fromkeys(filler.used):
            if name in self._secrets:
                message = f"{where} contains {name}, which is secret: the Compose file is not, and would hold it"
                self._note(where, message, _NO_SECRET)

    def _note(self, where: str, message: str, fix: str) -> None:
        self._declaration.problem("compose-variable", where.partition(".")[0], message, fix, resource=where)
