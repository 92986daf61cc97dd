# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Dockerfile says that concerns the engine: the images that it starts from, and its frontend. Pure.

BuildKit reads the file for the build. A reference that is missed here is one that the engine looks for in a registry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?\s*\Z", re.IGNORECASE)
_ARG = re.compile(r"ARG\s+(?P<rest>.+)", re.IGNORECASE)
_COPIED = re.compile(r"(?:--from=|\bfrom=)(?P<image>[^\s,\"']+)")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<kind>[-+])(?P<word>[^}]*))?\})")
_SYNTAX = re.compile(r"[^\w]*syntax\W*[=:]", re.IGNORECASE)


def images_of(text: str, arguments: Mapping[str, str]) -> list[str]:
    """The images of a Dockerfile's FROM, ``COPY --from`` and mounts, with the build's arguments put in."""
    lines = re.sub(r"[\\`][ \t]*\n", " ", text.replace("\r\n", "\n")).splitlines()
    values: dict[str, str] = {}
    stages: set[str] = set()
    images: dict[str, None] = {}
    for line in (line.strip() for line in lines):
        declared, start = _ARG.match(line), _FROM.match(line)
        if declared and not stages:
            for word in declared.group("rest").split():
                name, _equals, default = word.partition("=")
                values[name] = arguments.get(name, expanded(default.strip("\"'"), values))
        found = [start.group("image")] if start else []
        found += [match.group("image") for match in _COPIED.finditer(line)]
        for image in (expanded(name, values) for name in found):
            if image and image.lower() not in stages | {"scratch"} and not image.isdigit():
                images[image] = None
        if start:
            stages.add((start.group("stage") or "from %d" % len(stages)).lower())
    return list(images)


def expanded(text: str, values: Mapping[str, str]) -> str:
    """A text with ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:+value}`` replaced."""

    def value(match: re.Match[str]) -> str:
        known = values.get(match.group("plain") or match.group("name"), "")
        if match.group("kind") == "-":
            return known or match.group("word")
        if match.group("kind") == "+":
            return match.group("word") if known else ""
        return known

    return _VARIABLE.sub(value, text)


def frontend(text: str) -> str:
    """The line by which a Dockerfile chooses another frontend; empty if none could be taken for one."""
    return next((line.strip() for line in text.lstrip("\ufeff").splitlines() if _SYNTAX.match(line)), "")
