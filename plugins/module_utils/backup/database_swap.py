# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Swap restored databases with those in use, all of a server in one transaction. Runs on the targets.

Whichever process is killed, a server serves either all of the previous databases or all of the restored ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..docker.engine import EngineError
from .postgresql import identifier, literal
from .staged_database import StagedDatabase, is_sibling, temporary_roles

#: Ends the current sessions first. A rename locks the database, so new sessions wait for the end of the transaction.
_RENAME = """PERFORM pg_stat_clear_snapshot();
PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (%s, %s) AND pid <> pg_backend_pid();
ALTER DATABASE %s RENAME TO %s;
ALTER DATABASE %s RENAME TO %s;
"""
_ALLOW = "ALTER DATABASE %s ALLOW_CONNECTIONS %s;\n"

_ATTEMPTS = 6


class DatabaseSwap:
    """The staged databases of one server, and the ones in use that they replace."""

    def __init__(self, staged: list[StagedDatabase]) -> None:
        self.staged = staged
        self.server = staged[0].server

    def is_swapped(self) -> bool:
        """Whether the restored databases are in use."""
        existing = self.server.databases()
        return any(staged.previous_name in existing for staged in self.staged)

    def is_staged(self) -> bool:
        """Whether every restored database is ready beside the one in use."""
        existing = self.server.databases()
        return all(staged.staged_name in existing for staged in self.staged)

    def swap(self) -> None:
        """Put the restored databases into use. The previous ones are kept, closed to connections."""
        renames = [_rename(staged.database, staged.previous_name, staged.staged_name) for staged in self.staged]
        closings = [_ALLOW % (identifier(staged.previous_name), "false") for staged in self.staged]
        self._run(renames + closings, swapped=True)

    def swap_back(self) -> None:
        """Undo :meth:`swap`."""
        openings = [_ALLOW % (identifier(staged.previous_name), "true") for staged in self.staged]
        renames = [_rename(staged.database, staged.staged_name, staged.previous_name) for staged in self.staged]
        self._run(openings + renames, swapped=False)

    def _run(self, statements: list[str], swapped: bool) -> None:
        """Run the statements in one transaction, which leaves the databases ``swapped`` or not."""
        script = "DO $bulkhead$ BEGIN\n%sEND $bulkhead$;" % "".join(statements)
        names = ", ".join(staged.database for staged in self.staged)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.server.query("postgres", script)
                return
            except EngineError as error:
                if self._ended_as(swapped, names):  # the transaction succeeded; only its answer was lost
                    return
                if attempt == _ATTEMPTS or "being accessed" not in error.detail:
                    raise EngineError(
                        "the databases in use could not be replaced and still serve: %s" % names, error.detail
                    ) from error

    def _ended_as(self, swapped: bool, names: str) -> bool:
        try:
            return self.is_swapped() is swapped
        except EngineError as error:
            raise EngineError(
                "the connection to the server was lost while databases were renamed; it is unknown which of them "
                "serve: %s" % names,
                error.detail,
            ) from error

    def discard_staged(self) -> None:
        """Drop restored databases that are not in use, and the roles that were created for them."""
        unused = [
            name
            for name in self.server.databases()
            if any(is_sibling(name, staged.database, "restore") for staged in self.staged)
        ]
        statements = ["DROP DATABASE %s WITH (FORCE);\n" % identifier(name) for name in unused]
        # A role can only be dropped after everything that it owns, in any database of the server.
        statements += ["DROP ROLE %s;\n" % identifier(role) for role in temporary_roles(self.server)]
        if statements:
            self.server.query("postgres", "".join(statements))


def swaps_by_server(staged: Iterable[StagedDatabase]) -> list[DatabaseSwap]:
    """Group staged databases by server, in the order given."""
    by_server: dict[str, list[StagedDatabase]] = {}
    for database in staged:
        by_server.setdefault(database.server.container, []).append(database)
    return [DatabaseSwap(databases) for databases in by_server.values()]


def swap_all(swaps: list[DatabaseSwap]) -> None:
    """Swap server by server. If one server fails, swap the others back and raise its EngineError."""
    done: list[DatabaseSwap] = []
    try:
        for swap in swaps:
            swap.swap()
            done.append(swap)
    except EngineError:
        swap_all_back(done)
        raise


def swap_all_back(done: list[DatabaseSwap]) -> None:
    """Undo the swaps, last first."""
    for swap in reversed(done):
        swap.swap_back()


def _rename(current: str, outgoing: str, incoming: str) -> str:
    """SQL that renames ``current`` to ``outgoing``, and ``incoming`` to ``current``."""
    names = [identifier(name) for name in (current, outgoing, incoming, current)]
    return _RENAME % (literal(current), literal(incoming), *names)
