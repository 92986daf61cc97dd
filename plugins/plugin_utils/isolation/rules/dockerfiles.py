# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dockerfiles: what an image takes from another environment by defaults, copied files or the build cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..facts.code_lines import code_lines
from ..facts.ownership import called
from ..facts.server_owner import resolver
from ..model import Environment, Fleet, Severity, Where
from ..readers.dockerfile import Instruction, ignores, read_dockerfile
from ..wording import listing
from . import Hit, Judgement, rule

#: Settings whose value is a mode of a tool, not the name of an environment.
_MODES = frozenset({"NODE_ENV", "RAILS_ENV", "RACK_ENV", "MIX_ENV", "GIN_MODE", "BABEL_ENV"})
_WORD = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*")
_SETDEFAULT = re.compile(r"environ\.setdefault\(\s*[\"'](\w+)[\"']\s*,\s*[\"']([^\"']+)[\"']")
_OVERRIDES = re.compile(
    r"(?:read_env|load_dotenv)\([^)]*(?:overwrite|override)\s*=\s*True|config\(\s*\{[^}]*override\s*:\s*true"
)
#: A secret that is only used for a download leaves no trace in the layer.
_DOWNLOADS = re.compile(
    r"\s*(?:(?:cat|export|set|umask|mkdir|cd|cp|rm|test)\b.*|(?:\w+=\S+\s+)*(?:(?:python3?\s+-m\s+)?pip3?|uv|poetry|pipenv|npm"
    r"|yarn|pnpm|bundle|go|cargo|composer|git|curl|wget|apt|apt-get|apk|dnf|mvn|gradle)\b.*)?\Z",
    re.DOTALL,
)
_PACKAGE_CACHES = re.compile(
    r"pip|npm|yarn|pnpm|apt|\.cache|/uv\b|poetry|/go(?:/|\Z)|cargo|\.m2|gradle|composer|bundle|ccache|apk|dnf"
)


@dataclass(frozen=True, slots=True)
class Build:
    """A Dockerfile of an environment, with the arguments that its builds pass."""

    environment: Environment
    instructions: tuple[Instruction, ...]
    arguments: Mapping[str, str]

    def values_in(self, text: str) -> tuple[tuple[str, str], ...]:
        """The arguments that a text uses, with their values: they are part of the cache key."""
        used = (name for name in self.arguments if re.search(rf"\$\{{?{name}\b", text))
        return tuple((name, self.arguments[name]) for name in used)


@rule("dockerfile-default", "IM-05", "SE-05", severity=Severity.HIGH)
def dockerfile_default(fleet: Fleet) -> Judgement:
    """An image falls back to another environment's settings."""
    for environment, name, value, where in _defaults(fleet):
        owner = _named(fleet, environment, value)
        if owner and name not in _MODES:
            yield Hit(
                (environment.prefix, owner),
                f"{name}={value}",
                f"The image of {environment.prefix} falls back to {name}={value}, which is {owner}'s, and nothing in "
                f"{environment.prefix} sets {name}: it runs with {owner}'s settings.",
                f"Set {name} in {environment.prefix}'s environment (or build.args), or take the default away so that "
                "a missing value fails.",
                (where,),
            )


@rule("copied-secrets", "IM-09", severity=Severity.HIGH)
def copied_secrets(fleet: Fleet) -> Judgement:
    """An image takes in whatever lies in the directory: .env files, dumps, the repository."""
    for build in fleet.derived(builds):
        copies = [instruction for instruction in build.instructions if _copies_all(instruction)]
        open_names = [name for name in (".env", ".git", "dump.sql") if not _ignored(build.environment, name)]
        if copies and open_names:
            prefix = build.environment.prefix
            yield Hit(
                (prefix,),
                listing(open_names),
                f"{prefix} builds with `{copies[0].name} {copies[0].text}` and no .dockerignore that keeps out "
                f"{listing(open_names)}: an image built where another environment's files lie carries them along.",
                "Add .env*, *.sql*, .git to .dockerignore (and give it to this check with the Dockerfile).",
                (copies[0].where,),
                severity=None if ".env" in open_names else Severity.LOW,
            )


@rule("baked-dotenv", "SE-06", severity=Severity.CRITICAL)
def baked_dotenv(fleet: Fleet) -> Judgement:
    """A .env file inside the image beats the settings that the container is given."""
    for environment in fleet.environments:
        if _ignored(environment, ".env"):
            continue
        for document in environment.documents:
            if not _OVERRIDES.search(document.text):
                continue
            for where, line in code_lines(document):
                if _OVERRIDES.search(line):
                    yield Hit(
                        (environment.prefix,),
                        line.strip(),
                        f"{environment.prefix} lets a .env file beat the container's own settings (`{line.strip()}`), "
                        "and no .dockerignore keeps .env out of the image: an image built in another environment's "
                        "directory connects to that environment's database, whatever Compose says.",
                        "Take the override away, and add .env* to .dockerignore.",
                        (where,),
                    )


