# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a request: read the files, judge the fleet, apply the waivers."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from ..isolation import waivers
from ..isolation.model import ComposeProject, Environment, Finding, Fleet, Severity, Where
from ..isolation.readers.assemble import assemble
from ..isolation.readers.beside import DEFAULT_FILES
from ..isolation.report import text
from ..isolation.report.answer import DISAGREES, TWICE, Report
from ..isolation.rules import judge, rules
from ..isolation.wording import listing
from . import compose_cli
from .files import reader
from .folding import folded
from .request import Request, RequestedEnvironment
from .telling import unread

#: The most calls of Docker Compose that run in parallel.
_AT_ONCE = 4

#: Where the checkout of an environment without a given directory is assumed.
_CHECKOUTS = "/srv"

_Asking = tuple[RequestedEnvironment, ComposeProject, Future[compose_cli.ComposeVerdict | None]]


def check(request: Request, today: date) -> Report:
    """Check the environments of a request, and return all findings."""
    declarations = [_placed(environment) for environment in request.environments]
    # A path on the machine is read from where the environment's files are on the controller.
    machine = {declared.directory: _here(declared, request.base) for declared in declarations}
    read = reader(request.base, machine)
    fleet = Fleet(tuple(_environment(declared, read) for declared in declarations))
    asking = _ask(declarations, fleet, request.base) if request.compose_cli == "auto" else ()
    findings = [*_twice(declarations), *judge(fleet), *_disagreements(asking, request.base)]
    if request.proposal:
        findings = [_of_a_guess(finding) for finding in findings]
    findings = folded(waivers.apply(fleet, findings, today, _waivers(request), known=rules()))
    return Report(
        environments=tuple(dict.fromkeys(declared.prefix for declared in declarations)),
        findings=tuple(text.arrange(findings)),
        stopping=tuple(text.stops(findings, request.fail_on)),
        open=(*request.guesses, *_open(fleet), *unread(_files(declarations))),
    )


def _of_a_guess(finding: Finding) -> Finding:
    """A finding about files that were put together by a guess: what they lack may be in one that was not found."""
    lacks = "undefined" in finding.message or "neither an image" in finding.message
    return replace(finding, severity=Severity.LOW) if finding.rule == "not-compose" and lacks else finding


def _placed(declared: RequestedEnvironment) -> RequestedEnvironment:
    """The environment with a directory; by default, a checkout of its own."""
    if declared.directory:
        return replace(declared, directory=posixpath.normpath(declared.directory))
    return replace(declared, directory=f"{_CHECKOUTS}/{declared.prefix}", checkout=_inside(declared))


def _inside(declared: RequestedEnvironment) -> str:
    """Where in a checkout the Compose files lie."""
    folder = posixpath.normpath(posixpath.dirname(_first(declared)))
    return "" if folder == "." or folder.startswith(("/", "..")) else folder


def _first(declared: RequestedEnvironment) -> str:
    return next(iter(declared.compose_files or declared.env_files or declared.files), "")


def _here(declared: RequestedEnvironment, base: Path) -> Path:
    """The directory on the controller that stands for the environment's directory on the machine."""
    first = _first(declared)
    if declared.checkout is not None and not first.startswith(("/", "..")):
        return base.resolve()
    return (base / first).parent.resolve() if first else base.resolve()


def _project_directory(declared: RequestedEnvironment, base: Path) -> Path:
    """The directory on the controller in which Compose would run."""
    return (base / _first(declared)).parent.resolve()


def _origins(declared: RequestedEnvironment) -> dict[str, Where]:
    """Where the values of an environment stand that the rules know as variables."""
    place = declared.where
    keys = {"bulkhead_directory": "directory", "bulkhead_prefix": "prefix"}
    known = {name: Where(place.file, place.line, f"{place.item}.{key}") for name, key in keys.items()}
    first = next(iter(declared.nginx_files), "")
    return {**known, "bulkhead_domains": Where(first) if first else place}


def _files(declarations: Iterable[RequestedEnvironment]) -> Iterator[PurePosixPath]:
    return (PurePosixPath(path) for declared in declarations for path in declared.files)


def _open(fleet: Fleet) -> Iterator[str]:
    """What could not be judged, because no file says it."""
    for environment in fleet.environments:
        if environment.assumed_directory:
            yield (
                f"{environment.prefix}: no directory was given. A checkout of its own was assumed, "
                f"{environment.directory}."
            )
        known = any(not setting.service for setting in environment.settings)
        unset = {
            used.name: None
            for project in environment.compose
            for used in project.interpolations
            if used.value is None and not used.operator.endswith(("-", "+"))
        }
        if unset and not known:
            are = "is" if len(unset) == 1 else "are"
            yield (
                f"{environment.prefix}: no .env was given, so {listing(unset)} {are} not known here. Names, ports, "
                "addresses and secrets that are made of them were not compared with other environments."
            )


def _environment(declared: RequestedEnvironment, read: Callable[[str], str | None]) -> Environment:
    if not declared.compose_files:
        # A Compose file that happens to lie here may not be this environment's.
        read = _without(read, DEFAULT_FILES)
    # What the repository has under these names is a developer's; the machine gets others.
    read = _without(read, _written(declared, read))
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
        origins=_origins(declared),
        checkout=declared.checkout,
        compose_project=declared.compose_project,
        swarm=declared.swarm,
        nodes=declared.nodes,
    )


def _without(read: Callable[[str], str | None], names: Collection[str]) -> Callable[[str], str | None]:
    return lambda path: None if posixpath.basename(path) in names else read(path)


