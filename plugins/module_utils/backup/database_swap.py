# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let restored databases change names with those in use: all of a server in one transaction. Runs on the targets.

Whoever is killed, either the earlier databases of a server serve or the restored ones, never some of both.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..docker.engine import EngineError
from .postgresql import identifier, literal
from .staged_database import Replacement, is_aside, temporary_roles

#: Sessions end first, as they are now. From a renaming on nobody gets in: who wants to waits for the transaction's end.
_RENAME = """PERFORM pg_stat_clear_snapshot();
PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (%s, %s) AND pid <> pg_backend_pid();
ALTER DATABASE %s RENAME TO %s;
ALTER DATABASE %s RENAME TO %s;
"""
_ALLOW = "ALTER DATABASE %s ALLOW_CONNECTIONS %s;\n"

_ATTEMPTS = 6


class Exchange:
    """The databases of one server that shall be replaced, or were."""

    def __init__(self, replacements: list[Replacement]) -> None:
        self.replacements = replacements
        self.server = replacements[0].server

    def is_done(self) -> bool:
        """Whether the restored databases have the names."""
        there = self.server.databases()
        return any(replacement.old in there for replacement in self.replacements)

    def is_ready(self) -> bool:
        """Whether every restored database stands beside the one in use."""
        there = self.server.databases()
        return all(replacement.new in there for replacement in self.replacements)

    def forward(self) -> None:
        """Let the restored databases take the names. Nobody can write to those that are kept."""
        renames = [_rename(replacement.database, replacement.old, replacement.new) for replacement in self.replacements]
        self._run(
            renames + [_ALLOW % (identifier(replacement.old), "false") for replacement in self.replacements], done=True
        )

    def back(self) -> None:
        """Undo :meth:`forward`."""
        allowed = [_ALLOW % (identifier(replacement.old), "true") for replacement in self.replacements]
        self._run(
            allowed
            + [_rename(replacement.database, replacement.new, replacement.old) for replacement in self.replacements],
            done=False,
        )

    def _run(self, statements: list[str], done: bool) -> None:
        """Run them in one transaction, after which it is ``done`` or not."""
        script = "DO $bulkhead$ BEGIN\n%sEND $bulkhead$;" % "".join(statements)
        names = ", ".join(replacement.database for replacement in self.replacements)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.server.query("postgres", script)
                return
            except EngineError as error:
                if self._came_to(done, names):  # the answer was lost, and not what was asked for
                    return
                if attempt == _ATTEMPTS or "being accessed" not in error.detail:
                    raise EngineError(
                        "what is in use could not be replaced, and serves on: database %s" % names, error.detail
                    ) from error

    def _came_to(self, done: bool, names: str) -> bool:
        try:
            return self.is_done() is done
        except EngineError as error:
            raise EngineError(
                "the server was lost while databases changed names, and does not say which serve: %s" % names,
                error.detail,
            ) from error

    def discard(self) -> None:
        """Remove what was restored and is not in force, and the roles that were made for it."""
        there = self.server.databases()
        left = [
            name
            for name in there
            if any(is_aside(name, replacement.database, "restore") for replacement in self.replacements)
        ]
        statements = ["DROP DATABASE %s WITH (FORCE);\n" % identifier(name) for name in left]
        # A role cannot go before everything that it owns, in any database of the server.
        statements += ["DROP ROLE %s;\n" % identifier(role) for role in temporary_roles(self.server)]
        if statements:
            self.server.query("postgres", "".join(statements))


def exchanges(replacements: Iterable[Replacement]) -> list[Exchange]:
    """Replacements by their servers, in order."""
    by_server: dict[str, list[Replacement]] = {}
    for replacement in replacements:
        by_server.setdefault(replacement.server.container, []).append(replacement)
    return [Exchange(each) for each in by_server.values()]


def switch(wanted: list[Exchange]) -> None:
    """Let all of them take the names, server by server; or none, where one of them will not."""
    done: list[Exchange] = []
    try:
        for each in wanted:
            each.forward()
            done.append(each)
    except EngineError:
        switch_back(done)
        raise


def switch_back(done: list[Exchange]) -> None:
    """Undo what was switched, the last first."""
    for each in reversed(done):
        each.back()


def _rename(current: str, away: str, coming: str) -> str:
    names = [identifier(each) for each in (current, away, coming, current)]
    return _RENAME % (literal(current), literal(coming), *names)
