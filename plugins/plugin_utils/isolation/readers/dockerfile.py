# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read Dockerfiles as lists of instructions, and match a ``.dockerignore``."""

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
_PAIR = re.compile(r"(?<!\w)([A-Za-z_]\w*)=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction: its name in capitals, its flags (``mount`` may repeat), and the rest as one line."""

    name: str
    flags: tuple[tuple[str, str], ...]
    text: str
    where: Where

    def mounts(self, kind: str) -> Iterator[dict[str, str]]:
        """Yield the options of each ``--mount`` with this ``type``."""
        for flag, value in self.flags:
            options = dict(item.partition("=")[::2] for item in value.split(","))
            if flag == "mount" and options.get("type") == kind:
                yield options

    def pairs(self) -> dict[str, str]:
        """The names and values that ``ARG`` or ``ENV`` sets; ``ARG NAME`` without a value sets none."""
        values = {name: value.strip("\"'") for name, value in _PAIR.findall(self.text)}
        words = self.text.split(None, 1)
        if not values and self.name == "ENV" and len(words) == 2:
            return {words[0]: words[1]}
        return values

    def words(self) -> list[str]:
        """The text split into words as a shell would."""
        try:
            return shlex.split(self.text)
        except ValueError:
            return self.text.split()


def read_dockerfile(text: str, path: str) -> tuple[Instruction, ...]:
    """Read the instructions of a Dockerfile: continued lines are joined, comments dropped."""
    instructions = []
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
            instructions.append(Instruction(match[1].upper(), flags, rest.strip(), Where(path, number)))
    return tuple(instructions)


def _flags(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    flags = []
    match = _FLAG.match(text)
    while match:
        flags.append((match[1], match[2] or ""))
        text = text[match.end() :]
        match = _FLAG.match(text)
    return tuple(flags), text


def ignores(dockerignore: str, name: str) -> bool:
    """Whether a ``.dockerignore`` excludes a file in the context's root; the last matching pattern decides."""
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
