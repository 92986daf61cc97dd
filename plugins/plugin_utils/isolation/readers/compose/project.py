# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a Compose project as Compose does: several files, ``extends``, ``include``, variables, environment files.

The result has the form of ``docker compose config --format json``, with intended differences: unused networks and
volumes are kept, profiles hide no service, ``env_file`` is a list of absolute paths, a dollar is one dollar (Compose
prints two), and a mount whose source was written with ``~`` is marked ``x-home``. What only some versions of Compose
refuse (the same entry twice in a list) is accepted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import ReaderError
from ...model import ComposeProject, Severity, Where
from ...naming import normalise_project
from .canonical import SECTIONS, Paths, canonical, canonical_service
from .check import inconsistencies
from .dotenv import Line, evaluate, read_dotenv
from .interpolation import StandIn, lookup_in
from .keys import MODEL, SERVICE
from .load import Loader, Sources
from .printed import finish_service
from .resources import finish_resources
from .shape import check_shape
from .yaml_text import Map

PROJECT_NAME = "COMPOSE_PROJECT_NAME"


@dataclass(frozen=True, slots=True)
class Problem:
    """A reader's error and its severity."""

    error: ReaderError
    severity: Severity


@dataclass(frozen=True, slots=True)
class Link:
    """A reference to another file; ``kind`` is ``extends`` or ``include``, ``target`` an absolute path."""

    kind: str
    target: str
    where: Where


@dataclass(slots=True)
class ComposeReading:
    """The project, if it could be read, with its problems and links."""

    project: ComposeProject | None = None
    problems: list[Problem] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


def read_compose(
    files: Sequence[str],
    *,
    directory: str,
    env: Mapping[str, str],
    read: Callable[[str], str | None],
    show: Callable[[str], str] = str,
    home: str = "/root",
    stand_in: StandIn | None = None,
    named: str = "",
) -> ComposeReading:
    """Read one project from its files. Raises nothing for a file's content: ``problems`` has the errors.

    Paths are absolute, as on the machine; ``show`` maps them to the user's own paths. ``env`` is the content of
    ``.env``, ``named`` the project that every command names with ``-p``. With ``stand_in``, a file whose required
    variables have no value is read all the same.
    """
    reading = ComposeReading()
    loader = Loader(Sources(read, show), home, stand_in)
    try:
        reading.project = _Project(loader, directory, dict(env), reading, named).build(files)
    except ReaderError as error:
        severity = Severity.MEDIUM if error.rule in ("not-compose", "unset-variable") else Severity.HIGH
        reading.problems.append(Problem(error, severity))
    except RecursionError:
        deep = ReaderError("the file nests too deep", rule="too-large", file=show(files[0]))
        reading.problems.append(Problem(deep, Severity.HIGH))
    if loader.missing:
        reading.problems.append(_missing(loader, known=bool(env)))
    reading.problems += [Problem(error, Severity.HIGH) for error in loader.problems]
    reading.links += [Link(kind, target, where) for kind, target, where in loader.links]
    return reading


def _missing(loader: Loader, *, known: bool) -> Problem:
    """All required variables without a value. Without ``.env``, which is in no repository, that is no fault."""
    *others, last = loader.missing
    names = f"{', '.join(others)} and {last}" if others else last
    place = next(iter(loader.missing.values()))
    error = ReaderError(f"no value for {names}", place.line, rule="unset-variable", file=place.file)
    return Problem(error, Severity.MEDIUM if known else Severity.LOW)


