# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of README and docs: those in fences, in sentences, and in the README's table of jobs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from checkout import ROOT
from every_day import every_day

#: Languages of fences whose lines are typed: all of them, or those after a prompt.
TYPED, PROMPTED = ("sh", "bash"), ("console",)
#: Languages of fences in which no line is typed.
SHOWN = ("yaml", "json", "python", "text", "ini", "sql", "diff", "nginx", "jinja", "dockerfile", "mermaid", "")

_FENCE = re.compile(r"^( *)```([\w-]*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(ansible(?:-playbook|-galaxy|-vault|-doc)? [^`]+)`")

#: What a shell would put in its place: the path of an open file.
_SUBSTITUTED = re.compile(r"<\([^)]*\)")

#: How a page shortens a command that it gave in full before.
_AS_BEFORE = "… "


@dataclass(frozen=True)
class Command:
    """A command as it stands on a page. ``whole`` says that it can be typed: in a sentence it may be a part of one."""

    page: str
    line: int
    text: str
    whole: bool = True

    @property
    def words(self) -> list[str]:
        """What the shell makes of it."""
        return shlex.split(_SUBSTITUTED.sub("/dev/stdin", self.text), comments=True)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Fence:
    """A fenced block: its page, the number of its first line, its language and its lines."""

    page: str
    line: int
    language: str
    lines: tuple[str, ...]


def pages() -> list[Path]:
    """README and all pages, but for the generated ones of the rules: their fences are inputs of tests."""
    docs = ROOT / "docs"
    return [ROOT / "README.md", *sorted(page for page in docs.rglob("*.md") if "rules" not in page.parts)]


@cache
def fences() -> tuple[Fence, ...]:
    """All fenced blocks."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            indent = len(match[1])
            lines = tuple(line[indent:] for line in match[3].splitlines())
            number = text.count("\n", 0, match.start()) + 2
            found.append(Fence(page.relative_to(ROOT).as_posix(), number, match[2], lines))
    return tuple(found)


@cache
def commands() -> tuple[Command, ...]:
    """Everything that a reader may type, in the order of the pages."""
    return (*_fenced(), *_in_sentences(), *_every_day())


def _every_day() -> Iterator[Command]:
    """The rows of the README's table of jobs."""
    above = (ROOT / "README.md").read_text(encoding="utf-8").partition
    for job, text in every_day().items():
        yield Command("README.md", above(f"`{job}`")[0].count("\n") + 1, text)


def _fenced() -> Iterator[Command]:
    first: dict[str, str] = {}
    for fence in fences():
        if fence.language not in (*TYPED, *PROMPTED):
            continue
        for line, text in _joined(fence):
            if text.startswith(_AS_BEFORE):
                text = f"{first[fence.page]} {text.removeprefix(_AS_BEFORE)}"
            elif text.startswith("ansible-playbook") and fence.page not in first:
                first[fence.page] = text.partition(" -e ")[0]
            yield Command(fence.page, line, text)


def _joined(fence: Fence) -> Iterator[tuple[int, str]]:
    """The typed lines of a fence; one that ends in a backslash goes on."""
    begun, prompt = "", "" if fence.language in TYPED else "$ "
    for number, line in enumerate(fence.lines):
        if not begun and not line.startswith(prompt):
            continue
        text = begun + (line.strip() if begun else line.removeprefix(prompt))
        begun = f"{text[:-1].rstrip()} " if text.endswith("\\") else ""
        if not begun and text.strip():
            yield fence.line + number, text


def _in_sentences() -> Iterator[Command]:
    for page in pages():
        text = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))
        for match in _INLINE.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            yield Command(page.relative_to(ROOT).as_posix(), number, " ".join(match[1].split()), whole=False)
