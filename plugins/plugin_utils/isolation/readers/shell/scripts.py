# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read files that run commands: shell scripts, crontabs, systemd units, Makefiles.

Each command has its words, its place, its working directory if known, and what joins it to the previous command.
A variable is replaced only if the same text sets it once, to a constant.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...model import Compact, Where
from .lexer import Simple, simple_commands

#: Files of make and just, by their names.
MAKEFILES = re.compile(r"(?:^|\.)(?:gnu)?makefile(?:\.[\w-]+)?$|^\.?justfile$|\.(?:mk|just)$", re.IGNORECASE)

#: Shells within shells, remote shells within those: deeper than anything real.
MAX_NESTING = 6

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")
#: Programs that run a command: their options that take a value, and the number of arguments before the command.
_WRAPPERS: Mapping[str, tuple[frozenset[str], int]] = {
    "sudo": (frozenset(("-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "--user", "--group", "--chdir")), 0),
    "doas": (frozenset(("-u", "-C")), 0),
    "env": (frozenset(("-u", "-C", "--unset", "--chdir")), 0),
    "exec": (frozenset(("-a",)), 0),
    "command": (frozenset(), 0),
    "nohup": (frozenset(), 0),
    "chronic": (frozenset(), 0),
    "nice": (frozenset(("-n",)), 0),
    "ionice": (frozenset(("-c", "-n")), 0),
    "time": (frozenset(("-o", "-f")), 0),
    "timeout": (frozenset(("-k", "-s", "--kill-after", "--signal")), 1),
    "flock": (frozenset(("-w", "-E", "--timeout", "--wait", "--conflict-exit-code")), 1),
    "runuser": (frozenset(("-u", "-g")), 0),
    "setsid": (frozenset(), 0),
}
_SSH_VALUES = frozenset("-" + letter for letter in "bcDEeFIiJLlmOopQRSWw")


@dataclass(frozen=True, slots=True)
class Command(Compact):
    """A command. ``argv`` is what it really runs; ``words`` includes wrappers such as ``sudo`` and ``flock``."""

    argv: tuple[str, ...]
    where: Where
    words: tuple[str, ...] = ()
    #: The working directory; ``""`` if the text does not set it, ``None`` if it cannot be known.
    directory: str | None = ""
    joined: str = ""
    redirects: tuple[tuple[str, str], ...] = ()
    assignments: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    #: A failing command ends the script (``set -e``).
    errexit: bool = False
    #: It runs if nothing else matched (``else``, ``*)``).
    default: bool = False
    #: It is in ``$(…)``, so that its output becomes words of another command.
    substituted: bool = False
    #: The schedule of a crontab's line.
    schedule: str = ""
    #: The host that it runs on by ``ssh``.
    host: str = ""
    #: The job, task or setting that it belongs to, if any.
    unit: str = ""
    #: It runs on a hosted runner, which its provider throws away after the job.
    hosted: bool = False
    #: The words as written, with all variables.
    raw: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """The program's name without its path."""
        return self.argv[0].rpartition("/")[2] if self.argv else ""

    @property
    def text(self) -> str:
        """The command in one line, for messages."""
        return " ".join(self.argv)


@dataclass(frozen=True, slots=True)
class Script:
    """A file of commands. ``entries`` are the settings of a systemd unit: (section, key, value, place)."""

    commands: tuple[Command, ...]
    entries: tuple[tuple[str, str, str, Where], ...] = ()


@dataclass
class _Context:
    file: str
    variables: dict[str, str]
    directory: str | None = ""
    errexit: bool = False
    host: str = ""
    schedule: str = ""
    unit: str = ""
    hosted: bool = False
    nesting: int = 0
    substituted: bool = False


def read_commands(
    text: str,
    file: str,
    *,
    line: int = 1,
    variables: Mapping[str, str] | None = None,
    directory: str | None = "",
    errexit: bool = False,
    schedule: str = "",
    unit: str = "",
    hosted: bool = False,
) -> tuple[Command, ...]:
    """Read a piece of shell, such as a ``run:`` of a workflow. ``line`` is the number of its first line."""
    context = _Context(file, dict(variables or {}), directory, errexit, schedule=schedule, unit=unit, hosted=hosted)
    return tuple(_commands(text, line, context))


def read_script(text: str, path: str = "") -> Script:
    """A shell script or, by its name, a Makefile or Justfile."""
    if MAKEFILES.search(posixpath.basename(path)):
        return Script(tuple(_makefile(text, path)))
    return Script(read_commands(text, path, errexit=bool(re.match(r"#!.*\s-\w*e", text))))


def _commands(text: str, line: int, context: _Context) -> Iterator[Command]:
    simples = simple_commands(text, line)
    constants = _constants(simples)
    outer: list[tuple[str | None, int]] = []
    for simple in simples:
        while outer and simple.depth < outer[-1][1]:
            context.directory = outer.pop()[0]
        if simple.depth and (not outer or simple.depth > outer[-1][1]):
            outer.append((context.directory, simple.depth))
        for name, value in simple.assignments:
            if name in constants and not simple.words:
                context.variables[name] = _expand(value, context.variables)
        for name, value in _exported(simple.words):
            if name in constants:
                context.variables[name] = _expand(value, context.variables)
        yield from _command(simple, context)


def _command(simple: Simple, context: _Context) -> Iterator[Command]:
    """Yield a command with those in its substitutions and inner shells, and follow ``cd`` and ``set -e``."""
    for inner, line in simple.nested:
        yield from _inside(inner, line, context, substituted=True)
    words = tuple(_expanded(simple.words, context.variables))
    argv = unwrap(words)
    command = Command(
        argv,
        Where(context.file, simple.line),
        words,
        context.directory,
        simple.joined,
        tuple((kind, _expand(target, context.variables)) for kind, target in simple.redirects),
        {name: _expand(value, context.variables) for name, value in simple.assignments},
        context.errexit,
        simple.default,
        context.substituted,
        context.schedule,
        context.host,
        context.unit,
        context.hosted,
        simple.words,
    )
    if argv[:1] == ("set",):
        context.errexit = _errexit(argv, context.errexit)
    yield command
    if argv[:1] in (("cd",), ("pushd",)):
        context.directory = _after_cd(argv, context.directory)
    elif argv[:1] == ("popd",):
        context.directory = None
    yield from _inner_shell(command, simple, context)


def _inner_shell(command: Command, simple: Simple, context: _Context) -> Iterator[Command]:
    """Yield what ``bash -c``, ``ssh host`` or ``su -c`` runs, also from a here-document."""
    argv, line = command.argv, simple.line
    if command.program in _SHELLS or command.program == "su":
        flags = [index for index, word in enumerate(argv) if re.fullmatch(r"-[a-z]*c|--command", word)]
        if flags and len(argv) > flags[0] + 1:
            strict = command.program != "su" and any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in argv[1:])
            yield from _inside(argv[flags[0] + 1], line, context, errexit=strict)
        elif simple.heredoc and command.program in _SHELLS:
            yield from _inside(*simple.heredoc, context)
    elif command.program == "ssh":
        host, rest = _ssh(argv)
        text, at = (" ".join(rest), line) if rest else simple.heredoc or ("", line)
        if rest and simple.heredoc and posixpath.basename(rest[0]) in _SHELLS:
            text, at = simple.heredoc
        if text:
            yield from _inside(text, at, context, host=host, directory="", hosted=False)
    elif command.program == "eval" and len(argv) > 1:
        yield from _inside(" ".join(argv[1:]), line, context)


def _inside(text: str, line: int, context: _Context, **changes: Any) -> Iterator[Command]:
    """Yield the commands of a text within the text; its variables and ``cd`` do not affect the outer one."""
    if context.nesting >= MAX_NESTING:
        return
    own = {"variables": dict(context.variables), "nesting": context.nesting + 1}
    inner = _Context(**{**vars(context), **own, **changes})
    yield from _commands(text, line, inner)


def _constants(simples: Sequence[Simple]) -> set[str]:
    """The variables that a text sets exactly once, without command substitution."""
    counts: dict[str, int] = {}
    changing: set[str] = set()
    for simple in simples:
        pairs = [*simple.assignments, *_exported(simple.words)] if simple.words else list(simple.assignments)
        for name, value in pairs:
            counts[name] = counts.get(name, 0) + 1
            if "$(" in value or "`" in value:
                changing.add(name)
    return {name for name, count in counts.items() if count == 1 and name not in changing}


def _exported(words: Sequence[str]) -> list[tuple[str, str]]:
    if not words or words[0] not in ("export", "readonly", "local", "declare"):
        return []
    return [(name, value) for name, equals, value in (word.partition("=") for word in words[1:]) if equals]


def _expand(text: str, variables: Mapping[str, str]) -> str:
    if "$" not in text:
        return text
    expanded = _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], match.group()), text)
    # A value that doubles with each assignment would grow without limit.
    return expanded if len(expanded) <= len(text) + 4096 else text


