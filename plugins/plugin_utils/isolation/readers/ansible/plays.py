# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads playbooks and task files of Ansible with what decides where and how often a task runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...model import Where
from ..compose.yaml_text import Map, Seq, read_yaml
from .inventory import leaves

_SECTIONS = ("pre_tasks", "tasks", "post_tasks", "handlers")
_BLOCKS = ("block", "rescue", "always")
_KEYWORDS = frozenset({
    "action", "any_errors_fatal", "args", "async", "become", "become_exe", "become_flags", "become_method",
    "become_user", "changed_when", "check_mode", "collections", "connection", "debugger", "delay", "delegate_facts",
    "delegate_to", "diff", "environment", "failed_when", "ignore_errors", "ignore_unreachable", "listen",
    "local_action", "loop", "loop_control", "module_defaults", "name", "no_log", "notify", "poll", "port",
    "register", "remote_user", "retries", "run_once", "tags", "throttle", "timeout", "until", "vars", "when",
})  # fmt: skip
_PAIR = re.compile(r"(\w+)=(\"[^\"]*\"|'[^']*'|(?:\{\{.*?\}\}|\S)*)")
_TRUE = ("true", "yes", "on", "1", "y")


@dataclass(frozen=True, slots=True)
class Step:
    """One task with its keywords. ``play`` is the play that it stands in, ``role`` the role of its file."""

    module: str
    arguments: Mapping[str, Any]
    raw: str
    keywords: Mapping[str, Any]
    where: Where
    play: Play | None = None
    role: str = ""
    handler: bool = False
    first: bool = False

    def flag(self, keyword: str) -> bool:
        """Whether a keyword is set to true."""
        return is_true(self.keywords.get(keyword))

    def text(self, argument: str) -> str:
        """An argument as text."""
        value = self.arguments.get(argument)
        return "" if value is None else str(value)


@dataclass(slots=True)
class Play:
    """One play: the hosts that it is for, its roles, its tasks, and all of its text."""

    hosts: str
    where: Where
    keywords: Mapping[str, Any]
    roles: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Plays:
    """A file of plays or of tasks."""

    path: str
    plays: tuple[Play, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def all_steps(self) -> Iterator[Step]:
        """Every task of the file."""
        yield from self.steps
        for play in self.plays:
            yield from play.steps


def is_true(value: Any) -> bool:
    """A boolean as Ansible reads it."""
    return value is True or (isinstance(value, str) and value.strip().lower() in _TRUE)


def read_plays(text: str, path: str) -> Plays | None:
    """The plays or tasks of a file; ``None`` where it holds neither. Raises ``ReaderError``."""
    documents = read_yaml(text.replace("!vault", "").replace("!unsafe", ""), path)
    top = documents[0].value if documents else None
    if not isinstance(top, Seq) or not top or not all(isinstance(item, Map) for item in top):
        return None
    if any("hosts" in item or "import_playbook" in item for item in top):
        return Plays(path, tuple(_play(item, path) for item in top if "hosts" in item))
    parts = path.split("/")
    role = parts[parts.index("roles") + 1] if "roles" in parts[:-3] else ""
    handler = "handlers" in parts[:-1]
    return Plays(path, steps=tuple(_steps(top, path, {}, None, role, handler)))


def _play(item: Map, path: str) -> Play:
    hosts = item["hosts"]
    play = Play(
        ":".join(map(str, hosts)) if isinstance(hosts, (list, tuple)) else str(hosts or ""),
        Where(path, item.at["hosts"][1], "hosts"),
        {key: value for key, value in item.items() if key not in _SECTIONS},
        tuple(_roles(item.get("roles"))),
        text="\n".join(leaves(item)),
    )
    steps: list[Step] = []
    for section in _SECTIONS:
        steps += _steps(item.get(section), path, {}, play, "", section == "handlers", first=not steps)
    play.steps = tuple(steps)
    play.roles += tuple(
        step.text("name") for step in steps if step.module in ("include_role", "import_role") and step.text("name")
    )
    return play


def _roles(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, (list, tuple)) else ():
        name = item.get("role") or item.get("name") if isinstance(item, Mapping) else item
        if isinstance(name, str) and name:
            yield name


def _steps(
    value: Any, path: str, outer: Mapping[str, Any], play: Play | None, role: str, handler: bool, first: bool = False
) -> Iterator[Step]:
    """The tasks of a list, those within blocks with the keywords of the block."""
    for item in value if isinstance(value, (list, tuple)) else ():
        if not isinstance(item, Map):
            continue
        keywords = {**outer, **{key: item[key] for key in item if key in _KEYWORDS and key != "name"}}
        if any(block in item for block in _BLOCKS):
            for block in _BLOCKS:
                yield from _steps(item.get(block), path, keywords, play, role, handler, first)
                first = False
            continue
        key = next((key for key in item if key not in _KEYWORDS), None)
        if key is None:
            continue
        given = item[key]
        arguments = dict(given) if isinstance(given, Mapping) else _pairs(given)
        extra = item.get("args")
        arguments.update(extra if isinstance(extra, Mapping) else {})
        raw = given if isinstance(given, str) else str(arguments.get("cmd") or "")
        where = Where(path, item.at[key][1], key)
        yield Step(key.rpartition(".")[2], arguments, raw, keywords, where, play, role, handler, first)
        first = False


def _pairs(value: Any) -> dict[str, Any]:
    """The old ``name=docker state=restarted`` taken apart."""
    if not isinstance(value, str):
        return {}
    return {key: text.strip("\"'") for key, text in _PAIR.findall(value)}
