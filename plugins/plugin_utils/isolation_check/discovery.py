# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the files of a repository's environments by themselves, and guess which file belongs to which."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ..isolation.wording import listing, number
from . import telling
from .files import read_text

#: The file with what was guessed, for people to correct. If there is one, nothing is guessed.
CONFIG = "check.yml"

#: Directories with nothing of the project's own, and how deep and how much is read.
_SKIPPED = frozenset(
    (
        "node_modules",
        "vendor",
        "venv",
        "dist",
        "build",
        "target",
        "__pycache__",
        "site-packages",
        "tests",
        "examples",
        "example",
        "samples",
        "archive",
        "archived",
        "deprecated",
        "legacy",
    )
)
#: Directories that only say how files are run.
_TOLD = frozenset(("docs", "doc"))
_DEEPEST = 6
_MOST_FILES = 20_000

_COMPOSE = re.compile(r"(?:docker-)?(?:compose|stack)(?:[._-][\w.-]+)?\.ya?ml|[\w-]+\.(?:docker-)?compose\.ya?ml", re.I)
_ENV = re.compile(r"\.env(?:\.[\w.-]+)?|[\w-]+\.env", re.IGNORECASE)
_SAMPLE = re.compile(r"(?:^|[._-])(?:example|sample|template|tmpl|dist|defaults?|j2)(?:[._-]|$)", re.IGNORECASE)
_DOCKERFILE = re.compile(r"(?:Dockerfile|Containerfile)(?:\.[\w-]+)?|[\w-]+\.Dockerfile", re.IGNORECASE)
_SCRIPT = re.compile(
    r"[\w.-]+\.(?:sh|bash|service|timer|cron)|(?:GNU)?Makefile|justfile|crontab|deploy|backup|restore", re.I
)
_ACTS = re.compile(r"\b(?:docker(?:-compose)?|ssh|scp|rsync|ansible-playbook|certbot|pg_dump|pg_restore|systemctl)\b")
_NGINX = re.compile(r"^\s*(?:server|upstream|http)\b[^;{]*\{", re.MULTILINE)

#: The words by which files name an environment, with its usual short name; those of developers come last.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "prod": ("prod", "production", "prd", "live"),
    "staging": ("staging", "stage", "stg"),
    "preprod": ("preprod", "preproduction"),
    "qa": ("qa", "uat", "acceptance"),
    "demo": ("demo", "sandbox"),
    "dev": ("dev", "develop", "development"),
}
#: What a file is called that others complete.
_BASES = frozenset(("base", "common"))
#: Words of a file that is for a server, whichever.
_SERVERS = frozenset(("deploy", "deployment", "release", "server", "vps"))
_NAMES = {word: short for short, words in _WORDS.items() for word in words}
_FULL = {"prod": "production", "dev": "development"}
#: Files of developers' own machines and of tests, which are not deployed.
_LOCAL = frozenset(
    ("local", "test", "tests", "testing", "ci", "e2e", "override", "debug", "example", "devcontainer", "travis")
)


#: What says that a Compose file is for a developer's own machine.
_DEVELOPERS = re.compile(
    r"\b(?:\w+_)?ENV(?:IRONMENT)?[\"']?\s*[:=]\s*[\"']?(?:dev|development|local)\b|--reload\b|\brunserver\b"
    r"|\b(?:npm|pnpm|yarn|bun) (?:run )?(?:start:)?dev\b|\btarget:\s*(?:\w*dev|development)\b|:dev\b"
    r"|[/.]dev\.Dockerfile|Dockerfile\.dev"
    r"|\bDEBUG[\"']?\s*[:=]\s*[\"']?(?:True|true|1)\b|local development|for development",
)


