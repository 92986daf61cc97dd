# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read GitHub Actions workflows: their events, jobs and commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ReaderError
from ..model import Where
from .compose.yaml_text import Map, Seq, read_yaml
from .shell.scripts import Command, read_commands

#: Labels of runners that a provider starts for one job.
_HOSTED = re.compile(
    r"(?:ubuntu|windows|macos|buildjet|blacksmith|depot|namespace|warp|runs-on|arc-hosted)\b.*|\$\{\{\s*matrix\..*"
    r"|\$\{\{[^}]*\|\|\s*'(?:ubuntu|windows|macos)[^'}]*'\s*\}\}",
    re.IGNORECASE,
)
_ANY_EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
_EXPRESSION = re.compile(r"\$\{\{\s*env\.(\w+)\s*\}\}")
#: Variables and commands that send Docker's commands to another engine.
_OTHER_ENGINE = re.compile(
    r"\bDOCKER_(?:HOST|CONTEXT)\b|\bdocker\s+context\s+use\b|\bdocker\s+(?:-H|--host|--context|-c)\b"
)
_SECRET = re.compile(r"\bsecrets\.(\w+)|\bsecrets\[['\"](\w+)['\"]\]")


@dataclass(frozen=True, slots=True)
class ConcurrencyGroup:
    """A concurrency group; ``cancel`` is its ``cancel-in-progress``."""

    name: str
    cancel: bool
    where: Where


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """A step of a job. ``inputs`` is its ``with:``, ``variables`` its own ``env:``."""

    name: str
    uses: str
    run: str
    inputs: Mapping[str, str]
    condition: str
    where: Where
    commands: tuple[Command, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Job:
    """A job. ``environment`` is its GitHub environment's name, ``runs_on`` its labels, ``text`` all its strings.

    ``needs`` are the jobs that must succeed before it, ``variables`` its ``env:`` with the workflow's. ``hosted`` means
    that it runs on a machine of the provider, which is thrown away afterwards.
    """

    id: str
    environment: str
    runs_on: tuple[str, ...]
    condition: str
    group: ConcurrencyGroup | None
    steps: tuple[WorkflowStep, ...]
    commands: tuple[Command, ...]
    secrets: tuple[str, ...]
    text: str
    where: Where
    needs: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    hosted: bool = False


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow. ``branches`` are the patterns of ``on.push.branches``, ``None`` if not restricted."""

    name: str
    events: tuple[str, ...]
    branches: tuple[str, ...] | None
    branches_where: Where
    group: ConcurrencyGroup | None
    jobs: tuple[Job, ...]
    expressions: tuple[tuple[str, Where], ...]

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands of all jobs, in order."""
        return tuple(command for job in self.jobs for command in job.commands)

    def groups(self) -> Iterator[ConcurrencyGroup]:
        """Yield the concurrency groups, the workflow's own first."""
        for group in (self.group, *(job.group for job in self.jobs)):
            if group is not None:
                yield group


@dataclass(frozen=True, slots=True)
class _Place:
    file: str

    def of(self, mapping: Mapping[str, Any], key: str) -> Where:
        return Where(self.file, mapping.at.get(key, ("", 0))[1] if isinstance(mapping, Map) else 0, key)


def read_workflow(text: str, path: str = "") -> Workflow:
    """Read a workflow file. Raises :class:`ReaderError` if it is not YAML or not a mapping.

    A file without content, such as one whose lines are all comments, starts nothing.
    """
    documents = read_yaml(text, path)
    top = documents[0].value if documents else None
    if top is None:
        top = Map()
    if not isinstance(top, Mapping):
        raise ReaderError("the file is not a workflow: its top level must be a mapping", 1, rule="not-a-workflow")
    place = _Place(path)
    events = top.get("on", top.get("true"))
    push = events.get("push") if isinstance(events, Mapping) else None
    branches: tuple[str, ...] | None = None
    branches_where = place.of(top, "on")
    if isinstance(push, Mapping) and push.get("branches") is not None:
        branches = _words(push["branches"])
        branches_where = place.of(push, "branches")
    jobs = _mapping(top.get("jobs"))
    variables = _strings(top.get("env"))
    return Workflow(
        str(top.get("name") or ""),
        _words(events),
        branches,
        branches_where,
        _group(top, place),
        tuple(
            _job(name, job, place.of(jobs, name), place, variables) for name, job in jobs.items() if not _is_off(job)
        ),
        tuple(_expressions(top, Where(path))),
    )


def _is_off(job: Any) -> bool:
    """Whether a job is switched off: ``if: false``."""
    return str(_mapping(job).get("if", "")).strip("${ }").lower() == "false"


def _job(name: str, job: Any, where: Where, place: _Place, variables: Mapping[str, str]) -> Job:
    job = _mapping(job)
    variables = {**variables, **_strings(job.get("env"))}
    listed = job.get("steps")
    raw_steps: Iterable[Any] = listed if isinstance(listed, (list, tuple)) else ()
    directory = str(_mapping(_mapping(job.get("defaults")).get("run")).get("working-directory") or "")
    steps: list[WorkflowStep] = []
    commands: list[Command] = []
    text = "\n".join(text for text, _where in _leaves(job, where))
    runs_on = _words(job.get("runs-on"))
    elsewhere = _OTHER_ENGINE.search("\n".join((text, *_names(job, raw_steps), *variables)))
    hosted = bool(runs_on) and all(map(_HOSTED.fullmatch, runs_on)) and not elsewhere
    for raw in map(_mapping, raw_steps):
        inner = {**variables, **_strings(raw.get("env"))}
        own = tuple(_commands(raw, name, place, inner, directory, hosted))
        steps.append(_step(raw, place, inner, own))
        commands += own
    environment = job.get("environment")
    return Job(
        name,
        str(environment.get("name") or "") if isinstance(environment, Mapping) else str(environment or ""),
        runs_on,
        str(job.get("if") or ""),
        _group(job, place),
        tuple(steps),
        tuple(commands),
        tuple(dict.fromkeys(_secrets(text, job.get("if")))),
        text,
        where,
        _words(job.get("needs")),
        variables,
        hosted,
    )


def _secrets(text: str, condition: Any) -> Iterator[str]:
    """The names of secrets in expressions; ``secrets.yaml`` elsewhere is a file."""
    for expression in (*_ANY_EXPRESSION.findall(text), str(condition or "")):
        yield from (dotted or indexed for dotted, indexed in _SECRET.findall(expression))


def _names(job: Mapping[str, Any], steps: Iterable[Any]) -> Iterator[str]:
    """The names of the variables that a job and its steps set."""
    return (key for mapping in (job, *map(_mapping, steps)) for key in _mapping(mapping.get("env")))


def _step(
    raw: Mapping[str, Any], place: _Place, variables: Mapping[str, str], commands: tuple[Command, ...]
) -> WorkflowStep:
    first = next(iter(raw), "")
    return WorkflowStep(
        str(raw.get("name") or ""),
        str(raw.get("uses") or ""),
        str(raw.get("run") or ""),
        {key: _resolved(text, variables) for key, text in _strings(raw.get("with")).items()},
        str(raw.get("if") or ""),
        place.of(raw, first),
        commands,
        _strings(raw.get("env")),
    )


def _resolved(text: str, variables: Mapping[str, str]) -> str:
    """The text with each ``${{ env.NAME }}`` replaced, as far as the file sets it to a text without expressions."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match[1], "")
        return known if known and "${{" not in known else match[0]

    return _EXPRESSION.sub(value, text) if "${{" in text else text


def _commands(
    raw: Mapping[str, Any], job: str, place: _Place, variables: Mapping[str, str], directory: str, hosted: bool
) -> Iterator[Command]:
    """What a step runs: its ``run:``, or the script that an action such as ``ssh-action`` runs on a server."""
    inputs = _mapping(raw.get("with"))
    folder = str(raw.get("working-directory") or directory)
    if isinstance(raw.get("run"), str):
        # GitHub starts bash with -e, but not a custom shell.
        errexit = "{0}" not in str(raw.get("shell") or "")
        yield from _shell(raw, "run", job, place, variables, folder, errexit, hosted)
    for key in ("script", "run", "commands"):
        if isinstance(inputs.get(key), str):
            strict = str(inputs.get("script_stop", "")).lower() == "true"
            yield from _shell(inputs, key, job, place, variables, "", strict, False)


def _shell(
    mapping: Mapping[str, Any],
    key: str,
    job: str,
    place: _Place,
    variables: Mapping[str, str],
    directory: str,
    errexit: bool,
    hosted: bool,
) -> tuple[Command, ...]:
    text = _resolved(mapping[key], variables)
    line = place.of(mapping, key).line + ("\n" in text)
    return read_commands(
        text,
        place.file,
        line=line,
        variables=variables,
        directory=directory,
        errexit=errexit,
        unit=job,
        hosted=hosted,
    )


def _group(mapping: Mapping[str, Any], place: _Place) -> ConcurrencyGroup | None:
    value = mapping.get("concurrency")
    if isinstance(value, Mapping):
        cancel = value.get("cancel-in-progress")
        return ConcurrencyGroup(
            str(value.get("group") or ""), bool(cancel) and cancel != "false", place.of(value, "group")
        )
    return (
        ConcurrencyGroup(value, False, place.of(mapping, "concurrency")) if isinstance(value, str) and value else None
    )


def _expressions(value: Any, where: Where) -> Iterator[tuple[str, Where]]:
    """Every string with an expression."""
    return ((text, place) for text, place in _leaves(value, where) if "${{" in text or "||" in text)


def _leaves(value: Any, where: Where) -> Iterator[tuple[str, Where]]:
    """Yield every string with its place. The YAML reader has limited the depth."""
    if isinstance(value, str):
        yield value, where
    elif isinstance(value, Map):
        for key, item in value.items():
            yield from _leaves(item, Where(where.file, value.at.get(key, ("", where.line))[1], key))
    elif isinstance(value, Seq):
        for index, item in enumerate(value):
            line = value.at[index][1] if index < len(value.at) else where.line
            yield from _leaves(item, Where(where.file, line, where.item))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _strings(value: Any) -> dict[str, str]:
    return {
        key: str(item).lower() if isinstance(item, bool) else str(item)
        for key, item in _mapping(value).items()
        if isinstance(item, (str, int, float, bool))
    }


def _words(value: Any) -> tuple[str, ...]:
    """A word, a list of words, or a mapping's ``labels`` or else its keys."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping):
        labels = value.get("labels")
        return _words(labels) if labels is not None else tuple(value)
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()
