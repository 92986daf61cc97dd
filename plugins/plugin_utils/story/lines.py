# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a run: what a step is called, how long it took, what went wrong. All of it fits the width."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from ..isolation.wording import number

#: Widths that can be written to: narrower, the terminal wraps; wider, nobody reads a line to its end.
_NARROWEST, _WIDEST = 20, 100

#: How wide our reports are wrapped.
_REPORT = 100

#: What Ansible puts before a message.
_FRAME = re.compile(r"^(?:Task failed: |Action failed: )+")

#: What stands in the margin of a report's line: spaces, or a short label and spaces.
_LABEL = re.compile(r"\s*(?:\S(?:\S| (?=\S)){0,10}\s{2,})?")

#: Locales in which a terminal shows ASCII at best. Python sets LC_CTYPE to one of the last two where it is "C".
_ASCII = ("", "C", "POSIX")
_COERCED = (*_ASCII, "C.UTF-8", "C.utf8", "UTF-8")


@dataclass(frozen=True)
class Signs:
    """What stands before a line, and what moves."""

    begins: str
    well: str
    bad: str
    skipped: str
    waits: str
    frames: str

    def frame(self, tick: int) -> str:
        """The moving sign at a tick."""
        return self.frames[tick % len(self.frames)]


UNICODE = Signs("▸", "✓", "✗", "–", "…", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
ASCII = Signs(">", "+", "x", "-", "...", "|/-\\")


def signs(encoding: str, environment: Mapping[str, str]) -> Signs:
    """Which signs a screen with this encoding and these variables (LC_ALL, LC_CTYPE, LANG) shows."""
    if encoding.lower().replace("-", "") != "utf8":
        return ASCII
    everything = environment.get("LC_ALL", "")
    if everything:
        return UNICODE if re.search(r"utf-?8", everything, re.IGNORECASE) else ASCII
    only_ascii = environment.get("LANG", "") in _ASCII and environment.get("LC_CTYPE", "") in _COERCED
    return ASCII if only_ascii else UNICODE


def usable(columns: int) -> int:
    """How wide lines may be on a screen of so many columns."""
    return min(max(columns, _NARROWEST), _WIDEST)


def duration(seconds: float) -> str:
    """``0.9 s``, ``14 s``, ``2 min 5 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def paragraph(text: str, width: int, indent: str = "", first: str | None = None) -> str:
    """The text's lines, each wrapped between words and with its own indentation. A long word is left whole."""
    lines = []
    for position, line in enumerate(text.splitlines()):
        margin = indent + line[: len(line) - len(line.lstrip())]
        begins = first if first is not None and not position else margin
        wrapped = textwrap.fill(
            line.strip(),
            width,
            initial_indent=begins,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines.append(wrapped or begins.rstrip())
    return "\n".join(lines)


def folded(text: str, width: int) -> str:
    """A report, wrapped anew for a narrow screen: its paragraphs stay below the column in which their texts begin."""
    if all(cells(line) <= width for line in text.splitlines()):
        return text
    lines: list[str] = []
    before, margin = "", 0
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        # It was wrapped here if it goes on below the text, and its first word had no room on the line before.
        word = line.strip().partition(" ")[0]
        if lines and word and indent == margin > 0 and len(before) + 1 + len(word) > _REPORT:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
            margin = len(_margin(line))
        before = line
    return "\n".join(_folded(line, width) for line in lines)


def _margin(line: str) -> str:
    label = _LABEL.match(line)
    return label[0] if label else ""


def _folded(line: str, width: int) -> str:
    if cells(line) <= width:
        return line
    begins = _margin(line)
    return paragraph(line[len(begins) :], width, " " * len(begins), begins)


def step_line(sign: str, name: str, seconds: float, width: int, *more: str) -> str:
    """A step that has ended: its name, its time, and what is to be said beside it. Without a name only the latter."""
    facts = ", ".join(filter(None, (duration(seconds), *more)))
    return paragraph("  ".join(filter(None, (name, facts))), width, "  ", f"{sign} ")


def moving_line(sign: str, name: str, seconds: float, columns: int, detail: str = "") -> str:
    """A step that runs, on one line that leaves the last column free; what it does, as far as there is room."""
    time = f"  {duration(int(seconds)) if seconds >= 10 else f'{int(seconds)} s'}"
    room = max(columns - 1 - len(time) - cells(sign) - 1, 0)
    line = f"{sign} {fitting(name, room)}{time}"
    left = columns - 1 - cells(line) - 2
    return f"{line}  {fitting(detail, left)}" if detail and left > 0 else line


def fitting(text: str, room: int) -> str:
    """As much of the text as so many cells show."""
    while cells(text) > room:
        text = text[:-1]
    return text


def cells(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


def without_frame(message: str) -> str:
    """What is wrong, without the words that Ansible puts before it."""
    return _FRAME.sub("", message)


def is_deliberate(result: Mapping[str, object]) -> bool:
    """Whether an action of ours failed with a message for people, and not by a fault of its own."""
    message = result.get("msg")
    crashed = "module_stdout" in result or "module_stderr" in result
    return isinstance(message, str) and bool(message) and not crashed and not _FRAME.match(message)


def ending(hosts: Mapping[str, Mapping[str, int]], seconds: float, width: int, sign: Signs, check: bool = False) -> str:
    """One line for each host: how many steps, how many of them changed something, and whether it failed.

    ``hosts`` have Ansible's counts: ok, changed, unreachable, failures, skipped, rescued, ignored. In check mode
    nothing was changed: the count is of what would be.
    """
    lines = []
    for host, counts in hosts.items():
        bad = counts["failures"] or counts["unreachable"]
        said = _counted(counts, "would change something" if check else "changed")
        lines.append(step_line(sign.bad if bad else sign.well, f"{host}:", seconds, width, *said))
    return "\n".join(lines)


def _counted(counts: Mapping[str, int], changed: str) -> list[str]:
    steps = counts["ok"] + counts["failures"] + counts["unreachable"]
    words = [number(steps, "step"), f"{counts['changed']} {changed}" if counts["changed"] else "nothing changed"]
    words += [f"{counts[name]} {name}" for name in ("unreachable", "rescued", "ignored", "skipped") if counts[name]]
    return [*words, *([f"{counts['failures']} failed"] if counts["failures"] else [])]
