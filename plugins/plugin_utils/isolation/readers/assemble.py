# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Assemble an environment from its files, whether Bulkhead renders them or others wrote them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..declared import claims_declared, claims_routes
from ..errors import ReaderError, finding_of
from ..model import (
    SEAL,
    Claim,
    ComposeProject,
    Directive,
    Document,
    Environment,
    Finding,
    Reference,
    Setting,
    Severity,
    Where,
)
from ..naming import normalise_project, swarm_scope, words_of
from ..numbers import number_of
from .beside import default_files, ignore_files, known_or_sealed, nginx_mounts
from .claims_endpoints import claims_endpoints
from .compose.claims import claims_compose
from .compose.dotenv import evaluate, read_dotenv
from .compose.dotenv import settings as settings_of_file
from .compose.interpolation import StandIn, lookup_in
from .compose.project import PROJECT_NAME, ComposeReading, canonical_mapping, read_compose
from .compose.stack_claims import claims_stack
from .compose_location import Location, location
from .documents import claims_document, read_document
from .frameworks import claims_settings
from .nginx.meaning import claims_nginx
from .nginx.parser import read_nginx
from .rendered import RenderedArtefacts

Read = Callable[[str], "str | None"]

#: Larger files are refused; nobody writes that much by hand.
MAX_CHARACTERS = 2 << 20


#: Services that take requests for others, of which one has the ports that visitors use.
_FRONT = re.compile(r"nginx|caddy|traefik|haproxy|apache|httpd|proxy|gateway|edge", re.IGNORECASE)


def assemble(
    *,
    prefix: str,
    name: str = "",
    project: str = "",
    group: str = "",
    machine: str = "localhost",
    directory: str = "",
    domains: Iterable[str] = (),
    http_port: int | None = None,
    https_port: int | None = None,
    protected: bool = False,
    variables: Mapping[str, Any] | None = None,
    origins: Mapping[str, Where] | None = None,
    compose_files: Sequence[str] = (),
    env_files: Sequence[str] = (),
    nginx_files: Sequence[str] = (),
    files: Sequence[str] = (),
    read: Read | None = None,
    rendered: RenderedArtefacts | None = None,
    checkout: str | None = None,
    compose_project: str = "",
    swarm: str = "",
    nodes: Sequence[str] = (),
) -> Environment:
    """Read all files of an environment. Raises nothing for a file that cannot be read: ``problems`` has a finding.

    Paths are as the user wrote them; ``read`` returns the text at a path, or ``None``. ``directory`` is where the
    environment lives on the machine; if that is only assumed, ``checkout`` is where in it the Compose files lie.
    ``compose_project`` is the name that commands give to the Compose project, if that is known otherwise.
    ``domains`` default to nginx's server names, ports to the published ones. ``swarm`` is the name of the swarm on
    which the files are deployed as a stack, and ``nodes`` are its machines; ``machine`` does not count then.
    """
    machine = swarm_scope(swarm) if swarm else machine or "localhost"
    assembly = _Assembly(prefix, machine, directory, read or (lambda path: None), checkout or "")
    assembly.swarm = swarm
    assembly.called(name, compose_project)
    if rendered is not None:
        assembly.take(rendered)
    # Documents first: their commands tell where a project lives, and what it is called.
    for path in files:
        assembly.document(path)
    assembly.compose(compose_files, env_files, wanted=rendered is None)
    for path in nginx_files:
        assembly.nginx_file(path)
    if rendered is None:
        assembly.beside(nginx_files)
    environment = Environment(
        prefix=prefix,
        name=name,
        project=project,
        group=group,
        machine=machine,
        directory=assembly.directory,
        domains=tuple(domain.lower() for domain in domains) or assembly.domains(),
        http_port=http_port if http_port is not None else assembly.published(80),
        https_port=https_port if https_port is not None else assembly.published(443),
        protected=protected,
        variables=variables or {},
        origins=origins or {},
        compose=tuple(assembly.projects),
        settings=tuple(assembly.settings if rendered is not None else map(known_or_sealed, assembly.settings)),
        nginx=(*assembly.directives, *assembly.mounted),
        documents=tuple(assembly.documents),
        assumed_directory=checkout is not None,
        swarm=swarm,
        nodes=tuple(nodes),
    )
    claims, references = assembly.claims(environment.origins.get("bulkhead_directory") or Where(item="directory"))
    endpoint_claims, endpoint_references = claims_endpoints(environment)
    claims += [*endpoint_claims, *claims_declared(environment), *claims_routes(environment)]
    references += endpoint_references
    return replace(environment, claims=tuple(claims), references=tuple(references), problems=tuple(assembly.problems))


