# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dockerfiles: what an image takes from another environment by defaults, copied files or the build cache."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..facts.code_lines import code_lines
from ..facts.ownership import called, inside
from ..facts.server_owner import resolver
from ..model import Environment, Fleet, Severity, Where
from ..readers.dockerfile import Instruction, ignores, read_dockerfile
from ..readers.frameworks import is_mode
from ..wording import listing
from . import Hit, Judgement, rule

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
    r"pip|npm|yarn|pnpm|apt|\.cache|/uv\b|poetry|/go(?:/|\Z)|go-?(?:build|cache|mod)|cargo|\.m2|gradle|composer|bundle"
    r"|ccache|apk|dnf|yum|bun|deno|nuget|bazel|conan|vcpkg|gem",
    re.IGNORECASE,
)
#: Variables that say where a tool keeps what it addresses by content or by version.
_CACHE_VARIABLES = re.compile(
    r"\w*CACHE(?:_DIR|_FOLDER|_HOME)?|GOMODCACHE|GOPATH|CARGO_HOME|GRADLE_USER_HOME|NUGET_PACKAGES", re.I
)


@dataclass(frozen=True, slots=True)
class Build:
    """A Dockerfile of an environment, with the arguments that its builds pass."""

    environment: Environment
    instructions: tuple[Instruction, ...]
    arguments: Mapping[str, str]
    #: As it was given; empty if it is inline in a Compose file.
    path: str = ""

    def values_in(self, text: str) -> tuple[tuple[str, str], ...]:
        """The arguments that a text uses, with their values: they are part of the cache key."""
        used = (name for name in self.arguments if re.search(rf"\$\{{?{name}\b", text))
        return tuple((name, self.arguments[name]) for name in used)


@rule("dockerfile-default", "IM-05", "SE-05", severity=Severity.HIGH)
def dockerfile_default(fleet: Fleet) -> Judgement:
    """An image falls back to another environment's settings."""
    for environment, name, value, where in _defaults(fleet):
        owner = _named(fleet, environment, value)
        if owner and not is_mode(name):
            yield Hit(
                (environment.prefix, owner),
                f"{name}={value}",
                f"The image of {environment.prefix} falls back to {name}={value}, which is {owner}'s, and nothing in "
                f"{environment.prefix} sets {name}: it runs with {owner}'s settings.",
                f"Set {name} in {environment.prefix}'s environment or build.args, or remove the default so that a "
                "missing value fails.",
                (where,),
            )


@rule("copied-secrets", "IM-09", severity=Severity.HIGH)
def copied_secrets(fleet: Fleet) -> Judgement:
    """An image takes in whatever lies in the directory: .env files, dumps, the repository."""
    for build in fleet.derived(builds):
        copies = [instruction for instruction in kept(build.instructions) if _copies_all(instruction)]
        open_names = [name for name in (".env", ".git", "dump.sql") if not _ignored(build.environment, name)]
        if copies and open_names and (build.environment.variables or holds_checkout(build)):
            prefix = build.environment.prefix
            given = any(document.kind == "dockerignore" for document in build.environment.documents)
            why = "its .dockerignore does not keep out" if given else "no .dockerignore was given that keeps out"
            yield Hit(
                (prefix,),
                listing(open_names),
                f"{prefix} builds with `{copies[0].name} {copies[0].text}`, and {why} {listing(open_names)}: those "
                "that lie in the build directory end up in the image, and whoever pulls it can read them.",
                "Add .env*, *.sql*, .git to .dockerignore"
                + ("." if given else ", and list it with the Dockerfile if there is one."),
                (copies[0].where,),
                severity=None if ".env" in open_names and _may_build(build.environment) else Severity.LOW,
            )


def _may_build(environment: Environment) -> bool:
    """Whether images may be built where ``.env`` lies: not where Compose only pulls, and a runner builds."""
    services = [service for _project, _name, service in environment.services()]
    return not services or any(service.get("build") for service in services)