def _expanded(words: Sequence[str], variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the expanded words. A variable that stands alone may hold a whole command or several options.

    Whether it was quoted is not known, so elsewhere a value with spaces stays one word.
    """
    for index, word in enumerate(words):
        text = _expand(word, variables)
        several = " " in text and _VARIABLE.fullmatch(word)
        if several and (index == 0 or text.startswith("-")):
            yield from text.split()
        else:
            yield text


def _errexit(argv: Sequence[str], before: bool) -> bool:
    for index, word in enumerate(argv[1:], start=1):
        option = re.fullmatch(r"[-+]\w*o", word) and tuple(argv[index + 1 : index + 2]) == ("errexit",)
        if option or re.fullmatch(r"[-+]\w*e\w*", word):
            before = word.startswith("-")
    return before


def _after_cd(argv: Sequence[str], before: str | None) -> str | None:
    targets = [word for word in argv[1:] if word not in ("-P", "-L", "--")]
    if not targets or targets[0] == "-" or "$" in targets[0] or "`" in targets[0]:
        return None
    target = targets[0]
    if target.startswith(("/", "~")):
        return posixpath.normpath(target)
    if not before:
        return before if before is None else posixpath.normpath(target)
    return posixpath.normpath(posixpath.join(before, target))


def _ssh(argv: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    index = 1
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in _SSH_VALUES else 1
    host = argv[index] if index < len(argv) else ""
    return host.rpartition("@")[2], tuple(argv[index + 1 :])


def unwrap(words: Sequence[str]) -> tuple[str, ...]:
    """The words without wrappers such as ``sudo``, ``env``, ``timeout`` and ``flock``."""
    words = tuple(words)
    while words:
        known = _WRAPPERS.get(posixpath.basename(words[0]))
        if known is None:
            return words
        valued, before = known
        index = 1
        while index < len(words) and words[index].startswith("-"):
            index += 2 if words[index] in valued else 1
        index += before
        while index < len(words) and re.match(r"[A-Za-z_]\w*=", words[index]):
            index += 1
        if index < len(words) and words[index] == "-c" and posixpath.basename(words[0]) == "flock":
            return ("sh", *words[index:])
        if index >= len(words):
            return words
        words = words[index:]
    return words


def _makefile(text: str, path: str) -> Iterator[Command]:
    """The recipes of a Makefile or Justfile: each line has its own shell, and a failing one ends the run."""
    indents = ("\t", " ") if "just" in posixpath.basename(path).lower() else ("\t",)
    variables: dict[str, str] = {}
    lines = iter(enumerate(text.split("\n"), start=1))
    for number, line in lines:
        while line.endswith("\\"):
            line += "\n" + next(lines, (0, ""))[1]
        assigned = re.match(r"(?:export\s+)?(\w+)\s*[:?]{0,2}=\s*(.*)$", line)
        if assigned:
            variables[assigned[1]] = _make_variables(assigned[2].strip())
            continue
        inline = re.match(r"[^\s#=:][^#=:]*::?[^#=;]*;(.*)", line, re.DOTALL)
        if inline or line.startswith(indents):
            recipe = _make_variables((inline[1] if inline else line).lstrip("\t @+-"))
            yield from read_commands(recipe, path, line=number, variables=variables, errexit=True)


def _make_variables(text: str) -> str:
    """Translate make's ``$(NAME)`` and ``$$`` to shell syntax."""
    return re.sub(r"\$\((\w+)\)", r"${\1}", text).replace("$$", "$")


def pipelines(commands: Iterable[Command]) -> Iterator[tuple[Command, ...]]:
    """Group commands into pipelines; those in ``$(…)`` form their own."""
    group: list[Command] = []
    for command in commands:
        if group and (command.joined != "|" or command.where.file != group[-1].where.file):
            yield tuple(group)
            group = []
        group.append(command)
    if group:
        yield tuple(group)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file that a command takes. ``bounded`` means that it does not wait for ever."""

    path: str
    bounded: bool


def locks(command: Command) -> Iterator[Lock]:
    """Yield a command's lock files: ``flock FILE``, ``lockfile FILE``, ``exec 9>F.lock``, ``mkdir D.lock``."""
    words = command.words or command.argv
    for index, word in enumerate(words):
        if word.endswith("flock") and posixpath.basename(word) == "flock":
            options = words[index + 1 :]
            bounded = any(
                re.fullmatch(r"-n\w*|--nonblock|--nb|-w\d*|--wait.*|--timeout.*", option) for option in options
            )
            path = next((option for option in options if option.startswith(("/", "~", "$", "."))), "")
            if path:
                yield Lock(posixpath.normpath(path), bounded)
            return
    if command.program in ("lockfile", "dotlockfile", "setlock") and len(command.argv) > 1:
        yield Lock(posixpath.normpath(command.argv[-1]), False)
    elif command.program == "mkdir" and command.argv[-1].endswith((".lock", ".lck")):
        yield Lock(posixpath.normpath(command.argv[-1]), True)
    for kind, target in command.redirects:
        if kind in (">", ">>", "<>") and target.endswith((".lock", ".lck")):
            yield Lock(posixpath.normpath(target), False)
