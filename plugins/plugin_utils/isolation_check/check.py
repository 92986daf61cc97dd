# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a request: files to fleet, fleet to findings, findings to the answer."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ..isolation import waivers
from ..isolation.model import ComposeProject, Environment, Finding, Fleet, Severity, Where
from ..isolation.readers.assemble import DEFAULT_FILES, assemble
from ..isolation.report import text
from ..isolation.report.answer import DISAGREES, TWICE, Answer
from ..isolation.rules import judge, rules
from . import compose_cli
from .files import reader
from .request import Declared, Request

#: Calls of Docker Compose that run side by side.
_AT_ONCE = 4

_Asking = tuple[Declared, ComposeProject, Future[compose_cli.Answer | None]]


def check(request: Request, today: date) -> Answer:
    """Everything that is wrong with the environments of a request, at once."""
    declared = [_placed(environment, request.base) for environment in request.environments]
    # What an environment names by its path on the machine is looked up where its files are here.
    machine = {each.directory: _here(each, request.base) for each in declared}
    read = reader(request.base, machine)
    fleet = Fleet(tuple(_environment(each, read) for each in declared))
    asking = _ask(declared, fleet, request.base) if request.compose_cli == "auto" else ()
    findings = [*_twice(declared), *judge(fleet), *_disagreements(asking, request.base)]
    findings = waivers.apply(fleet, findings, today, _waivers(request), known=rules())
    return Answer(
        environments=tuple(dict.fromkeys(each.prefix for each in declared)),
        findings=tuple(text.arrange(findings)),
        stopping=tuple(text.stops(findings, request.fail_on)),
    )


def _placed(declared: Declared, base: Path) -> Declared:
    """With a directory, where none was given: where its files are here."""
    directory = posixpath.normpath(declared.directory) if declared.directory else str(_here(declared, base))
    return replace(declared, directory=directory)


def _here(declared: Declared, base: Path) -> Path:
    """The directory on the controller that stands for the environment's own."""
    first = next(iter(declared.compose_files or declared.env_files or declared.files), "")
    return (base / first).parent.resolve() if first else base.resolve()


def _environment(declared: Declared, read: Callable[[str], str | None]) -> Environment:
    if not declared.compose_files:
        # Nobody said that a Compose file which happens to lie here is this environment's.
        read = _without_defaults(read)
    return assemble(
        prefix=declared.prefix,
        name=declared.name,
        machine=declared.machine,
        directory=declared.directory,
        compose_files=declared.compose_files,
        env_files=declared.env_files,
        nginx_files=declared.nginx_files,
        files=declared.files,
        read=read,
    )


def _without_defaults(read: Callable[[str], str | None]) -> Callable[[str], str | None]:
    return lambda path: None if posixpath.basename(path) in DEFAULT_FILES else read(path)


def _waivers(request: Request) -> dict[str, list[tuple[Any, Where]]]:
    """The waivers of the request and of each environment."""
    config = request.environments[0].where.file
    found: dict[str, list[tuple[Any, Where]]] = {}
    for environment in request.environments:
        lists = found.setdefault(environment.prefix, [])
        if request.waivers is not None and not lists:
            lists.append((request.waivers, Where(config, 0, "waivers")))
        if environment.waivers is not None:
            lists.append(
                (environment.waivers, Where(config, environment.where.line, f"{environment.where.item}.waivers"))
            )
    return found


def _twice(declared: list[Declared]) -> Iterator[Finding]:
    """One prefix, two environments: everything that they share would look like their own."""
    places: dict[str, list[Declared]] = {}
    for each in declared:
        places.setdefault(each.prefix, []).append(each)
    for prefix, same in places.items():
        if len(same) > 1:
            yield Finding(
                rule=TWICE,
                severity=Severity.CRITICAL,
                environments=(prefix,),
                machine=same[0].machine,
                resource=prefix,
                message=f"{prefix} is declared {len(same)} times, as {' and '.join(each.name for each in same[:3])}: "
                "what they share looks like one environment's own, so nothing can be proved about them.",
                fix="Give each environment a prefix of its own, or declare it once with all of its files.",
                where=tuple(each.where for each in same),
            )


def _ask(declared: list[Declared], fleet: Fleet, base: Path) -> list[_Asking]:
    """Have Docker Compose, if it is at hand, read each project, while the rules judge: starting it takes long."""
    pairs = zip(declared, fleet.environments, strict=True)
    projects = [(pair, project) for pair, environment in pairs for project in environment.compose[:1]]
    if not projects:
        return []
    pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
    found = pool.submit(compose_cli.find)  # the first, so that it never waits for those that wait for it

    def answer(each: Declared, project: ComposeProject) -> compose_cli.Answer | None:
        client = found.result()
        return _answer(client, each, project, base) if client else None

    asking = [(each, project, pool.submit(answer, each, project)) for each, project in projects]
    pool.shutdown(wait=False)
    return asking


def _disagreements(asking: Iterable[_Asking], base: Path) -> Iterator[Finding]:
    """Where Docker Compose reads a project differently."""
    for each, project, future in asking:
        answer = future.result()
        if answer is None:
            continue
        if answer.model is None:
            yield _disagreement(each, f"Docker Compose refuses it: {answer.error}")
            continue
        controller = str(_here(each, base))
        places = compose_cli.differences(project, answer.model, controller=controller, machine=each.directory)
        if places:
            shown = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
            yield _disagreement(each, f"Docker Compose reads it differently at {shown}")


def _answer(client: str, declared: Declared, project: ComposeProject, base: Path) -> compose_cli.Answer:
    """What Docker Compose says about one project."""
    by_directory = not project.declared_name
    return compose_cli.ask(
        client,
        [(base / path).resolve() for path in declared.compose_files],
        [(base / path).resolve() for path in _interpolated(declared, project, base)],
        project_directory=_here(declared, base),
        name=project.name if by_directory else "",
    )


def _interpolated(declared: Declared, project: ComposeProject, base: Path) -> list[str]:
    """The files that Compose interpolates from: ``.env``, else those that no service has as its own."""
    given = [path for path in declared.env_files if posixpath.basename(path) == ".env"]
    if given:
        return given
    own = {posixpath.basename(path) for service in project.services.values() for path in service.get("env_file") or ()}
    beside = posixpath.join(posixpath.dirname(declared.compose_files[0]), ".env")
    others = [path for path in declared.env_files if posixpath.basename(path) not in own]
    return others or ([beside] if not declared.env_files and (base / beside).is_file() else [])


def _disagreement(declared: Declared, said: str) -> Finding:
    return Finding(
        rule=DISAGREES,
        severity=Severity.LOW,
        environments=(declared.prefix,),
        machine=declared.machine,
        resource=declared.compose_files[0],
        message=f"The Compose files of {declared.prefix} were read and judged. {said}. "
        "What is found about these places may not hold.",
        fix="Look at these places; Compose's own word is what the machine will do.",
        where=(Where(declared.compose_files[0]),),
    )