class _Assembly:
    """An environment while it is being read."""

    def __init__(self, prefix: str, machine: str, directory: str, read: Read, checkout: str) -> None:
        self._checkout = checkout
        self._prefix = prefix
        self._machine = machine
        self._read = read
        self._base = ""
        self._root = ""
        self._named = ""
        self._words: frozenset[str] = frozenset()
        self._stand_in: StandIn | None = None
        self._known: dict[str, str] = {}
        self._links: list[Reference] = []
        self._values: dict[str, dict[str, str]] = {}
        self._nginx_claims: tuple[list[Claim], list[Reference]] | None = None
        self.directory = directory
        self.swarm = ""
        self.projects: list[ComposeProject] = []
        self.settings: list[Setting] = []
        self.directives: list[Directive] = []
        #: Of nginx files that a container mounts, without being listed.
        self.mounted: list[Directive] = []
        self.documents: list[Document] = []
        self.problems: list[Finding] = []

    def called(self, name: str, compose_project: str) -> None:
        """Take the names that the environment and, if it is known, its Compose project are called by."""
        self._words = words_of(self._prefix, name)
        self._named = normalise_project(compose_project)

    def take(self, rendered: RenderedArtefacts) -> None:
        """Read the artefacts that Bulkhead renders."""
        own = {key: value for key, value in rendered.settings.items() if isinstance(value, str)}
        env_path = self._machine_path(rendered.env_file)
        for key, value in rendered.settings.items():
            where = rendered.sources.get(key) or Where(rendered.env_file, 0, key)
            self.settings.append(Setting(key, value, where, "", key in rendered.secrets))
        try:
            project = canonical_mapping(
                rendered.compose,
                directory=self.directory,
                file=rendered.compose_file,
                env_files={env_path: own},
                bare_name=own.get(PROJECT_NAME, ""),
                home=self._home(),
                swarm=self.swarm,
            )
        except ReaderError as error:
            error.file = error.file or rendered.compose_file
            self._problem(error, Severity.HIGH)
        else:
            self.projects.append(project)
            self._service_settings(project, rendered.settings)
        for path, text in rendered.nginx.items():
            self.nginx(path, text)
        for path, text in rendered.files.items():
            self._document(path, text)

    def compose(self, compose_files: Sequence[str], env_files: Sequence[str], *, wanted: bool) -> None:
        """Read the environment files and the Compose project; only listed Compose files if not ``wanted``."""
        first = next(iter((*compose_files, *env_files)), "")
        self._base = posixpath.dirname(first)
        if not self.directory and wanted and first:
            self.directory = posixpath.normpath(posixpath.join("/", self._base))
        told = (
            location(
                self.documents, compose_files, self.directory, self._prefix, inner=self._checkout, words=self._words
            )
            if wanted
            else Location()
        )
        inner = posixpath.join(self.directory, self._checkout) if self._checkout else ""
        self._root, self._named = told.directory or inner, self._named or told.project
        for path in (*compose_files, *env_files):
            self._known.setdefault(self._machine_path(path), path)
        values = self._env_files(env_files)
        if wanted:
            # The prefix keeps the placeholders of two environments apart.
            self._stand_in = StandIn(f"{SEAL}-of-{self._prefix}", for_unset=not self.settings)
        if not wanted and not compose_files:
            return
        paths = [self._machine_path(path) for path in compose_files] or self._default_files(values)
        if not paths:
            return
        reading = self._read_project(paths, values)
        if not any(posixpath.basename(path) == ".env" for path in self._environment_files(env_files)):
            # Without .env, the listed files that no service has as env_file are taken for those of --env-file.
            of_services = {path for service in self._services(reading) for path in service.get("env_file") or ()}
            interpolated = [path for path in env_files if self._machine_path(path) not in of_services]
            if interpolated:
                values = {key: value for path in interpolated for key, value in self._values.get(path, {}).items()}
                reading = self._read_project(paths, values)
        for problem in reading.problems:
            self._problem(problem.error, problem.severity)
        self._links += [Reference(link.kind, link.target, self._prefix, link.where) for link in reading.links]
        if wanted and compose_files and (stray := self._default_files({})):
            self._links.append(Reference("default-file", self._shown(stray[0]), self._prefix, Where(stray[0])))
        if reading.project is not None:
            self.projects.append(replace(reading.project, swarm=self.swarm))
            self._service_settings(reading.project, {})

    def _environment_files(self, env_files: Sequence[str]) -> list[str]:
        """The environment files to read: the listed ones, else the ``.env`` beside the Compose file."""
        if env_files:
            return list(env_files)
        beside = posixpath.join(self._base, ".env")
        return [beside] if self._read(beside) is not None else []

    def _env_files(self, env_files: Sequence[str]) -> dict[str, str]:
        """Read all environment files and return the values of ``.env``, from which Compose interpolates."""
        project_values: dict[str, str] = {}
        for path in self._environment_files(env_files):
            text = self._text(path, Severity.HIGH)
            if text is None:
                continue
            try:
                lines = read_dotenv(text)
                values = evaluate(lines, path, lookup_in(project_values))
            except ReaderError as error:
                error.file = error.file or path
                self._problem(error, Severity.MEDIUM)
                continue
            self._values[path] = values
            self.settings += settings_of_file(lines, path, values)
            if posixpath.basename(path) == ".env":
                project_values.update(values)
        return project_values

    def _default_files(self, values: Mapping[str, str]) -> list[str]:
        """The files that Compose uses without ``-f``: ``COMPOSE_FILE``, else the default name and its override."""
        listed = values.get("COMPOSE_FILE", "")
        if listed:
            parts = listed.split(values.get("COMPOSE_PATH_SEPARATOR") or ":")
            return [posixpath.normpath(posixpath.join(self.directory, part)) for part in parts if part]
        return default_files(self.directory, lambda path: self._read_machine(path) is not None)

    def _read_project(self, paths: Sequence[str], values: Mapping[str, str]) -> ComposeReading:
        return read_compose(
            paths,
            directory=self._root or self.directory,
            env=values,
            read=self._read_machine,
            show=self._shown,
            home=self._home(),
            stand_in=self._stand_in,
            named=self._named,
        )

    def _services(self, reading: ComposeReading) -> Iterable[Mapping[str, Any]]:
        return reading.project.services.values() if reading.project else ()

    def _service_settings(self, project: ComposeProject, shared: Mapping[str, Any]) -> None:
        """Read the settings in the services' own ``environment``; those of listed environment files are known."""
        for name, service in project.services.items():
            for key, value in (service.get("environment") or {}).items():
                if key in shared and shared[key] == value:
                    continue
                where = project.where("services", name, "environment", key)
                if where.file not in self._values:
                    self.settings.append(Setting(key, value, Where(where.file, where.line, key), name))

    def beside(self, nginx_files: Sequence[str]) -> None:
        """Read what belongs to the listed files without being listed: mounted nginx files, and ``.dockerignore``."""
        listed = {self._machine_path(path) for path in nginx_files} | set(map(posixpath.normpath, nginx_files))
        for source in dict.fromkeys(nginx_mounts(self.projects)):
            shown = self._shown(source)
            text = None if source in listed or shown in listed else self._read_machine(source)
            with suppress(ReaderError):  # the user did not list this file
                self.mounted += read_nginx(text or "", shown, self._read)
        known = {document.path for document in self.documents}
        for path in dict.fromkeys(ignore_files(self.documents, self.projects, self._shown)):
            text = None if path in known else self._read(path)
            if text is not None:
                self._document(path, text)

    def nginx_file(self, path: str) -> None:
        """Read an nginx file of the user's."""
        text = self._text(path, Severity.HIGH)
        if text is not None:
            self.nginx(path, text)

    def nginx(self, path: str, text: str) -> None:
        """Read an nginx configuration."""
        try:
            self.directives += read_nginx(text, path, self._read)
        except ReaderError as error:
            error.file = error.file or path
            self._problem(error, Severity.HIGH)

    def document(self, path: str) -> None:
        """Read another file that affects the machine."""
        text = self._text(path, Severity.HIGH)
        if text is not None:
            self._document(path, text)

    def _document(self, path: str, text: str) -> None:
        try:
            self.documents.append(read_document(path, text))
        except ReaderError as error:
            error.file = error.file or path
            self._problem(error, Severity.MEDIUM)
            self.documents.append(Document(path, "text", text))

    def claims(self, directory_from: Where) -> tuple[list[Claim], list[Reference]]:
        """The claims and references of every reader. ``directory_from`` is where the directory was set."""
        owner, machine = self._prefix, self._machine
        claims: list[Claim] = []
        references: list[Reference] = list(self._links)
        if self.directory:
            attributes = {"kind": "directory"}
            claims.append(Claim("path", machine, self.directory, owner, directory_from, False, attributes))
        read = claims_stack if self.swarm else claims_compose
        sources = [read(project, owner=owner, machine=machine) for project in self.projects]
        sources.append(self._of_nginx())
        names = {name for project in self.projects for name in project.services}
        sources.append(
            claims_settings(map(known_or_sealed, self.settings), owner=owner, machine=machine, services=names)
        )
        sources += [
            claims_document(document, owner=owner, machine=machine, directory=self.directory)
            for document in self.documents
        ]
        for source_claims, source_references in sources:
            claims += source_claims
            references += source_references
        return claims, references

    def _of_nginx(self) -> tuple[list[Claim], list[Reference]]:
        if self._nginx_claims is None:
            directives = self.directives or self.mounted
            self._nginx_claims = claims_nginx(directives, owner=self._prefix, machine=self._machine)
        return self._nginx_claims

    def domains(self) -> tuple[str, ...]:
        """The domains that nginx answers for, without patterns."""
        claims = (claim for claim in self._of_nginx()[0] if claim.namespace == "domain")
        return tuple(claim.key for claim in claims if not claim.attributes.get("pattern"))

    def published(self, target: int) -> int | None:
        """The machine's port on which visitors reach a container's port ``target``.

        A port of loopback is for a proxy of the machine, which has the ports that visitors use.
        """
        for project in self.projects:
            doors = sorted(
                project.services.items(), key=lambda item: not _FRONT.search(f"{item[0]} {item[1].get('image')}")
            )
            for _name, service in doors:
                for port in service.get("ports") or ():
                    published = str(port.get("published", ""))
                    local = str(port.get("host_ip") or "").strip("[]").startswith(("127.", "::1"))
                    if port.get("target") == target and published.isdecimal() and not local:
                        return number_of(published)
        return None

    def _machine_path(self, path: str) -> str:
        """A path of the user's as it is on the machine."""
        if path.startswith("/"):
            return posixpath.normpath(path)
        below = posixpath.relpath(path, self._base or ".")
        inner = posixpath.basename(path) if below.startswith("..") else below
        return posixpath.normpath(posixpath.join(self._root or self.directory or "/", inner))

    def _shown(self, path: str) -> str:
        """A path of the machine as the user wrote it."""
        if path in self._known or not path:
            return self._known.get(path, "")
        return posixpath.normpath(
            posixpath.join(self._base, posixpath.relpath(path, self._root or self.directory or "/"))
        )

    def _read_machine(self, path: str) -> str | None:
        for candidate in dict.fromkeys((self._shown(path), path)):
            text = self._read(candidate)
            if text is not None:
                if candidate != self._shown(path):
                    self._known[path] = candidate
                return text
        return None

    def _home(self) -> str:
        """The most likely meaning of ``~`` for the deploying user."""
        parts = self.directory.split("/")
        return "/".join(parts[:3]) if parts[1:2] == ["home"] and len(parts) > 2 else "/root"

    def _text(self, path: str, severity: Severity) -> str | None:
        """The text of a file that the user named, else ``None`` and a problem."""
        text = self._read(path)
        if text is None:
            self._problem(ReaderError("the file cannot be read", file=path), severity)
        elif len(text) > MAX_CHARACTERS:
            message = f"the file has {len(text)} characters; the limit is {MAX_CHARACTERS}"
            self._problem(ReaderError(message, rule="too-large", file=path), severity)
        elif "\0" in text[:65536]:
            self._problem(ReaderError("the file is binary", file=path), severity)
        else:
            return text
        return None

    def _problem(self, error: ReaderError, severity: Severity) -> None:
        self.problems.append(finding_of(error, severity, self._prefix, self._machine))
