# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The prover's data: environments, their claims and references, and findings.

Pure data: no I/O, and no import of Ansible or Docker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, Self, TypeVar, overload

#: The scope of names that are unique worldwide: domains, buckets, registry names.
WORLD = "world"

#: The namespaces of a swarm's own files, by the section of a stack that declares them.
SWARM_FILES: Mapping[str, str] = {"configs": "swarm-config", "secrets": "swarm-secret"}

_T = TypeVar("_T")


class Compact:
    """A record that a process passes on to another as its values alone.

    What ``dataclass`` does for records with slots takes four times as long, and a fleet has half a million.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        kind: Any = type(self)
        return kind, _values_of(kind)(self)


@cache
def _values_of(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    values: Callable[[Any], tuple[Any, ...]] = attrgetter(*(field.name for field in fields(kind)))
    return values


class Remembering:
    """Something of which the rules ask the same again and again."""

    @property
    def _remembers(self) -> bool:
        """Whether that is worth its memory."""
        return True

    @cached_property
    def _derived(self) -> dict[Any, Any]:
        return {}

    @overload
    def derived(self, make: Callable[[Self], Iterator[_T]]) -> Sequence[_T]: ...

    @overload
    def derived(self, make: Callable[[Self], _T]) -> _T: ...

    def derived(self, make: Callable[[Self], Any]) -> Any:
        """The result of ``make(self)``, computed once, so that rules share it without passing it around."""
        known: dict[Any, Any] = self.__dict__.get("_derived", {})
        if make in known:
            return known[make]
        result = make(self)
        if isinstance(result, Iterator):
            result = tuple(result)
        if self._remembers:
            self._derived[make] = result
        return result


class Severity(IntEnum):
    """How bad a finding is; larger is worse. The hazard catalogue's ``S0`` to ``S3`` are critical to low."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The severity as users write it: ``critical``, ``high``, ``medium`` or ``low``."""
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Severity:
        """The severity with this :attr:`label`. Raises ``ValueError`` for any other text."""
        try:
            return cls[text.upper()]
        except KeyError:
            words = ", ".join(level.label for level in reversed(cls))
            raise ValueError(f"unknown severity {text!r}: use one of {words}") from None


@dataclass(frozen=True, slots=True, order=True)
class Where(Compact):
    """A place that a user can open: a file and line, or an inventory variable (``item``), or both."""

    file: str = ""
    line: int = 0
    item: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return f"{place} ({self.item})" if place and self.item else place or self.item


@dataclass(frozen=True, slots=True)
class Claim(Compact):
    """A name in a shared namespace that an environment owns.

    ``scope`` is the machine for machine-wide names, the server for databases and brokers, and :data:`WORLD` for
    domains, registries and buckets. ``shareable`` marks what several environments may use at once, such as a read-only
    mount of a system path. ``attributes`` holds what the namespace's rule needs beyond the key, such as the address of
    a published port.
    """

    namespace: str
    scope: str
    key: str
    owner: str
    where: Where
    shareable: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Reference(Compact):
    """Something that an artefact points at: a host name in ``DB_HOST``, an upstream, a bind source, a URL."""

    kind: str
    target: str
    owner: str
    where: Where
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem, in terms that the person who fixes it understands.

    ``environments`` are prefixes. ``message`` says what would happen and why it matters, ``fix`` what to do.
    ``waived`` is the reason of the waiver that accepts it; a waived finding is shown and does not stop the run.
    """

    rule: str
    severity: Severity
    environments: tuple[str, ...]
    resource: str
    message: str
    fix: str
    where: tuple[Where, ...] = ()
    machine: str = ""
    hazards: tuple[str, ...] = ()
    waived: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding in the form of the public JSON contract."""
        return {
            "rule": self.rule,
            "hazards": list(self.hazards),
            "severity": self.severity.label,
            "environments": list(self.environments),
            "machine": self.machine,
            "resource": self.resource,
            "where": [str(place) for place in self.where],
            "message": self.message,
            "fix": self.fix,
            "waived": self.waived,
        }


