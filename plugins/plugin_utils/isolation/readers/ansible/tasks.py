# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads one Ansible task: its module and arguments, in every form that Ansible accepts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ...model import Where
from ..compose.yaml_text import Map

#: Every key of a task, handler or block that is not a module. A test compares this list with ansible-core.
TASK_KEYWORDS = frozenset({
    "action", "any_errors_fatal", "args", "async", "async_val", "become", "become_exe", "become_flags",
    "become_method", "become_user", "changed_when", "check_mode", "collections", "connection", "debugger", "delay",
    "delegate_facts", "delegate_to", "diff", "environment", "failed_when", "ignore_errors", "ignore_unreachable",
    "listen", "local_action", "loop", "loop_control", "loop_with", "module_defaults", "name", "no_log", "notify",
    "poll", "port", "register", "remote_user", "retries", "run_once", "static", "tags", "throttle", "timeout", "until",
    "vars", "when",
})  # fmt: skip

#: Keywords that say what to run. The others say where, when and how often.
_CALLS = frozenset({"action", "args", "local_action", "name"})

#: Modules that take a command line, and the ``key=value`` words that Ansible takes out of it.
COMMAND_MODULES = frozenset({"command", "raw", "script", "shell"})
_OPTIONS = frozenset(
    {"chdir", "creates", "executable", "removes", "stdin", "stdin_add_newline", "strip_empty_ends", "warn"}
)
_RAW = "_raw_params"
_TEMPLATE = "_variable_params"
_TRUE = frozenset({"1", "1.0", "on", "t", "true", "y", "yes"})
_PIECE = re.compile(r"\s+|\{[{%#]|[}%#]\}|\\.|[^\s\\\"'{}%#]+|.", re.DOTALL)
_PAIR = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Task:
    """One task. ``module`` is its short name, ``raw`` its command line or other free text.

    ``keywords`` include those inherited from blocks. ``line`` is the first line of ``raw``. ``play`` is the play that
    contains the task, ``role`` the role that its file belongs to.
    """

    name: str
    module: str
    arguments: Map
    raw: str
    keywords: Mapping[str, Any]
    where: Where
    line: int
    play: Play | None = None
    role: str = ""

    def flag(self, keyword: str) -> bool:
        """Whether a keyword is true for the task or, unless it says otherwise, for its play."""
        outer = self.play.keywords if self.play else {}
        return is_true(self.keywords.get(keyword, outer.get(keyword)))

    def text(self, argument: str) -> str:
        """An argument as text."""
        value = self.arguments.get(argument)
        return "" if value is None else str(value)

    def place(self, argument: str) -> Where:
        """Where an argument is written."""
        return Where(self.where.file, self.arguments.at.get(argument, ("", self.where.line))[1], argument)


@dataclass(slots=True)
class Play:
    """One play: its hosts, roles and tasks, and all its text."""

    hosts: str
    where: Where
    keywords: Mapping[str, Any]
    roles: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    text: str = field(default="", repr=False)


def is_true(value: Any) -> bool:
    """Whether Ansible reads a value as true."""
    return str(value).strip().lower() in _TRUE


def read_task(
    item: Map, path: str, outer: Mapping[str, Any], play: Play | None = None, role: str = ""
) -> Iterator[Task]:
    """The task in a mapping, or nothing if it has no module. ``outer`` are the keywords inherited from blocks.

    With an unknown key beside the module, perhaps a keyword of a newer Ansible, each key that could be the module
    yields a task, so that none is missed.
    """
    keywords = {**outer, **keywords_of(item)}
    if "local_action" in item:
        keywords["delegate_to"] = "localhost"
    name = str(item.get("name") or "")
    for key, called, given in _calls(item):
        module = called if "{{" in called else called.rpartition(".")[2]
        arguments = _arguments(module, given, item.get("args"))
        where = Where(path, item.at[key][1], called)
        raw, line = _raw(module, arguments, where.line)
        yield Task(name, module, arguments, raw, keywords, where, line, play, role)