@rule("baked-dotenv", "SE-06", severity=Severity.CRITICAL)
def baked_dotenv(fleet: Fleet) -> Judgement:
    """A .env file inside the image beats the settings that the container is given."""
    for environment in fleet.environments:
        if _ignored(environment, ".env"):
            continue
        for document in environment.documents:
            if "over" not in document.text or not _OVERRIDES.search(document.text):
                continue
            for where, line in code_lines(document):
                if _OVERRIDES.search(line):
                    yield Hit(
                        (environment.prefix,),
                        line.strip(),
                        f"{environment.prefix} lets a .env file override the container's own settings "
                        f"(`{line.strip()}`), and no .dockerignore keeps .env out of the image: an image built in "
                        "another environment's directory connects to that environment's database, whatever Compose "
                        "says.",
                        "Remove the override, and add .env* to .dockerignore.",
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
    for (machine, _flags, text, values), owners in layers.items():
        # An argument without a value comes from a .env that is not known here, and is part of the key.
        if len(owners) > 1 and all(value for _name, value in values):
            yield Hit(
                tuple(owners),
                f"RUN {text}",
                f"{listing(owners)} build with `RUN {text}` and a secret, and Docker's build cache ignores what a "
                "secret contains: one's image can hold what was made from the other's secret.",
                "Use a build argument that differs (ARG ENVIRONMENT, named in that RUN), or a separate secret id for "
                "each.",
                tuple(owners.values()),
                machine,
            )


@rule("build-cache-mount", "IM-04", severity=Severity.MEDIUM)
def build_cache_mount(fleet: Fleet) -> Judgement:
    """Two environments' builds write to one cache directory."""
    caches: dict[tuple[Any, ...], dict[str, Where]] = {}
    for build in fleet.derived(builds):
        known = _cache_directories(build)
        for instruction in build.instructions:
            for mount in instruction.mounts("cache"):
                target = mount.get("target") or mount.get("dst") or mount.get("destination") or ""
                name = mount.get("id") or target
                if name and "$" not in name and target not in known and not _PACKAGE_CACHES.search(f"{name} {target}"):
                    key = (build.environment.machine, name)
                    caches.setdefault(key, {}).setdefault(build.environment.prefix, instruction.where)
    for (machine, name), owners in caches.items():
        if len(owners) > 1:
            yield Hit(
                tuple(owners),
                f"cache {name}",
                f"The builds of {listing(owners)} share the cache mount {name}: what one leaves there gets into the "
                "other's image.",
                "Put the environment into the mount's id: id=NAME-$ENVIRONMENT.",
                tuple(owners.values()),
                machine,
            )


def _cache_directories(build: Build) -> frozenset[str]:
    """The directories that a Dockerfile names as the cache of a tool."""
    settings = [pair for item in build.instructions if item.name in ("ENV", "ARG") for pair in item.pairs().items()]
    return frozenset(value for name, value in settings if _CACHE_VARIABLES.fullmatch(name))


def kept(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The instructions whose files may be in the image: of the last stage, of those that it begins with, and of those
    from which it takes whole directories of the sources."""
    stages: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.name == "FROM" or not stages:
            stages.append([])
        stages[-1].append(instruction)
    names = {_stage_name(stage) or str(number): number for number, stage in enumerate(stages)}
    names.update({str(number): number for number in range(len(stages))})
    wanted, found = [len(stages) - 1] if stages else [], set()
    while wanted:
        number = wanted.pop()
        if number in found:
            continue
        found.add(number)
        for instruction in stages[number]:
            words = instruction.words()
            source = dict(instruction.flags).get("from", "")
            if instruction.name == "FROM" and words and words[0] in names:
                wanted.append(names[words[0]])
            elif instruction.name in ("COPY", "ADD") and source in names:
                sources = {word.rstrip("/.") for word in words[:-1]}
                if sources & {directory.rstrip("/") for directory in _work_directories(stages[names[source]])}:
                    wanted.append(names[source])
    return [instruction for number in sorted(found) for instruction in stages[number]]


def _stage_name(stage: Sequence[Instruction]) -> str:
    words = stage[0].words() if stage[0].name == "FROM" else []
    return words[2] if len(words) > 2 and words[1].lower() == "as" else ""


def _work_directories(stage: Sequence[Instruction]) -> Iterator[str]:
    """The directories into which a stage copies everything."""
    work = "/"
    for instruction in stage:
        words = instruction.words()
        if instruction.name == "WORKDIR" and words:
            work = posixpath.join(work, words[0])
        elif _copies_all(instruction):
            yield posixpath.normpath(posixpath.join(work, words[-1]))


def holds_checkout(build: Build) -> bool:
    """Whether the context of a build is, or contains, the directory where .env and .git lie, as far as is known."""
    contexts = [
        str((service.get("build") or {}).get("context") or "")
        for _project, _name, service in build.environment.services()
        if _builds(service, build)
    ]
    home = build.environment.directory
    if not contexts:
        elsewhere = any(service.get("build") for _project, _name, service in build.environment.services())
        return not (elsewhere and posixpath.dirname(build.path))
    return any(not context.startswith("/") or inside(home, context) for context in contexts)


def _builds(service: Mapping[str, Any], build: Build) -> bool:
    """Whether a service is built from a Dockerfile."""
    given = service.get("build") or {}
    if not given:
        return False
    if given.get("dockerfile_inline"):
        return not build.path
    written = posixpath.join(str(given.get("context") or ""), str(given.get("dockerfile") or "Dockerfile"))
    path = posixpath.normpath(build.path)
    return bool(build.path) and (posixpath.normpath(written) + "\0").endswith(f"/{path}\0")


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
                text = str(build["dockerfile_inline"])
                inline.append(("", read_dockerfile(text, project.where("services", name).file)))
        given = environment.variables.get("bulkhead_build_arguments")
        arguments.update(given if isinstance(given, Mapping) else {})
        for document in environment.documents:
            if document.kind == "dockerfile":
                inline.append((document.path, read_dockerfile(document.text, document.path)))
        found += [Build(environment, instructions, arguments, path) for path, instructions in inline]
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
