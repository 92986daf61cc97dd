# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read ``redis.conf`` and ACL files: one directive per line, with Redis's quoting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..model import Where

_WORD = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(\S+)")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}


@dataclass(frozen=True, slots=True)
class RedisDirective:
    """A directive: its name in lower case, and its arguments."""

    name: str
    args: tuple[str, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """A configuration file. A later directive overrides an earlier one, except ``save`` and ``user``, which add up."""

    directives: tuple[RedisDirective, ...]

    def get(self, name: str, default: str = "") -> str:
        """The arguments of the last directive with this name, joined by spaces."""
        named = list(self.all(name))
        return " ".join(named[-1].args) if named else default

    def all(self, name: str) -> Iterator[RedisDirective]:
        """All directives with this name."""
        return (directive for directive in self.directives if directive.name == name)


def read_redis(text: str, path: str = "") -> RedisConfig:
    """Read a configuration or ACL file."""
    directives = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = [_unquoted(match) for match in _WORD.finditer(line)]
        directives.append(RedisDirective(words[0].lower(), tuple(words[1:]), Where(path, number, words[0])))
    return RedisConfig(tuple(directives))


def _unquoted(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _ESCAPE.sub(lambda hit: chr(int(hit[1], 16)) if hit[1] else _CONTROL.get(hit[2], hit[2]), match[1])
    return match[2].replace("\\'", "'") if match[2] is not None else match[3]