_WRITES = re.compile(r">\s*[\"']?[\w./${}~-]*?(?<![\w-])(\.env[\w.-]*)[\"']?(?=\s|\Z)")


def _written(declared: RequestedEnvironment, read: Callable[[str], str | None]) -> frozenset[str]:
    """The names of the environment files that a script or workflow makes, and that were not listed."""
    made = (name for path in declared.files for name in _WRITES.findall(read(path) or ""))
    return frozenset(made) - set(map(posixpath.basename, declared.env_files))


def _waivers(request: Request) -> dict[str, list[tuple[Any, Where]]]:
    """The lists of waivers of the request and of each environment, by prefix, with their places."""
    config = request.environments[0].where.file
    by_prefix: dict[str, list[tuple[Any, Where]]] = {}
    for environment in request.environments:
        lists = by_prefix.setdefault(environment.prefix, [])
        if request.waivers is not None and not lists:
            lists.append((request.waivers, Where(config, 0, "waivers")))
        if environment.waivers is not None:
            lists.append(
                (environment.waivers, Where(config, environment.where.line, f"{environment.where.item}.waivers"))
            )
    return by_prefix


def _twice(declarations: list[RequestedEnvironment]) -> Iterator[Finding]:
    """Find environments with the same prefix: anything that they share would look like one environment's own."""
    by_prefix: dict[str, list[RequestedEnvironment]] = {}
    for declared in declarations:
        by_prefix.setdefault(declared.prefix, []).append(declared)
    for prefix, same in by_prefix.items():
        if len(same) > 1:
            yield Finding(
                rule=TWICE,
                severity=Severity.CRITICAL,
                environments=(prefix,),
                machine=same[0].machine,
                resource=prefix,
                message=f"{prefix} is declared {len(same)} times, as "
                f"{' and '.join(declared.name for declared in same[:3])}: whatever they share looks like one "
                "environment's own, so nothing can be proved about them.",
                fix="Give each environment its own prefix, or declare it once with all of its files.",
                where=tuple(declared.where for declared in same),
            )


def _ask(declarations: list[RequestedEnvironment], fleet: Fleet, base: Path) -> list[_Asking]:
    """Have Docker Compose, if available, read each project while the rules run, since starting it takes long."""
    pairs = zip(declarations, fleet.environments, strict=True)
    # Compose itself would only say once more which required variables are missing.
    projects = [
        (pair, project)
        for pair, environment in pairs
        for project in environment.compose[:1]
        # A stack is not for Compose, which knows keys that a swarm does not.
        if not project.swarm and all(problem.rule != "unset-variable" for problem in environment.problems)
    ]
    if not projects:
        return []
    pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
    search = pool.submit(compose_cli.find)  # submitted first, since all others wait for it

    def answer(declared: RequestedEnvironment, project: ComposeProject) -> compose_cli.ComposeVerdict | None:
        client = search.result()
        return _answer(client, declared, project, base) if client else None

    asking = [(declared, project, pool.submit(answer, declared, project)) for declared, project in projects]
    pool.shutdown(wait=False)
    return asking


def _disagreements(asking: Iterable[_Asking], base: Path) -> Iterator[Finding]:
    """Find projects that Docker Compose refuses or reads differently."""
    for declared, project, future in asking:
        answer = future.result()
        if answer is None:
            continue
        if answer.model is None:
            yield _disagreement(declared, f"Docker Compose rejects them: {answer.error}")
            continue
        controller = str(_project_directory(declared, base))
        machine = posixpath.dirname(project.files[0].file) if project.files else declared.directory
        places = compose_cli.differences(project, answer.model, controller=controller, machine=machine)
        if places:
            shown = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
            yield _disagreement(declared, f"Docker Compose reads them differently at {shown}")


def _answer(
    client: str, declared: RequestedEnvironment, project: ComposeProject, base: Path
) -> compose_cli.ComposeVerdict:
    """Docker Compose's reading of one project."""
    by_directory = not project.declared_name or project.name_source == "-p"
    return compose_cli.ask(
        client,
        [(base / path).resolve() for path in declared.compose_files],
        [(base / path).resolve() for path in _interpolated(declared, project, base)],
        project_directory=_project_directory(declared, base),
        name=project.name if by_directory else "",
    )


def _interpolated(declared: RequestedEnvironment, project: ComposeProject, base: Path) -> list[str]:
    """The files that Compose interpolates from: ``.env``, else those that no service has as ``env_file``."""
    dotenv = [path for path in declared.env_files if posixpath.basename(path) == ".env"]
    if dotenv:
        return dotenv
    own = {posixpath.basename(path) for service in project.services.values() for path in service.get("env_file") or ()}
    beside = posixpath.join(posixpath.dirname(declared.compose_files[0]), ".env")
    others = [path for path in declared.env_files if posixpath.basename(path) not in own]
    return others or ([beside] if not declared.env_files and (base / beside).is_file() else [])


def _disagreement(declared: RequestedEnvironment, difference: str) -> Finding:
    return Finding(
        rule=DISAGREES,
        severity=Severity.LOW,
        environments=(declared.prefix,),
        machine=declared.machine,
        resource=declared.compose_files[0],
        message=f"The Compose files of {declared.prefix} were checked, but {difference}. Findings about this may be "
        "wrong.",
        fix="Compare with docker compose config: the machine will do what that shows.",
        where=(Where(declared.compose_files[0]),),
    )