class Sealed:
    """A value that cannot be read here, because its vault is locked. It equals nothing, not even itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<sealed>"

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


SEALED = Sealed()

#: Stands for a sealed value inside a longer text, such as the password of a URL whose host is known. No template or
#: file format treats any of its characters specially.
SEAL = "bulkhead-sealed-value"


@dataclass(frozen=True, slots=True)
class Setting(Compact):
    """A value of an environment file or of a service's ``environment``. ``value`` may be :data:`SEALED`; ``None``
    means that it comes from the process that runs Compose."""

    key: str
    value: str | Sealed | None
    where: Where
    service: str = ""
    secret: bool = False

    @property
    def text(self) -> str:
        """The value if it can be read, else the empty string."""
        return self.value if isinstance(self.value, str) else ""


@dataclass(frozen=True, slots=True)
class Interpolation:
    """One ``${NAME}`` of a Compose file. ``operator`` is ``""``, ``-``, ``:-``, ``?``, ``:?``, ``+`` or ``:+``."""

    name: str
    operator: str
    operand: str
    value: str | None
    where: Where


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A Compose project in the canonical form of ``docker compose config --format json``.

    ``bare_name`` is the project name if someone runs ``docker compose -f FILE`` in the directory. ``files`` are all
    files that were read, also by ``extends`` and ``include``, as absolute paths on the machine. ``places`` maps a
    dotted path of the model (``services.web.ports.0``) to where it was written; look places up with :meth:`where`.
    ``more`` are other keys at the top of a file that Bulkhead renders. ``swarm`` is the swarm on which it is deployed
    as a stack (:attr:`name` is the stack's); empty for a project of Compose.
    """

    name: str
    bare_name: str
    services: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    name_source: str = ""
    declared_name: str = ""
    file: str = ""
    files: tuple[Where, ...] = ()
    interpolations: tuple[Interpolation, ...] = ()
    warnings: tuple[str, ...] = ()
    places: Mapping[str, Where] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    swarm: str = ""

    def where(self, *path: str | int) -> Where:
        """Where an item of the model was written, or else its nearest parent that has a place."""
        dotted = ".".join(map(str, path))
        parent = dotted if self.places else ""  # none of what Bulkhead renders
        while parent:
            place = self.places.get(parent)
            if place is not None:
                return place if parent == dotted else Where(place.file, place.line, dotted)
            parent = parent.rpartition(".")[0]
        return Where(self.file, 0, dotted)


@dataclass(frozen=True, slots=True)
class Directive(Compact):
    """An nginx directive with its arguments, and its block if it has one."""

    name: str
    args: tuple[str, ...]
    where: Where
    block: tuple[Directive, ...] | None = None

    def walk(self) -> Iterator[Directive]:
        """Yield this directive and all below it, depth first."""
        pending = [self]
        while pending:
            directive = pending.pop()
            yield directive
            if directive.block:
                pending.extend(reversed(directive.block))

    def find(self, name: str) -> Iterator[Directive]:
        """The direct children with this name."""
        return (child for child in self.block or () if child.name == name)


@dataclass(frozen=True)
class Document(Remembering):
    """Any other file that affects the machine: not Compose, nginx or an environment file.

    ``kind`` is ``workflow``, ``shell``, ``cron``, ``systemd``, ``sql``, ``pgbouncer``, ``postgresql``, ``redis``,
    ``dockerfile``, ``dockerignore``, ``logrotate``, ``ansible`` or ``text``. ``data`` is the parsed form, for kinds
    that have one.
    """

    path: str
    kind: str
    text: str
    data: Any = None


@dataclass(frozen=True)
class Environment(Remembering):
    """One deployment of the application as the rules see it.

    ``variables`` are the resolved ``bulkhead_`` variables (:data:`SEALED` if locked), none for files that Bulkhead
    does not deploy. ``origins`` tells where a variable was set, if known. ``registered_services`` are the services of
    the release in force, if that is not the one in ``compose``.
    """

    prefix: str
    name: str = ""
    project: str = ""
    group: str = ""
    machine: str = "localhost"
    directory: str = ""
    domains: tuple[str, ...] = ()
    http_port: int | None = None
    https_port: int | None = None
    protected: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Where] = field(default_factory=dict)
    compose: tuple[ComposeProject, ...] = ()
    settings: tuple[Setting, ...] = ()
    nginx: tuple[Directive, ...] = ()
    documents: tuple[Document, ...] = ()
    claims: tuple[Claim, ...] = ()
    references: tuple[Reference, ...] = ()
    problems: tuple[Finding, ...] = ()
    registered_services: Mapping[str, Mapping[str, Any]] | None = None
    #: Nobody said where it lives: ``directory`` is that of a checkout of its own, whose name is not known.
    assumed_directory: bool = False
    #: Nobody chose its name: Compose took that of its directory. In a text it is a mere word, such as a repository's.
    named_by_directory: bool = False
    #: The swarm on which it is a stack; then ``machine`` stands for the whole swarm, and ``nodes`` are its machines as
    #: far as this environment names them.
    swarm: str = ""
    nodes: tuple[str, ...] = ()

    def origin(self, variable: str) -> Where:
        """Where a variable was set, or else only its name."""
        return self.origins.get(variable) or Where(item=variable)

    @cached_property
    def _services(self) -> Sequence[tuple[ComposeProject, str, Mapping[str, Any]]]:
        return [(project, name, service) for project in self.compose for name, service in project.services.items()]

    def services(self) -> Iterator[tuple[ComposeProject, str, Mapping[str, Any]]]:
        """Yield (project, service name, canonical definition) for each service of each Compose project."""
        return iter(self._services)

    @property
    def _remembers(self) -> bool:
        return bool(self.documents or self.nginx)

    @property
    def directives(self) -> Sequence[Directive]:
        """Every directive of its nginx files, at any depth."""
        return self.derived(_directives)


