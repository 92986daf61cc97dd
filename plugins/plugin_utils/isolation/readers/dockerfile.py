# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dockerfiles as a list of instructions, and what a ``.dockerignore`` keeps out of an image."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..model import Where

_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)\Z", re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1")
_FLAG = re.compile(r"--(\w[\w-]*)(?:=(\S+))?\s*")
_PAIR = re.compile(r"([A-Za-z_]\w*)=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name in capitals, its flags (``mount`` may come often), and the rest as one line."""

    name: str
    flags: tuple[tuple[str, str], ...]
    text: str
    where: Where

    def mounts(self, kind: str) -> Iterator[dict[str, str]]:
        """The options of each ``--mount`` of a kind."""
        for flag, value in self.flags:
            options = dict(item.partition("=")[::2] for item in value.split(","))
            if flag == "mount" and options.get("type") == kind:
                yield options

    def pairs(self) -> dict[str, str]:
        """The names and values that ``ARG`` and ``ENV`` set; ``ARG NAME`` without a value sets none."""
        found = {name: value.strip("\"'") for name, value in _PAIR.findall(self.text)}
        words = self.text.split(None, 1)
        if not found and self.name == "ENV" and len(words) == 2:
            return {words[0]: words[1]}
        return found

    def words(self) -> list[str]:
        """The rest as words."""
        try:
            return shlex.split(self.text)
        except ValueError:
            return self.text.split()


def read_dockerfile(text: str, path: str) -> tuple[Instruction, ...]:
    """The instructions of a Dockerfile, with continued lines joined and comments left out."""
    found = []
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line
        while whole.rstrip().endswith("\\"):
            _unused, following = next(lines, (0, ""))
            if not following.lstrip().startswith("#"):
                whole = f"{whole.rstrip()[:-1]} {following.strip()}"
            else:
                whole = whole.rstrip()
        for _unused, end in _HEREDOC.findall(whole):
            for _unused, body in lines:
                if body.strip() == end:
                    break
                whole += f"\n{body}"
        match = _INSTRUCTION.match(whole)
        if match:
            flags, rest = _flags(match[2])
            found.append(Instruction(match[1].upper(), flags, rest.strip(), Where(path, number)))
    return tuple(found)


def _flags(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    found = []
    match = _FLAG.match(text)
    while match:
        found.append((match[1], match[2] or ""))
        text = text[match.end() :]
        match = _FLAG.match(text)
    return tuple(found), text


def ignores(dockerignore: str, name: str) -> bool:
    """Whether a ``.dockerignore`` keeps a file of the context's root out; the last pattern that matches decides."""
    ignored = False
    for line in dockerignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        negated = pattern.startswith("!")
        pattern = pattern.lstrip("!").strip("/").removeprefix("./").removeprefix("**/")
        if fnmatchcase(name, pattern or "*"):
            ignored = not negated
    return ignored
