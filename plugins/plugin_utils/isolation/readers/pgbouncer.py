# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read ``pgbouncer.ini``: which databases it offers, and where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import ReaderError
from ..model import Claim, Where
from ..numbers import number_of

_PAIR = re.compile(r"(?<!\w)(\w+)\s*=\s*('(?:[^']|'')*'|\S*)")
_LINE = re.compile(r"\s*(\"(?:[^\"]|\"\")+\"|[^=\s]+)\s*=\s*(.*?)\s*$")


@dataclass(frozen=True, slots=True)
class PooledDatabase:
    """A line of ``[databases]``. The name ``*`` stands for all databases without a line of their own."""

    name: str
    host: str
    port: int
    database: str
    user: str
    where: Where
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PgbouncerConfig:
    """A configuration file. ``settings`` is the section ``[pgbouncer]``, ``places`` where each was set.

    ``options`` are all that the file sets, as (dotted name, value, place): ``databases.app.host``, ``pool_mode``, and
    ``%include`` with its file.
    """

    databases: tuple[PooledDatabase, ...]
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    places: Mapping[str, Where] = field(default_factory=dict, hash=False)
    options: tuple[tuple[str, str, Where], ...] = field(default=(), repr=False)


def read_pgbouncer(text: str, path: str = "") -> PgbouncerConfig:
    """Read a configuration file. Raises :class:`ReaderError` (``not-pgbouncer``)."""
    section, databases = "", []
    settings: dict[str, str] = {}
    places: dict[str, Where] = {}
    options: list[tuple[str, str, Where]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped[0] in ";#":
            continue
        if stripped.startswith("%include"):
            options.append(("%include", stripped.removeprefix("%include").strip(), Where(path, number, "%include")))
            continue
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped[1:-1].strip().lower()
            continue
        match = _LINE.match(line)
        if match is None:
            message = f"a line must be [section] or name = value, not: {stripped[:40]}"
            raise ReaderError(message, number, rule="not-pgbouncer")
        name, value, where = match[1].strip('"').replace('""', '"'), match[2], Where(path, number, match[1])
        if section == "databases":
            databases.append(_database(name, value, where))
        elif section == "pgbouncer":
            settings[name.lower()] = value
            places[name.lower()] = where
            options.append((name.lower(), value, where))
        if section != "pgbouncer":
            options += [(f"{section}.{name}.{key.lower()}", text, where) for key, text in _PAIR.findall(value)]
    return PgbouncerConfig(tuple(databases), settings, places, tuple(options))


def _database(name: str, value: str, where: Where) -> PooledDatabase:
    options = {key.lower(): text.strip("'").replace("''", "'") for key, text in _PAIR.findall(value)}
    port = options.get("port", "")
    return PooledDatabase(
        name,
        options.get("host", ""),
        number_of(port) if port.isdecimal() else 5432,
        options.get("dbname", "" if name == "*" else name),
        options.get("user", ""),
        where,
        options.get("password", ""),
    )


def claims_pgbouncer(config: PgbouncerConfig, *, owner: str, machine: str) -> Iterator[Claim]:
    """Claim the Unix socket of a pgbouncer that runs on the machine itself, not in a container."""
    unix = config.settings.get("unix_socket_dir", "")
    if unix.startswith("/"):
        port = config.settings.get("listen_port", "6432")
        where = config.places.get("unix_socket_dir", Where())
        yield Claim("pgbouncer-socket", machine, f"{unix}/.s.PGSQL.{port}", owner, where)
