# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Render one environment: from its declaration to the files, settings and services that would be shipped."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader

from ...module_utils.core.masking import texts_to_hide
from ..declaration.model import Declaration
from ..declaration.resolve import poisoned
from ..declaration.settings import texts
from ..declaration.swarm import SWARM
from ..declaration.templates import Templates
from ..declaration.variables import ROLE
from ..isolation.model import SEAL
from . import plain_yaml
from .definitions import FILE, Definition, definitions_of, merge
from .derived import UNKNOWN_COMMIT, derived, image_of, login_of
from .extras import check_extras
from .login import check_logins
from .program_settings import check_program_settings
from .proved import check_adopted, check_files, check_project, check_services
from .references import check_references, check_sections
from .relay import relayed
from .secret_files import with_secret_files
from .secret_lines import LinesFile, check_lines
from .settings_file import SEALED_SECRETS, needed_secrets, settings_of
from .stack import (
    Stack,
    StackFile,
    build_stack,
    firewall_ports,
    published_ports,
)
from .swarm import as_swarm, check_single_lines
from .tuning import lines, tuned
from .variables import ComposeVariables
from .visitors import check_tls, route_of
from .writers import DotenvLine, dump_compose, dump_raw_settings, dump_settings, dump_stack

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")

#: Where the role's own templates are.
_OWN = ROLE / "templates"

_HEADING = "{prefix}: written by Bulkhead; changes made here are lost with the next deployment."


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file below the environment's directory. ``source`` is a file on the machine to copy instead of ``content``."""

    path: str
    content: str = ""
    mode: int = 0o644
    secret: bool = False
    source: str = ""


