# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What commands only print, read or count: a name in them has no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..model import Document, Environment
from ..readers.documents import commands
from ..readers.shell.docker_call import docker_call
from ..readers.shell.scripts import Command, pipelines

#: Programs and usual names of shell functions that print their arguments.
_PRINTS = re.compile(
    r"(?:echo|printf|log|logger|info|warn|warning|err|error|fatal|die|fail|abort|say|note|notice|success|ok|step|section"
    r"|title|header|usage|banner|debug|msg|message|(?:log|print|show|echo|msg)_\w+|\w+_(?:log|msg|info|warn|warning|error|message))"
)
#: Where printed text is kept for people.
_FOR_PEOPLE = re.compile(r"&?[12]|/dev/(?:null|stderr|stdout|tty)|\$\{?GITHUB_STEP_SUMMARY\}?|.*\.log")
#: Programs that change nothing.
_READS = re.compile(
    r"ls|cat|z?e?grep|wc|head|tail|sort|uniq|cut|awk|tr|du|df|test|\[\[?|echo|printf|basename|dirname|date|column|less|jq"
    r"|true|stat|realpath"
)
_COUNTS = frozenset(("wc",))
_LISTS = frozenset(
    (
        ("ps",),
        ("images",),
        ("ls",),
        ("logs",),
        ("volume", "ls"),
        ("network", "ls"),
        ("container", "ls"),
        ("image", "ls"),
    )
)


def only_prints(command: Command, following: Command | None = None) -> bool:
    """Whether a command only writes text for people: it feeds no other program, and no file that is read again."""
    if not _PRINTS.fullmatch(command.program) or (following is not None and following.joined == "|"):
        return False
    targets = [target for kind, target in command.redirects if kind.startswith((">", "&>"))]
    return not command.substituted and all(map(_FOR_PEOPLE.fullmatch, targets))


def printed(document: Document) -> Iterator[Command]:
    """Yield the commands of a document that only print."""
    listed = commands(document)
    for command, following in zip(listed, (*listed[1:], None), strict=False):
        if only_prints(command, following):
            yield command


def printed_lines(document: Document) -> frozenset[int]:
    """The lines of a document that hold nothing but printed text."""
    return document.derived(_printed_lines)


def _printed_lines(document: Document) -> frozenset[int]:
    shown = set(printed(document))
    lines = {line for command in shown for line in _lines(command)}
    if not lines:
        return frozenset()
    acting = {command.where.line for command in commands(document) if command.argv and command not in shown}
    return frozenset(lines - acting)


def hosted_lines(document: Document) -> frozenset[int]:
    """The lines of a workflow that run on a hosted runner, and send nothing to a server by ``ssh``."""
    hosted = {line for command in commands(document) if command.hosted for line in _lines(command)}
    return frozenset(hosted - {command.where.line for command in commands(document) if not command.hosted})


def reading_lines(document: Document) -> frozenset[int]:
    """The lines of a document whose commands only list, count or print, so that a pattern in them changes nothing."""
    return document.derived(_reading_lines)


def _reading_lines(document: Document) -> frozenset[int]:
    reading: set[int] = set()
    acting: set[int] = set()
    for pipeline in pipelines(commands(document)):
        lines = {line for command in pipeline for line in _lines(command)}
        (reading if _only_reads(pipeline) else acting).update(lines if any(c.argv for c in pipeline) else ())
    return frozenset(reading - acting)


def _only_reads(pipeline: Sequence[Command]) -> bool:
    if not all(map(_reads, pipeline)):
        return False
    # What $(...) lists may be deleted by the command around it; a number cannot.
    counted = pipeline[-1].program in _COUNTS or "-c" in pipeline[-1].argv or "-q" in pipeline[-1].argv
    return counted or not pipeline[0].substituted


def _reads(command: Command) -> bool:
    if any(kind.startswith(">") and not _FOR_PEOPLE.fullmatch(target) for kind, target in command.redirects):
        return False
    if command.program == "find":
        return not {"-delete", "-exec", "-execdir", "-ok"} & set(command.argv)
    call = docker_call(command.argv)
    return (
        _READS.fullmatch(command.program) is not None or (call is not None and call.verb in _LISTS) or not command.argv
    )


def _lines(command: Command) -> range:
    """The lines of a command whose words may span several."""
    return range(command.where.line, command.where.line + command.text.count("\n") + 1)


#: What ends containers or deletes what they leave.
_REMOVALS = re.compile(r"\bdocker\s+(?:(?:container|volume|network|image)\s+)?(?:rmi?|stop|kill)\b")


def removing_files(environment: Environment) -> frozenset[str]:
    """The paths of an environment's documents that stop or remove something of Docker's."""
    return environment.derived(_removing_files)


def _removing_files(environment: Environment) -> frozenset[str]:
    return frozenset(
        document.path
        for document in environment.documents
        if any(_REMOVALS.search(command.text) for command in commands(document))
    )