def _directives(environment: Environment) -> Iterator[Directive]:
    return (directive for top in environment.nginx for directive in top.walk())


@dataclass(frozen=True)
class Fleet(Remembering):
    """All environments that a gate judges together. Indices are built once, so that rules run in linear time."""

    environments: tuple[Environment, ...]

    @cached_property
    def by_prefix(self) -> Mapping[str, Environment]:
        """Environments by prefix; the first if several have the same prefix."""
        index: dict[str, Environment] = {}
        for environment in self.environments:
            index.setdefault(environment.prefix, environment)
        return index

    @cached_property
    def _claims(self) -> Mapping[str, Mapping[tuple[str, str], Sequence[Claim]]]:
        index: dict[str, dict[tuple[str, str], list[Claim]]] = {}
        for environment in self.environments:
            places = self.places(environment)
            for claim in environment.claims:
                scopes = places if claim.scope == environment.machine else (claim.scope,)
                for scope in scopes:
                    index.setdefault(claim.namespace, {}).setdefault((scope, claim.key), []).append(claim)
        # Most keys have one claim: a tuple of one takes half of a list's memory.
        return {
            namespace: {key: tuple(claims) for key, claims in of_namespace.items()}
            for namespace, of_namespace in index.items()
        }

    def claims(self, namespace: str) -> Mapping[tuple[str, str], Sequence[Claim]]:
        """The claims of a namespace, grouped by (scope, key)."""
        return self._claims.get(namespace, {})

    def collisions(self, namespace: str) -> Iterator[tuple[str, str, Sequence[Claim]]]:
        """Yield each (scope, key) that several environments claim, with one claim for each owner."""
        for (scope, key), claims in self.claims(namespace).items():
            if len(claims) < 2:
                continue
            owners = {claim.owner: claim for claim in reversed(claims)}
            if len(owners) > 1 and not self._is_of_swarm(scope, claims):
                yield scope, key, [owners[owner] for owner in sorted(owners)]

    def _is_of_swarm(self, scope: str, claims: Sequence[Claim]) -> bool:
        """Whether a node has these claims only through one swarm, in whose own scope they are found as well."""
        return all(claim.scope != scope for claim in claims) and len({claim.scope for claim in claims}) == 1

    def places(self, environment: Environment) -> tuple[str, ...]:
        """Where an environment meets others: its machine; of a stack its swarm, and the nodes that have others too."""
        return (environment.machine, *self.shared_nodes.get(environment.machine, ()))

    @cached_property
    def shared_nodes(self) -> Mapping[str, tuple[str, ...]]:
        """By the scope of each swarm, the machines that are its nodes and that have environments of Compose too.

        A task of a stack may run on any node of its swarm, whichever environment named that node.
        """
        nodes: dict[str, dict[str, None]] = {}
        for environment in self.environments:
            if environment.swarm:
                nodes.setdefault(environment.machine, {}).update(dict.fromkeys(environment.nodes))
        alone = {environment.machine for environment in self.environments if not environment.swarm}
        return {scope: tuple(node for node in found if node in alone) for scope, found in nodes.items()}

    @cached_property
    def _references(self) -> Mapping[str, Sequence[Reference]]:
        index: dict[str, list[Reference]] = {}
        for environment in self.environments:
            for reference in environment.references:
                index.setdefault(reference.kind, []).append(reference)
        return index

    def references(self, *kinds: str) -> Iterable[Reference]:
        """All references of the given kinds, ordered by kind and then by environment."""
        for kind in kinds:
            yield from self._references.get(kind, ())

    @cached_property
    def machines(self) -> Mapping[str, Sequence[Environment]]:
        """Environments by machine; a stack also by the nodes that it shares with environments of Compose."""
        index: dict[str, list[Environment]] = {}
        for environment in self.environments:
            for machine in self.places(environment):
                index.setdefault(machine, []).append(environment)
        return index
