# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of others, made harmless for a terminal and for GitHub's runner, and annotations for the latter."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence

from ..isolation.model import Finding
from ..isolation.wording import UNPRINTABLE

#: Colours as Ansible writes them, and nothing else that begins with an escape: no cursor, title, link or conceal.
_COLOUR = r"\x1b\[(?:0|(?:[0-9];)?3[0-7]|38;5;[0-9]{1,3})m"

_EITHER = re.compile(rf"({_COLOUR})|[{UNPRINTABLE}]")
_ANY = re.compile(rf"[{UNPRINTABLE}]")

#: A line that GitHub's runner takes for a command: it trims the line first. The earlier form counts anywhere in a line.
_COMMAND = re.compile(rf"^((?:\s|\ufeff|{_COLOUR})*):(?=:)", re.MULTILINE)
_EARLIER_COMMAND = re.compile(r"##(?=\[)")

#: The most annotations of one step that GitHub shows; a summary counts the others.
_MOST = 10


def clean(text: str, *, colours: bool = False, github: bool = False) -> str:
    """The text without anything that acts on a terminal, in lines that no program takes for a command.

    ``colours`` keeps Ansible's own. With ``github`` no line is a workflow command.
    """
    text = text.replace("\r\n", "\n")
    text = _EITHER.sub(lambda match: match[1] or "\ufffd", text) if colours else _ANY.sub("\ufffd", text)
    if github:
        text = _EARLIER_COMMAND.sub("## ", _COMMAND.sub(r"\1: ", text))
    return text


def group(title: str) -> str:
    """The line that begins a fold of GitHub's log."""
    return f"::group::{_data(title)}"


GROUP_ENDS = "::endgroup::"


def annotation(message: str, title: str = "", file: str = "", line: int = 0) -> str:
    """One error that GitHub shows at a file's line, or of the whole run where there is no file."""
    place = {"file": file, "line": str(line) if file and line else "", "title": title}
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value)
    return f"::error{' ' if properties else ''}{properties}::{_data(message)}"


def of_findings(findings: Sequence[Finding], workspace: str, locate: Callable[[str], str]) -> Iterator[str]:
    """An error for each finding, at the first file that it names and that is there: not one that was only rendered.

    ``locate`` gives a file's whole path, empty where there is none; ``workspace`` is the checkout's directory. GitHub
    shows ten of a step, so the last one counts what is left.
    """
    for position, finding in enumerate(findings):
        left = len(findings) - position
        if position == _MOST - 1 and left > 1:
            yield annotation(f"{left} more findings: see the log", "bulkhead")
            return
        places = ((locate(where.file), where.line) for where in finding.where if where.file)
        file, line = next(filter(lambda place: place[0], places), ("", 0))
        said = " ".join(filter(None, (finding.message, finding.fix)))
        yield annotation(said, finding.rule, _inside(file, workspace), line)


def _inside(file: str, workspace: str) -> str:
    """A file as GitHub names it: from the checkout's directory on."""
    if not workspace or not file:
        return file
    relative = posixpath.relpath(file, workspace)
    return file if relative.startswith("../") else relative


def _data(text: str) -> str:
    """The escaping of a workflow command's text. Other control characters than line ends are taken out."""
    kept = "".join(sign if sign in "\r\n" else _ANY.sub("\ufffd", sign) for sign in text)
    return kept.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The escaping of a workflow command's property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