def keywords_of(item: Map) -> dict[str, Any]:
    """The keywords of a task or block that say where, when and how often it runs."""
    return {key: value for key, value in item.items() if _is_keyword(key) and key not in _CALLS}


def _is_keyword(key: str) -> bool:
    return key in TASK_KEYWORDS or key.startswith("with_")


def _calls(item: Map) -> Iterator[tuple[str, str, Any]]:
    """The key, the module as written and its arguments, for each key that could be the module."""
    modules = [
        key
        for key, given in item.items()
        if not _is_keyword(key) and (given is None or isinstance(given, (str, Mapping)))
    ]
    # Keywords have no dots, so a key with one is the module.
    for key in [key for key in modules if "." in key] or modules:
        yield key, key, item[key]
    for key in ("action", "local_action"):
        if key in item:
            for called, arguments in _named_call(item[key]):
                yield key, called, arguments


def _named_call(given: Any) -> Iterator[tuple[str, Any]]:
    """Module and arguments of an ``action``: ``shell ls``, or a mapping with ``module``."""
    options = given if isinstance(given, Mapping) else {"module": given}
    called = str(options.get("module") or "")
    for start, word in islice(_words(called), 1):
        own = _arguments(word.rpartition(".")[2], called[start + len(word) :], options.get("args"))
        yield word, _joined(_without(options, "args", "module"), own)


def _arguments(module: str, given: Any, defaults: Any) -> Map:
    """The arguments of a module, given as a mapping or free text, merged over its ``args``."""
    own = given if isinstance(given, Mapping) else _parse(module, given or "")
    if isinstance(defaults, str):
        defaults = _parse("", defaults) if "{{" not in defaults else {_TEMPLATE: defaults}
    return _joined(defaults if isinstance(defaults, Mapping) else {}, own)


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> Map:
    """Merge two mappings, keeping the lines of both; the second wins."""
    at = {key: place for part in (first, second) if isinstance(part, Map) for key, place in part.at.items()}
    return Map({**first, **second}, at=at)


def _without(given: Mapping[str, Any], *keys: str) -> Map:
    rest = {key: value for key, value in given.items() if key not in keys}
    return Map(rest, at=given.at if isinstance(given, Map) else {})


def _parse(module: str, text: str) -> Map:
    """Split free text into ``key=value`` arguments and the rest; a command line only has the known options."""
    found: dict[str, Any] = {}
    rest: list[str] = []
    end = 0
    for start, word in _words(text):
        pair = _PAIR.match(word)
        if pair and (module not in COMMAND_MODULES or pair[1] in _OPTIONS):
            found[pair[1]] = _unquoted(pair[2])
        else:
            rest.append(text[end:start] + word)
        end = start + len(word)
    raw = "".join(rest).lstrip(" \t")
    return Map({**found, _RAW: raw} if raw else found)


def _words(text: str) -> Iterator[tuple[int, str]]:
    """The words of a text with their positions. Spaces in quotes and templates do not separate words."""
    start, quote, depth = -1, "", 0
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece.isspace() and not quote and not depth:
            if start >= 0:
                yield start, text[start : match.start()]
            start = -1
            continue
        start = match.start() if start < 0 else start
        if piece in ("{{", "{%", "{#"):
            depth += 1
        elif piece in ("}}", "%}", "#}"):
            depth = max(0, depth - 1)
        elif piece in ("'", '"') and not depth:
            quote = "" if quote == piece else quote or piece
    if start >= 0:
        yield start, text[start:]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _raw(module: str, arguments: Map, line: int) -> tuple[str, int]:
    """Take the free text or command line out of the arguments; return it with its first line."""
    raw = ""
    for key in (_RAW, "cmd", "argv") if module in COMMAND_MODULES else (_RAW,):
        given = arguments.get(key)
        if given and not raw:
            raw = shlex.join(map(str, given)) if isinstance(given, (list, tuple)) else str(given)
            line = arguments.at.get(key, ("", line))[1] + ("\n" in raw)
    arguments.pop(_RAW, None)
    return raw, line