class _Project:
    """A project while it is being built."""

    def __init__(
        self, loader: Loader, directory: str, env: dict[str, str], reading: ComposeReading, named: str = ""
    ) -> None:
        self._named = named
        self._loader = loader
        self._directory = directory
        self._env = env
        self._reading = reading
        self._env_files: dict[str, list[Line] | None] = {}

    def build(self, files: Sequence[str]) -> ComposeProject:
        loader = self._loader
        declared = loader.declared_name(files, self._env)
        bare, source = self._name(declared)
        name, source = (self._named, "-p") if self._named else (bare, source)
        self._env[PROJECT_NAME] = self._env.get(PROJECT_NAME) or name
        model = loader.model(files, self._directory, self._env)
        services = Map(at=getattr(model.get("services"), "at", None))
        for key, service in (model.get("services") or {}).items():
            try:
                services[key] = self._with_files(finish_service(service, self._env), service)
            except ReaderError as error:
                place = services.at.get(key, ("", 0))
                message = f"services.{key}.{error.message}"
                raise ReaderError(
                    message, error.line or place[1], rule=error.rule, file=error.file or place[0]
                ) from None
        finished: dict[str, Any] = {"services": services, **finish_resources({**model, "services": services}, name)}
        for message in inconsistencies(finished, self._env.get("COMPOSE_PROFILES", "")):
            self._problem(ReaderError(message, rule="not-compose", file=loader.sources.show(files[0])), Severity.MEDIUM)
        unset = [f"the variable {name} is not set and becomes an empty string" for name in loader.unset]
        return ComposeProject(
            name=name,
            bare_name=bare,
            name_source=source,
            declared_name=declared,
            file=loader.sources.show(files[0]),
            files=tuple(Where(path, 0, kind) for path, kind in loader.loaded.items()),
            interpolations=tuple(loader.uses),
            warnings=tuple(unset),
            places=_places(Map({**finished, "name": name}, at=model.at)),
            **finished,
        )

    def _name(self, declared: str) -> tuple[str, str]:
        """The project's name and its source: ``.env``, else the Compose files, else the directory."""
        wanted = self._env.get(PROJECT_NAME, "")
        if wanted:
            if normalise_project(wanted) != wanted:
                message = (
                    f"{PROJECT_NAME}={wanted!r} is not a valid project name: it must begin with a letter or digit and "
                    "contain only lower-case letters, digits, '-' and '_'"
                )
                self._problem(ReaderError(message, rule="not-compose"), Severity.MEDIUM)
            return normalise_project(wanted) or "default", PROJECT_NAME
        named = normalise_project(declared)
        if named:
            return named, "name"
        return normalise_project(posixpath.basename(self._directory.rstrip("/"))) or "default", "directory"

    def _with_files(self, made: Map, service: Mapping[str, Any]) -> Map:
        """Add the entries of a service's environment and label files; the service's own entries win."""
        values: dict[str, str] = {}
        own = made.get("environment") or Map()
        merged = Map(at=dict(getattr(own, "at", {})))
        for entry in service.get("env_file") or ():
            shown = self._loader.sources.show(entry["path"])
            lines = self._lines(entry["path"], required=bool(entry.get("required", True)))
            if lines is None:
                continue
            values.update(self._evaluate(lines, shown, entry, lookup_in(values, self._env)))
            for line in lines:
                if line.key not in own:
                    merged.at[line.key] = (shown, line.line)
        merged.update(values)
        merged.update(own)
        if merged:
            made["environment"] = merged
        labels: dict[str, str] = {}
        for path in service.get("label_file") or ():
            lines = self._lines(path, required=True)
            if lines is not None:
                labels.update(self._evaluate(lines, self._loader.sources.show(path), {}, lookup_in(labels)))
        if labels:
            made["labels"] = Map({**labels, **made.get("labels", {})}, at=getattr(made.get("labels"), "at", None))
        made.pop("label_file", None)
        return made

    def _evaluate(
        self, lines: list[Line], shown: str, entry: Mapping[str, Any], lookup: Callable[[str], str | None]
    ) -> dict[str, str]:
        if entry.get("format") == "raw":
            return {line.key: line.value or "" for line in lines}
        try:
            return evaluate(lines, shown, lookup)
        except ReaderError as error:
            error.file = error.file or shown
            self._problem(error, Severity.MEDIUM)
            return {}

    def _lines(self, path: str, *, required: bool) -> list[Line] | None:
        """The lines of an environment file, read once; ``None`` if it cannot be read."""
        if path in self._env_files:
            return self._env_files[path]
        self._env_files[path] = None
        sources = self._loader.sources
        text = sources.read(path)
        if text is None:
            if required:
                message = "the file cannot be read here, and Compose does not start without it"
                self._problem(ReaderError(message, file=sources.show(path)), Severity.LOW)
            return None
        try:
            self._env_files[path] = read_dotenv(text)
        except ReaderError as error:
            error.file = error.file or sources.show(path)
            self._problem(error, Severity.MEDIUM)
        return self._env_files[path]

    def _problem(self, error: ReaderError, severity: Severity) -> None:
        self._reading.problems.append(Problem(error, severity))


def canonical_mapping(
    compose: Mapping[str, Any],
    *,
    directory: str,
    file: str,
    env_files: Mapping[str, Mapping[str, str]],
    bare_name: str = "",
    home: str = "/root",
    swarm: str = "",
) -> ComposeProject:
    """The project of a mapping that Bulkhead rendered, in one file and without variables: no text is parsed.

    ``env_files`` maps absolute paths to their content. ``swarm`` is where it is deployed as a stack.
    Raises :class:`ReaderError` for what Compose would refuse.
    """
    name = str(compose["name"])
    paths = Paths(directory, home)
    services: dict[str, Any] = {}
    for key, definition in (compose.get("services") or {}).items():
        check_shape(definition, SERVICE, f"services.{key}")
        # Searching repr() for a dollar is much faster than checking each value.
        service = canonical_service(_undollared(definition) if "$$" in repr(definition) else definition, key)
        paths.service(service)
        finished = finish_service(service, {})
        environment: dict[str, Any] = {}
        for path in finished.get("env_file") or ():
            environment.update(env_files.get(path, {}))
        if environment:
            environment.update(finished.get("environment") or {})
            finished["environment"] = environment
        services[key] = finished
    for section in SECTIONS[1:]:
        check_shape(compose.get(section) or {}, MODEL.shapes[section], section)
    model = {
        section: {key: dict(entry or {}) for key, entry in (compose.get(section) or {}).items()}
        for section in SECTIONS
        if section != "services"
    }
    canonical(model)
    paths.resources(model)
    resources: dict[str, Any] = dict(finish_resources({**model, "services": services}, name))
    return ComposeProject(
        name=name,
        bare_name=bare_name or name,
        name_source="name",
        declared_name=name,
        file=file,
        files=(Where(posixpath.join(directory, posixpath.basename(file)), 0, "file"),),
        services=services,
        more={key: value for key, value in compose.items() if key not in SECTIONS and not str(key).startswith("x-")},
        swarm=swarm,
        **resources,
    )


def _undollared(value: Any) -> Any:
    """Replace ``$$`` by ``$``: rendered files contain no variables."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, (dict, Mapping)):
        return {key: _undollared(item) for key, item in value.items()}
    return [_undollared(item) for item in value] if isinstance(value, list) else value


def _places(model: Mapping[str, Any]) -> dict[str, Where]:
    """Where each part of a finished model was written, by dotted path."""
    places: dict[str, Where] = {}

    def walk(value: Any, path: str) -> None:
        at = getattr(value, "at", None)
        if isinstance(value, dict):
            for key, item in value.items():
                here = f"{path}.{key}" if path else key
                if at and key in at and at[key][0]:
                    places[here] = Where(at[key][0], at[key][1], here)
                walk(item, here)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                here = f"{path}.{number}"
                if at and number < len(at) and at[number][0]:
                    places[here] = Where(at[number][0], at[number][1], here)
                walk(item, here)

    walk(model, "")
    return places
