# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the settings of nginx, pgbouncer, PostgreSQL and Redis may say: one table for each program, one question."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from ..facts.service_kinds import texts
from ..model import SEAL, Directive, Environment, Where
from .boundary import Boundary
from .classes import Class, Entry
from .nginx import DATA_BLOCKS, NGINX
from .pgbouncer import PGBOUNCER
from .postgresql import POSTGRESQL
from .redis import REDIS

#: The table of each program, by the program's name.
PROGRAMS: Mapping[str, Mapping[str, Entry]] = {
    "nginx": NGINX,
    "pgbouncer": PGBOUNCER,
    "postgresql": POSTGRESQL,
    "redis": REDIS,
}


_FREE_IN_NGINX = frozenset(name for name, entry in NGINX.items() if entry.is_free)
#: The programs that a command line starts, by their own names.
_STARTS = {"postgres": "postgresql", "postmaster": "postgresql", "redis-server": "redis"}

#: The programs of images that take mere options, by the image's name without registry and tag.
_IMAGES = {
    **dict.fromkeys(("postgres", "postgresql", "postgis", "pgvector", "timescaledb"), "postgresql"),
    "redis": "redis",
}
#: After these words a command begins.
_BEFORE = frozenset(("", "-c", "&&", "||", "|", "--", "exec", "then", "do"))
_WRAPPERS = frozenset(("docker-entrypoint.sh", "entrypoint.sh", "tini", "dumb-init", "nice", "env"))


@dataclass(frozen=True, slots=True)
class ProgramSetting:
    """A setting of a program, and where it was written."""

    program: str
    name: str
    value: str
    where: Where


@dataclass(frozen=True, slots=True)
class Judged:
    """A setting's class (None if nobody classified it), and why its value is not contained; empty if it is."""

    kind: Class | None
    problem: str


def judge(program: str, setting: str, value: Any, boundary: Boundary) -> Judged:
    """Judge one setting of a program, a directive's arguments as one text.

    An option of a database, user or peer of pgbouncer is called ``databases.<name>.<option>``. The names of all but
    nginx's directives may be in any case. A setting that is in no table is not allowed.
    """
    entry = entry_of(program, setting)
    if entry is None:
        return Judged(None, f"Bulkhead does not know the setting {setting} of {program}")
    return Judged(entry.kind, entry.problem(value, boundary, {}))


def outside_settings(environment: Environment, boundary: Boundary) -> Iterator[tuple[ProgramSetting, Judged]]:
    """Yield the settings of an environment's programs that are not contained, in their files and command lines."""
    for setting in settings_of(environment):
        judged = judge(setting.program, setting.name, setting.value, boundary)
        if judged.problem and SEAL not in f"{setting.name} {setting.value}":
            yield setting, judged


def settings_of(environment: Environment) -> Iterator[ProgramSetting]:
    """Yield what configures the environment's programs, without nginx's directives of which any value is contained."""
    yield from (
        ProgramSetting("nginx", directive.name, " ".join(directive.args), directive.where)
        for directive in _directives(environment.nginx)
        if directive.name not in _FREE_IN_NGINX
    )
    for document in environment.documents:
        if document.kind == "redis":
            for directive in document.data.directives:
                yield ProgramSetting("redis", directive.name, " ".join(directive.args), directive.where)
        elif document.kind == "pgbouncer":
            yield from (ProgramSetting("pgbouncer", name, value, where) for name, value, where in document.data.options)
        elif document.kind == "postgresql":
            for item in document.data:
                yield ProgramSetting("postgresql", item.name, item.value, item.where)
    for project, name, service in environment.services():
        for program, key, value in command_settings(service):
            yield ProgramSetting(program, key, value, project.where("services", name, "command"))


def _directives(block: Iterable[Directive]) -> list[Directive]:
    """All directives of nginx; of a block of data its own, and the files that it includes."""
    found: list[Directive] = []
    for directive in block:
        found.append(directive)
        if directive.block:
            if directive.name in DATA_BLOCKS:
                found += (child for child in directive.block if child.name == "include")
            else:
                found += _directives(directive.block)
    return found


def command_settings(service: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (program, setting, value) of the options with which a service starts PostgreSQL or Redis.

    Without a program in ``entrypoint`` and ``command``, options are those of the program that the image is named for.
    """
    lines = texts([service.get("entrypoint"), service.get("command")])
    if not lines or not (lines[0].startswith("-") or any(name in line for line in lines for name in _STARTS)):
        return
    words = [word for line in lines for word in _split(line)]
    program = next((_STARTS[posixpath.basename(word)] for word in _started(words)), "")
    if not program and words[0].startswith("-"):
        image = str(service.get("image") or "").partition("@")[0]
        program = _IMAGES.get(posixpath.basename(image).partition(":")[0], "")
    if program == "postgresql":
        yield from _of_postgresql(words)
    elif program == "redis":
        yield from _of_redis(words)


def _started(words: list[str]) -> Iterator[str]:
    """Yield the words that start a program which is known here, and are no mere argument such as a user's name."""
    for earlier, before, word in zip(["", "", *words], ["", *words], words, strict=False):
        begins = before in _BEFORE or before.endswith(";") or posixpath.basename(before) in _WRAPPERS
        if posixpath.basename(word) in _STARTS and (begins or earlier in ("gosu", "su-exec")):
            yield word


def _of_postgresql(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """``-c name=value`` or ``--name=value``, where ``-`` stands for ``_`` in names."""
    for before, word in pairwise(["", *words]):
        given = word if before == "-c" else word[2:] if word.startswith(("--", "-c")) else ""
        name, equals, value = given.partition("=")
        if equals:
            yield "postgresql", name.replace("-", "_").lower(), value


def _of_redis(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """``--name value…``: the words up to the next option are its value."""
    name, value = "", list[str]()
    for word in [*words, "--"]:
        if word.startswith("--"):
            if name:
                yield "redis", name, " ".join(value)
            name, value = word[2:].lower(), []
        else:
            value.append(word)


@lru_cache(maxsize=1 << 12)  # the services of a fleet are started alike
def _split(text: str) -> Sequence[str]:
    """The words of a command line; of one that cannot be read as such, what blanks separate."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def entry_of(program: str, setting: str) -> Entry | None:
    """The row of a program's table that a setting falls under."""
    table = PROGRAMS[program]
    name = setting if program == "nginx" else setting.lower()
    if name in table:
        return table[name]
    parts = name.split(".")
    if len(parts) > 2:
        return table.get(f"{parts[0]}.*.{parts[-1]}")
    return table.get("*.*") if len(parts) == 2 and all(parts) else None