@rule("build-secret-cache", "IM-03", severity=Severity.CRITICAL)
def build_secret_cache(fleet: Fleet) -> Judgement:
    """Two environments share a cached layer that was made from one environment's secret."""
    layers: dict[tuple[Any, ...], dict[str, Where]] = {}
    for build in fleet.derived(builds):
        for instruction in build.instructions:
            if (
                instruction.name == "RUN"
                and any(instruction.mounts("secret"))
                and not _only_downloads(instruction.text)
            ):
                key = (
                    build.environment.machine,
                    instruction.flags,
                    instruction.text,
                    build.values_in(instruction.text),
                )
                layers.setdefault(key, {}).setdefault(build.environment.prefix, instruction.where)
    for (machine, _flags, text, _values), owners in layers.items():
        if len(owners) > 1:
            yield Hit(
                tuple(owners),
                f"RUN {text}",
                f"{listing(owners)} build with `RUN {text}` and a secret, and the content of a secret is not part of "
                "the cache's key: the image of one contains what was made from the other's secret.",
                "Use an argument that differs (ARG ENVIRONMENT, named in that RUN) or a secret id of its own for each.",
                tuple(owners.values()),
                machine,
            )


@rule("build-cache-mount", "IM-04", severity=Severity.MEDIUM)
def build_cache_mount(fleet: Fleet) -> Judgement:
    """Two environments' builds write to one cache directory."""
    caches: dict[tuple[Any, ...], dict[str, Where]] = {}
    for build in fleet.derived(builds):
        for instruction in build.instructions:
            for mount in instruction.mounts("cache"):
                target = mount.get("target") or mount.get("dst") or mount.get("destination") or ""
                name = mount.get("id") or target
                if name and "$" not in name and not _PACKAGE_CACHES.search(f"{name} {target}"):
                    key = (build.environment.machine, name)
                    caches.setdefault(key, {}).setdefault(build.environment.prefix, instruction.where)
    for (machine, name), owners in caches.items():
        if len(owners) > 1:
            yield Hit(
                tuple(owners),
                f"cache {name}",
                f"The builds of {listing(owners)} share the cache mount {name}: what one leaves there gets into the "
                "other's image.",
                "Give the mount an id with the environment in it: id=NAME-$ENVIRONMENT.",
                tuple(owners.values()),
                machine,
            )


def builds(fleet: Fleet) -> tuple[Build, ...]:
    """Every Dockerfile of the fleet, whether a file or inline in a Compose file."""
    found = []
    for environment in fleet.environments:
        arguments: dict[str, str] = {}
        inline = []
        for project, name, service in environment.services():
            build = service.get("build") or {}
            arguments.update({key: str(value) for key, value in (build.get("args") or {}).items()})
            if build.get("dockerfile_inline"):
                inline.append(read_dockerfile(str(build["dockerfile_inline"]), project.where("services", name).file))
        given = environment.variables.get("bulkhead_build_arguments")
        arguments.update(given if isinstance(given, Mapping) else {})
        for document in environment.documents:
            if document.kind == "dockerfile":
                inline.append(read_dockerfile(document.text, document.path))
        found += [Build(environment, instructions, arguments) for instructions in inline]
    return tuple(found)


def _defaults(fleet: Fleet) -> Iterator[tuple[Environment, str, str, Where]]:
    """Yield defaults that the environment does not override: (environment, name, value, place)."""
    for build in fleet.derived(builds):
        settings = {setting.key for setting in build.environment.settings}
        for instruction in build.instructions:
            if instruction.name in ("ARG", "ENV"):
                for name, value in instruction.pairs().items():
                    if name not in (build.arguments if instruction.name == "ARG" else settings):
                        yield build.environment, name, value, instruction.where
    for environment in fleet.environments:
        settings = {setting.key for setting in environment.settings}
        for document in environment.documents:
            if document.kind == "text" and "setdefault" in document.text:
                for where, line in code_lines(document):
                    for name, value in _SETDEFAULT.findall(line):
                        if name not in settings:
                            yield environment, name, value, where


def _named(fleet: Fleet, environment: Environment, value: str) -> str:
    """The other environment that a default names."""
    if "$" in value:
        return ""
    owners = resolver(fleet).domain_owners(value.lower())
    if owners:
        return "" if environment.prefix in owners else owners[0]
    words = [part for word in _WORD.findall(value) for part in {word, *re.split(r"[-_]", word)}]
    return next(filter(None, (called(fleet, environment, word) for word in words)), "")


def _copies_all(each: Instruction) -> bool:
    sources = each.words()[:-1]
    return each.name in ("COPY", "ADD") and "from" not in dict(each.flags) and any(s in (".", "./") for s in sources)


def _ignored(environment: Environment, name: str) -> bool:
    return any(document.kind == "dockerignore" and ignores(document.text, name) for document in environment.documents)


def _only_downloads(text: str) -> bool:
    return all(_DOWNLOADS.match(step) for step in re.split(r"&&|\|\||[;|\n]", text))
