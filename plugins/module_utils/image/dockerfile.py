# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Dockerfile says that concerns the engine: the images that it starts from, and its frontend. Pure.

BuildKit reads the file for the build. In an engine of the environment's own, a reference that is missed here is one
that the engine looks for in a registry. In an engine that environments share it would be found: there only what
:func:`unclear` has no doubt about is built. Source of the rules: BuildKit's parser of Dockerfiles.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping

_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?\s*\Z", re.IGNORECASE)
_ARG = re.compile(r"ARG\s+(?P<rest>.+)", re.IGNORECASE)
_COPIED = re.compile(r"(?:--from=|\bfrom=)(?P<image>[^\s,\"']+)")
_CONTINUED = re.compile(r"[\\`][ \t]*\Z")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<kind>[-+])(?P<word>[^}]*))?\})")
_SYNTAX = re.compile(r"[^\w]*syntax\W*[=:]", re.IGNORECASE)
#: The frontend that Docker maintains, which keeps to what the engine allows.
_DOCKERS_OWN = re.compile(r"# ?syntax ?= ?(?:docker\.io/)?docker/dockerfile(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?\s*\Z")

_PLAIN_FROM = re.compile(r"FROM(?: +--platform=[\w./-]+)? +[\w./:@-]+(?: +AS +[\w.-]+)? *\Z", re.IGNORECASE)
_PLAIN_FLAG = re.compile(r"--[a-z-]+(?:=[\w./:@,=+-]*)?\Z")
_FLAGGED = ("ADD", "COPY", "RUN")
_REMOTE = re.compile(r"://|^git@|\.git(?:#|\Z)")


def images_of(text: str, arguments: Mapping[str, str]) -> list[str]:
    """The images of a Dockerfile's FROM, ``COPY --from`` and mounts, with the build's arguments put in."""
    values: dict[str, str] = {}
    stages: set[str] = set()
    images: dict[str, None] = {}
    for line in _instructions(text):
        declared, start = _ARG.match(line), _FROM.match(line)
        if declared and not stages:
            for name, default in _declared(declared.group("rest")):
                values[name] = arguments.get(name, expanded(default, values))
        found = [start.group("image")] if start else []
        found += [match.group("image") for match in _COPIED.finditer(line)]
        for image in (expanded(name, values) for name in found):
            if image and image.lower() not in stages | {"scratch"} and not image.isdigit():
                images[image] = None
        if start:
            stages.add((start.group("stage") or "from %d" % len(stages)).lower())
    return list(images)


def _declared(rest: str) -> Iterator[tuple[str, str]]:
    """The arguments that an ARG declares, with their defaults as they are written, without quotes."""
    for word in rest.split():
        name, _equals, default = word.partition("=")
        yield name, default.strip("\"'")


def _instructions(text: str) -> Iterator[str]:
    """The instructions of a Dockerfile, each on one line. A comment does not go on in the next line, and ends none."""
    begun = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.lstrip().startswith("#") or (begun and not line.strip()):
            continue
        goes_on = _CONTINUED.search(line)
        begun += line[: goes_on.start()] if goes_on else line
        if not goes_on:
            yield begun.strip()
            begun = ""
    yield begun.strip()


def unclear(text: str, arguments: Mapping[str, str]) -> str:
    """What of a Dockerfile could be read in another way by BuildKit than here; empty if nothing could."""
    if any(not sign.isprintable() and sign not in "\t\r\n" for sign in text):
        return "it has control characters"
    if not re.match(r"\s*(?:#|[A-Za-z])", text):
        return "it begins with neither a comment nor an instruction"
    if re.search(r"^\s*#\s*escape\s*=", text, re.IGNORECASE | re.MULTILINE):
        return "it chooses an escape character"
    if re.search(r"<<-?[\"']?\w", text):
        return "it has a here-document (<<), which hides what is an instruction"
    values = {}
    for line in _instructions(text):
        line = re.sub(r"(?:ONBUILD\s+)+", "", line, flags=re.IGNORECASE)
        words = line.split()
        name = words[0].upper() if words else ""
        declared = _ARG.match(line)
        if declared:
            # A default of other arguments stays as it is: what is made of it is not plain.
            values.update({key: arguments.get(key, default) for key, default in _declared(declared.group("rest"))})
        if name.startswith("FROM"):
            # What is given in an argument is written out; of any other form, BuildKit may make another name.
            plain = _VARIABLE.sub(lambda found: _known(found, values), line)
            if not _PLAIN_FROM.match(" ".join(plain.split())):
                return "%r is not FROM image AS stage in plain words" % line[:80]
        if name in _FLAGGED:
            flags = list(itertools.takewhile(lambda word: word.startswith("-"), words[1:]))
            odd = [flag for flag in flags if not _PLAIN_FLAG.match(flag)]
            if odd:
                return "the flag %r has quotes, variables or capital letters" % odd[0][:80]
            if name == "ADD" and any(_REMOTE.search(word) for word in words[1 + len(flags) :]):
                return "%r adds what the engine itself would fetch, also from the machine's own addresses" % line[:80]
    return ""


def _known(found: re.Match[str], values: Mapping[str, str]) -> str:
    """The value of a plain variable; itself, for one of which BuildKit may make something else."""
    name = found.group("plain") or found.group("name")
    return values.get(name, found.group()) if not found.group("kind") else found.group()


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
    """The line by which a Dockerfile chooses another frontend; empty if none could be taken for one.

    That of a JSON document is its first line.
    """
    lines = re.split(r"[\n\r]", text.lstrip("\ufeff"))
    if not re.match(r"\s*(?:#|[A-Za-z]|\Z)", lines[0]) and "syntax" not in lines[0].lower():
        with contextlib.suppress(ValueError):
            json.loads(text)
            return lines[0].strip() or "{"
    return next((line.strip() for line in lines if _SYNTAX.match(line)), "")


def foreign_frontend(text: str) -> str:
    """The line by which a Dockerfile chooses another frontend than Docker's own; empty if it chooses none."""
    line = frontend(text)
    return "" if _DOCKERS_OWN.match(line) else line