@dataclass
class _Named:
    """The files of one environment."""

    compose_files: list[str] = field(default_factory=list)
    compose_project: str = ""
    env_files: list[str] = field(default_factory=list)
    nginx_files: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Guess:
    """The keys of a configuration, and what they were guessed from, one sentence each."""

    given: Mapping[str, Any]
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The configuration as a file to correct."""
        lines = [f"# {sentence}" for sentence in self.sentences]
        head = "# Guessed by isolation_check: correct it, and run the check again. All keys: ansible-doc."
        return "\n".join((head, *lines, yaml.safe_dump(dict(self.given), sort_keys=False)))


def discover(root: Path) -> Guess:
    """What the files below a directory tell about environments; the guess has none if there is no Compose file."""
    known = list(_walk(root))
    paths = [path for path in known if _TOLD.isdisjoint(path.parts[:-1])]
    told = list(telling.telling(known, lambda path: read_text(root / path) or ""))
    compose = [path for path in paths if _is_compose(root, path) and not _SAMPLE.search(path.name)]
    named: dict[str, _Named] = {}
    neutral: list[PurePosixPath] = []
    for path in compose:
        words = _words(path)
        if _LOCAL & set(_split(path.name)):
            continue
        if words:
            named.setdefault(words[0], _Named()).compose_files.append(str(path))
        else:
            neutral.append(path)
    sentences = [*_one_project(root, named), *_place_neutral(root, named, neutral)]
    if "dev" in named and len(named) > 1:
        del named["dev"]  # a developer's own machine, where others are deployed
    sentences += _put_together(root, told, named, compose)
    if named:
        _add_others(root, paths, named)
        sentences += _called(root, told, named)
    left_out = [str(path) for path in compose if not any(str(path) in found.compose_files for found in named.values())]
    sentences += [*_told(named, left_out), *telling.unread(known)]
    ordered = sorted(named, key=list(_WORDS).index)
    return Guess({"environments": [_entry(root, name, named[name]) for name in ordered]}, tuple(sentences))


def _walk(root: Path) -> Iterator[PurePosixPath]:
    """The files of a repository, relative to its root, in order."""
    count = 0
    for folder, folders, names in os.walk(root):
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        hidden = {".github"} if str(here) == "." else set()
        folders[:] = sorted(
            name
            for name in folders
            if (not name.startswith(".") or name in hidden) and name not in _SKIPPED and len(here.parts) < _DEEPEST
        )
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                return
            yield here / name


def _is_compose(root: Path, path: PurePosixPath) -> bool:
    """Whether a file is one of Compose, by its usual name, or named after an environment alone and full of services."""
    if _COMPOSE.fullmatch(path.name):
        return True
    if path.suffix not in (".yml", ".yaml") or path.parts[0] == ".github":
        return False
    if path.stem.lower() not in (*_NAMES, *_BASES):
        return False
    return any({"image", "build"} & item.keys() for item in _services(root, path))


def _services(root: Path, path: str | PurePosixPath) -> list[Mapping[str, Any]]:
    """The services of a Compose file; none if it cannot be read."""
    try:
        data = yaml.safe_load(read_text(root / path) or "")
    except (yaml.YAMLError, RecursionError, ValueError):
        return []
    services = data.get("services") if isinstance(data, Mapping) else None
    return [item for item in services.values() if isinstance(item, Mapping)] if isinstance(services, Mapping) else []


def _split(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]


def _words(path: PurePosixPath) -> list[str]:
    """The environments that a file names, the nearest word first: in its name, or in its directories."""
    parts = (path.name, *reversed(path.parts[:-1]))
    return list(dict.fromkeys(_NAMES[word] for part in parts for word in _split(part) if word in _NAMES))


def environments_in(text: str) -> list[str]:
    """The short names of the environments that a path or a name speaks of, the nearest word first."""
    return _words(PurePosixPath(text))


def _one_project(root: Path, named: dict[str, _Named]) -> Iterator[str]:
    """Keep one project of each environment: that of the highest directory, and its first file that is complete."""
    for name, found in named.items():
        paths = sorted(map(PurePosixPath, found.compose_files), key=lambda path: (len(path.parts), str(path)))
        near = [str(path) for path in paths if path.parent == paths[0].parent]
        complete = [path for path in near if not _is_part(root, [path])]
        kept = [path for path in near if path not in complete[1:]]
        others = [path for path in map(str, paths) if path not in kept]
        found.compose_files = kept
        if others:
            yield f"{_FULL.get(name, name)} has several projects. Left out of them: {listing(others)}."


def _place_neutral(root: Path, named: dict[str, _Named], neutral: Sequence[PurePosixPath]) -> Iterator[str]:
    """Give Compose files without a word to environments: as a base that others complete, or as production."""
    bases: list[PurePosixPath] = []
    for folder in dict.fromkeys(path.parent for path in neutral):
        beside = [path for path in neutral if path.parent == folder]
        completed = [
            found
            for found in named.values()
            if PurePosixPath(found.compose_files[0]).parent == folder and _is_part(root, found.compose_files)
        ]
        base = next(filter(_is_base, beside), beside[0] if len(beside) == 1 else None)
        if completed and base:
            for found in completed:
                found.compose_files.insert(0, str(base))
            bases.append(base)
            yield f"{base} is the base of the files that only change it."
    bases = [base for base in bases if not _is_part(root, [str(base)])]
    neutral = [path for path in neutral if not _DEVELOPERS.search(read_text(root / path) or "")]
    bases = [base for base in bases if base in neutral]
    usual = [path for path in neutral if _is_base(path) or _SERVERS & set(_split(path.stem))]
    if "prod" not in named and (bases or usual):
        main = (bases or sorted(usual, key=lambda path: len(path.parts)))[0]
        named["prod"] = _Named([str(main)])
        yield f"{main} names no environment. It was taken for production, as nothing else is."


def _is_base(path: PurePosixPath) -> bool:
    """Whether a file has the name that Compose looks for, or that of a base."""
    return path.stem.lower() in ("docker-compose", "compose") or bool(_BASES & set(_split(path.stem)))


def _is_part(root: Path, paths: Iterable[str]) -> bool:
    """Whether Compose files are no project by themselves: a service has neither image nor build."""
    return any(not {"image", "build", "extends"} & item.keys() for path in paths for item in _services(root, path))


def _put_together(
    root: Path,
    told: Sequence[tuple[PurePosixPath, str]],
    named: dict[str, _Named],
    compose: Sequence[PurePosixPath],
) -> Iterator[str]:
    """Take the files that a command gives to Compose together, in its order.

    Only a file that is no project by itself is completed by what no script or workflow says.
    """
    pending = {name: found for name, found in named.items() if len(found.compose_files) == 1}
    parts = {name for name, found in pending.items() if _is_part(root, found.compose_files)}
    for path, text in told if pending else ():
        acts = _TOLD.isdisjoint(path.parts[:-1]) and _kind(root, path) == "files"
        for call in telling.together(text):
            for name, found in list(pending.items()):
                own = PurePosixPath(found.compose_files[0])
                written = [telling.meant(word, own.name) for word in call] if name in parts else call
                files = _files_of(written, name, own, compose)
                if files and (acts or name in parts):
                    found.compose_files = list(map(str, files))
                    del pending[name]
                    yield f"{path} gives Compose {listing(found.compose_files)} together."


def _files_of(
    written: Sequence[str], name: str, own: PurePosixPath, compose: Sequence[PurePosixPath]
) -> list[PurePosixPath]:
    """The files that a command gives to Compose for an environment, if one of them is its ``own``; else none."""
    files: list[PurePosixPath] = []
    for word in map(PurePosixPath, written):
        if _LOCAL & set(_split(word.name)) or set(_words(PurePosixPath(word.name))) - {name}:
            return []  # for tests, or another environment's
        candidates = (PurePosixPath(os.path.normpath(word)), own.parent / word.name)
        files.append(next((path for path in candidates if path in compose), PurePosixPath()))
    return files if own in files and PurePosixPath() not in files else []


def _add_others(root: Path, paths: Sequence[PurePosixPath], named: Mapping[str, _Named]) -> None:
    """Give all other files to the environment that they name, or to all if they name none."""
    for path in paths:
        kind = _kind(root, path)
        local = _LOCAL - {"ci"} if ".github" in path.parts else _LOCAL  # a workflow that is called ci-cd deploys
        if not kind or _SAMPLE.search(path.name) or local & set(_split(path.name)):
            continue
        own = [name for name in _words(PurePosixPath(path.name)) if name in named] or [
            name for name in _words(path) if name in named
        ][:1]
        if not own and kind == "files" and not _words(path):
            own = _by_content(root, path, named)
        if not own and (kind in ("env_files", "nginx_files") or _words(path)):
            continue  # .env is found beside its Compose file, an nginx file where a container mounts it
        for name in own or named:
            getattr(named[name], kind).append(str(path))


def _by_content(root: Path, path: PurePosixPath, named: Mapping[str, _Named]) -> list[str]:
    """The environment whose Compose files alone a script names; none if it names those of several, or of none."""
    text = read_text(root / path) or ""
    own = {name: {PurePosixPath(file).name for file in found.compose_files} for name, found in named.items()}
    common = set.intersection(*own.values()) if own else set()
    naming = [name for name, files in own.items() if any(file in text for file in files - common)]
    return naming if len(naming) == 1 else []


def _kind(root: Path, path: PurePosixPath) -> str:
    """Which option a file belongs to; empty if it does not matter."""
    if path.parts[:-1] == (".github", "workflows") and path.suffix in (".yml", ".yaml"):
        return "files" if _ACTS.search(read_text(root / path) or "") else ""
    if _DOCKERFILE.fullmatch(path.name):
        return "files"
    if _ENV.fullmatch(path.name):
        return "env_files" if read_text(root / path) is not None else ""
    if path.suffix == ".conf" and _NGINX.search(read_text(root / path) or ""):
        return "nginx_files"
    if _SCRIPT.fullmatch(path.name):
        return "files" if _ACTS.search(read_text(root / path) or "") else ""
    return ""


def _called(root: Path, told: Sequence[tuple[PurePosixPath, str]], named: Mapping[str, _Named]) -> Iterator[str]:
    """Take the name that a project is given outside of its environment's own files."""
    documents = list(telling.documents(told))
    for name, found in named.items():
        prefix = _prefix(root, name)
        its = [item for item in documents if name in (_words(PurePosixPath(item.path)) or [name])]
        found.compose_project, path = telling.project_told(its, found.files, found.compose_files, prefix, name)
        if found.compose_project:
            yield f"{path} names the Compose project of {_FULL.get(name, name)}: {found.compose_project}."


def _prefix(root: Path, name: str) -> str:
    project = "-".join(_split(root.resolve().name)) or "app"
    return re.sub(r"^[^a-z]+", "", f"{project}_{name}") or name


def _entry(root: Path, name: str, found: _Named) -> dict[str, Any]:
    """One environment of the configuration."""
    lists = {key: value for key, value in vars(found).items() if value}
    return {"name": _FULL.get(name, name), "prefix": _prefix(root, name), **lists}


def _told(named: Mapping[str, _Named], left_out: Sequence[str]) -> Iterator[str]:
    for name, found in named.items():
        others = len(found.env_files) + len(found.nginx_files) + len(found.files)
        more = number(others, "other file") if others else "no other file"
        yield f"{_FULL.get(name, name)}: {' and '.join(found.compose_files)}, with {more}."
    if left_out:
        yield f"Left out, as no environment's: {listing(left_out)}."
    if len(named) == 1:
        yield "Only one environment was found, so there is nothing to compare it with."
    if len(named) > 1:
        yield "All of them were taken to share one machine; set 'machine' where they do not."