@dataclass
class Evaluation:
    """What the templates of one environment gave, once: the default stack, and the text of each file's template.

    A release for another commit is made of it without evaluating anything again. ``image`` is the application's image
    while the commit is unknown; it is the only text that the commit decides. ``sealed`` are the files that cannot be
    read here, each with what it would need.
    """

    image: str
    stack: Mapping[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    sealed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Release:
    """One rendered set of artefacts. ``brought`` are the files that services bring along."""

    compose_file: str
    stack: Stack
    settings: tuple[DotenvLine, ...]
    brought: tuple[RenderedFile, ...]
    heading: str = ""
    ports: tuple[tuple[str, str, int], ...] = ()
    firewall_ports: tuple[dict[str, str], ...] = ()
    #: What the machine's front door has to know of the environment; nothing where it is not behind that.
    route: Mapping[str, Any] = field(default_factory=dict)
    #: Every secret, those that no setting holds included.
    secrets: tuple[str, ...] = field(default=(), compare=False, repr=False)
    evaluation: Evaluation | None = field(default=None, compare=False, repr=False)

    @cached_property
    def files(self) -> tuple[RenderedFile, ...]:
        """All files. Only what is shipped is written out: rules judge the services and settings themselves."""
        settings = [(setting.key, setting.value) for setting in self.settings]
        swarm = bool(self.stack.swarm)
        stack = (dump_stack if swarm else dump_compose)(self.stack.compose, self.heading)
        return (
            RenderedFile(self.compose_file, stack, 0o640),
            RenderedFile(".env", (dump_raw_settings if swarm else dump_settings)(settings, self.heading), 0o600, True),
            *self.brought,
        )

    def file(self, path: str) -> RenderedFile:
        """One of the files, by its path below the directory."""
        return next(file for file in self.files if file.path == path)

    @property
    def digest(self) -> str:
        """What the plan gate proved, in one number: equal digests are equal releases."""
        parts = [(file.path, file.mode, file.content, file.source) for file in self.files]
        return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()


class _Refused(Exception):
    """A release cannot be made; the declaration says why."""


class Renderer:
    """Renders environments. ``directories`` are searched for templates before the role's own.

    ``templates`` are for environments that are being deployed, ``inert`` for all others.
    """

    def __init__(self, loader: DataLoader, directories: Sequence[Path] = ()) -> None:
        self._directories = tuple(directories)
        self._loader = loader
        self.templates = Templates(loader, [*directories, _OWN])

    @cached_property
    def inert(self) -> Templates:
        """Templates without effects. Made where they are used: only the plan reads other environments."""
        return Templates(self._loader, [*self._directories, _OWN], inert=True)

    def replaced(self) -> list[str]:
        """Which of the user's templates are taken instead of the role's: one sentence for each."""
        found = {}
        for own in sorted(path.relative_to(_OWN) for path in _OWN.rglob("*.j2")):
            there = [directory / own for directory in self._directories if (directory / own).is_file()]
            found.update({own: there[0]} if there else {})
        return [f"{path} is used instead of the role's own template {own}." for own, path in found.items()]

    def render(self, declaration: Declaration, inert: bool = False) -> Release | None:
        """Render an environment whose commit is unknown.

        Problems are noted in the declaration; None where nothing could be rendered.
        """
        templates = self.inert if inert else self.templates
        evaluation = Evaluation(image_of(declaration.values, UNKNOWN_COMMIT))
        try:
            with templates.limits():
                return _rendered(declaration, evaluation, templates)
        except _Refused:
            return None
        except (AnsibleError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
            declaration.problem(
                "template-error",
                "bulkhead_services",
                f"{declaration.prefix} cannot be rendered: {_reason(error, declaration)}",
                "correct the variable or template that is named",
            )
            return None
        finally:
            for name, why in evaluation.sealed.items():
                declaration.seal(f"template {name}", why)


def _rendered(declaration: Declaration, evaluation: Evaluation, templates: Templates) -> Release | None:
    values = declaration.values
    secrets = {**SEALED_SECRETS, **texts(values["bulkhead_secrets"])}
    known = {**declaration.available, **derived(values, evaluation.image)}
    # Our own templates only copy sealed values; those of others may compare or digest them.
    ours = {**known, **values, "bulkhead_secrets": secrets}
    known["bulkhead_secrets"] = poisoned(secrets, "bulkhead_secrets")

    def text_of(name: str) -> str:
        if SEAL in name:
            return SEAL
        own = templates.is_below(name, _OWN)
        text = templates.file(name, ours if own else known, locked="" if own else declaration.first_locked, own=own)
        if templates.reasons:
            evaluation.sealed[name] = ", ".join(templates.reasons)
        return text

    def once(name: str) -> str:
        if name not in evaluation.texts:
            evaluation.texts[name] = text_of(name)
        return evaluation.texts[name]

    stack = text_of("stack.yml.j2")
    if stack == SEAL:
        return None
    evaluation.stack = plain_yaml.load(stack, login_of(values), str(values["bulkhead_environment"] or ""))
    definitions = definitions_of(evaluation.stack, values["bulkhead_services"])
    found = {one.name: one.compose for one in definitions}
    programs = tuned(found, values)
    check_program_settings(declaration, found, programs)
    for available in (ours, known):
        available["bulkhead_tuned"] = {program: lines(program, programs[program]) for program in programs}
        available["bulkhead_relayed"] = relayed(values, definitions)
    return replace(_release(declaration, evaluation.stack, definitions, once), evaluation=evaluation)


def with_commit(release: Release, declaration: Declaration, commit: str) -> Release:
    """A release with the image of a commit. Nothing is evaluated, and nothing else differs from what was proved."""
    evaluation = release.evaluation
    if evaluation is None or not _COMMIT.match(commit):
        raise ValueError(f"{commit} is not a commit")
    image = image_of(declaration.values, commit)

    def put(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: put(item) for key, item in value.items()}
        if isinstance(value, list):
            return [put(item) for item in value]
        return value.replace(evaluation.image, image) if isinstance(value, str) else value

    stack = put(evaluation.stack)
    definitions = definitions_of(stack, declaration.values["bulkhead_services"])
    return _release(declaration, stack, definitions, lambda name: str(put(evaluation.texts[name])))


def _release(
    declaration: Declaration,
    default: Mapping[str, Any],
    definitions: list[Definition],
    text_of: Callable[[str], str],
) -> Release:
    values = declaration.values
    prefix, environment = values["bulkhead_prefix"], values["bulkhead_environment"]
    names = {"prefix": prefix, "project": values["bulkhead_project"], "environment": environment}
    if not check_extras(declaration, definitions):
        raise _Refused
    definitions = with_secret_files(declaration, definitions, texts(values["bulkhead_secrets"]))
    secrets = needed_secrets(declaration, definitions, texts(values["bulkhead_secrets"]))
    settings = settings_of(declaration, definitions, secrets)
    hidden = {*secrets, *(setting.key for setting in settings if setting.secret)}
    lines = {(f"{setting.variable}.{setting.key}", setting.key): setting.value for setting in settings}
    check_logins(declaration, definitions, login_of(values), lines)
    variables = ComposeVariables(declaration, {setting.key: setting.value for setting in settings}, hidden)
    filled, more = [*map(variables.service, definitions)], variables.sections(values["bulkhead_compose"])
    adopted = texts(values["bulkhead_adopted_volumes"])
    stack = build_stack(filled, default.get("networks") or {}, adopted=adopted, **names)
    check_adopted(declaration, stack.compose)
    check_services(declaration, default, values["bulkhead_services"])
    check_project(declaration, more)
    check_sections(declaration, more)
    file = _stack_file(values)
    check_files(declaration, stack, file)
    compose = {
        **merge(stack.compose, more, FILE),
        "services": stack.compose["services"],
        "name": stack.compose["name"],
    }
    _check_shape(compose)
    check_references(declaration, default, compose)
    stack = Stack(compose, stack.services)
    brings = [(service.name, wanted, _file(wanted, text_of)) for service in stack.services for wanted in service.brings]
    brought = [made for _name, _wanted, made in brings]
    needed = {service.name: service.secrets for service in definitions}
    overlap = (
        LinesFile(name, needed[name], made.path, made.content) for name, wanted, made in brings if wanted.overlap
    )
    check_lines(declaration, overlap, secrets)
    check_tls(declaration, stack)
    if values["bulkhead_engine"] == SWARM:
        check_single_lines(declaration, settings)
        stack = as_swarm(declaration, stack, {ready.path: ready.content for ready in brought})
        compose = stack.compose
    ports, open_ports = published_ports(compose), firewall_ports(compose, values["bulkhead_firewall_allow"])
    return Release(
        file,
        stack,
        tuple(settings),
        tuple(brought),
        _HEADING.format(prefix=prefix),
        tuple(ports),
        tuple(open_ports),
        route_of(declaration, stack),
        tuple(text for text in secrets.values() if text and SEAL not in text),
    )


def _stack_file(values: Mapping[str, Any]) -> str:
    """The file of the environment's stack, below its directory: the guide's name where Compose reads it."""
    kind = "stack" if values["bulkhead_engine"] == SWARM else "compose"
    return f"docker-{kind}.{values['bulkhead_environment']}.yml"


def _check_shape(compose: Mapping[str, Any]) -> None:
    """Raise ValueError if ``bulkhead_compose`` has something else where Compose has a mapping of mappings."""
    for part in ("networks", "volumes", "configs", "secrets"):
        found = compose.get(part)
        items = found.values() if isinstance(found, Mapping) else () if found is None else (found,)
        if not all(item is None or isinstance(item, Mapping) for item in items):
            raise ValueError(f"bulkhead_compose.{part} must be a mapping of names to mappings")


def _file(wanted: StackFile, text_of: Callable[[str], str]) -> RenderedFile:
    content = text_of(wanted.template) if wanted.template else wanted.content
    if wanted.source and not wanted.content:
        return RenderedFile(wanted.path, "", 0o644, wanted.secret, wanted.source)
    return RenderedFile(wanted.path, content, 0o644, wanted.secret)


def _reason(error: Exception, declaration: Declaration) -> str:
    """Why an environment cannot be rendered, in words for its user."""
    text = str(getattr(error, "message", None) or error).strip()
    if isinstance(error, AnsibleError):
        locked = f" (perhaps in {declaration.locked[0]}, which is locked here)" if declaration.locked else ""
        return text.splitlines()[0] + locked
    # Ours: its subclasses, such as UnicodeError, speak of Python.
    if type(error) is ValueError and text:  # pylint: disable=unidiomatic-typecheck
        return text.splitlines()[0]
    where = _misshapen(declaration)
    return f"{where} has a value of a kind that Compose does not allow there (a list, a mapping, a number or a text)"


def _misshapen(declaration: Declaration) -> str:
    """The first service whose definition alone cannot be made into a stack."""
    names = {name: declaration.values[f"bulkhead_{name}"] for name in ("prefix", "project", "environment")}
    bare: dict[str, Any] = {"common": {}, "application": {}, "services": {}}
    for name, definition in declaration.values["bulkhead_services"].items():
        try:
            published_ports(build_stack(definitions_of(bare, {name: definition}), {}, **names).compose)
        except (ValueError, TypeError, KeyError, AttributeError):
            return f"bulkhead_services.{name}"
    return "bulkhead_services or bulkhead_compose"


def shows_seal(release: Release) -> list[str]:
    """The files and settings of a release that show a seal: nothing of the kind is ever shipped."""
    found = [file.path for file in release.files if SEAL in f"{file.path}{file.content}{file.source}"]
    return [*found, *(line.key for line in release.settings if SEAL in line.value)]


def secret_values(release: Release) -> list[str]:
    """Every text of a release that must not be shown, as :func:`mask` takes them."""
    files = [file for file in release.files if file.secret]
    secrets = {*release.secrets, *(setting.value for setting in release.settings if setting.secret)}
    secrets |= {file.content for file in files if file.path.endswith(("key.pem", "password"))}
    return texts_to_hide(secrets, (file.content for file in files))
