# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How large values may be that others write: what walks over them must end, and C code cannot be interrupted."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

#: The longest text, number (in bits), range and collection that others may make, with all that is in it.
LONGEST = 1 << 20

#: How deep collections may be nested. Python's own limit is 1000 calls, and C code crashes on deep ones.
DEEPEST = 100

#: The longest number, in bits: Python writes none of more than 4300 digits.
_LONGEST_NUMBER = 10000
#: The same in YAML, where it may be hexadecimal: what may hold one, and what is one unless it is quoted.
_MAY_BE_LONG = re.compile(r"[0-9a-fA-F_:]{1000}")
_LONG = re.compile(r"[-+]?[0-9][0-9a-fA-FxXbo_:]{1000,}\Z")

#: What can open a collection in YAML, other than an indentation.
_OPENERS = ("[", "{", "- ", "-\t", "? ", "?\t")

#: C code where PyYAML has it. Both read event by event, and so are not nested themselves.
_EVENTS = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: The marks that git leaves in a file.
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)


def has_conflict(text: str) -> bool:
    """Whether a text has the marks of a merge conflict."""
    return bool(_CONFLICT.search(text))


def room_after(value: Any, room: int, depth: int = DEEPEST) -> int:
    """What is left of some room after a value with all that is in it; negative where it is too large or too deep.

    Each part and each character needs a place. What is in several places counts in each of them, and nothing that is
    not evaluated yet is evaluated.
    """
    if isinstance(value, str):
        return room - len(value) - 1
    room -= 1
    if isinstance(value, int):
        return room - (value.bit_length() >> 3) if value.bit_length() <= _LONGEST_NUMBER else -1
    if not isinstance(value, (dict, list, tuple)):
        return room
    if not depth:
        return -1
    items = (part for pair in dict.items(value) for part in pair) if isinstance(value, dict) else _items(value)
    for item in items:
        room = room_after(item, room, depth - 1)
        if room < 0:
            break
    return room


def _items(value: list[Any] | tuple[Any, ...]) -> Any:
    return list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)


def yaml_problem(text: str) -> str:
    """Why a text of others in YAML or JSON is not read; empty if it may be. It may still have errors."""
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    openers = sum(map(text.count, _OPENERS))
    nested = openers >= DEEPEST or " " * DEEPEST in text or ("*" in text and "&" in text)
    if not nested and not _MAY_BE_LONG.search(text):
        return ""
    try:
        return _problem_of_events(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return _problem_of_json(text, f"it is not valid YAML: {error.problem}{line}")
    except yaml.YAMLError:
        return "it is not valid YAML"


def _problem_of_json(text: str, otherwise: str) -> str:
    """Why a text in JSON is not read, such as one with tabs, which YAML does not allow."""
    try:
        return "" if room_after(json.loads(text), LONGEST) >= 0 else f"it is nested deeper than {DEEPEST} levels"
    except (ValueError, RecursionError):
        return otherwise


def _problem_of_events(text: str) -> str:
    sizes: dict[str, int | None] = {}  # by anchor; None while it is open
    parents: list[tuple[int, str | None]] = []
    size = 0  # of what is open, as far as it was read
    for event in yaml.parse(str.__str__(text), Loader=_EVENTS):  # without Ansible's tags, which C code does not take
        if isinstance(event, yaml.CollectionStartEvent):
            parents.append((size, event.anchor))
            if len(parents) > DEEPEST:
                return f"it is nested deeper than {DEEPEST} levels"
            if event.anchor:
                sizes[event.anchor] = None
            size = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            before, anchor = parents.pop()
            if anchor:
                sizes[anchor] = size
            size += before
        elif isinstance(event, yaml.AliasEvent):
            found = sizes.get(str(event.anchor), 0)
            if found is None:
                return f"its alias *{event.anchor} stands for something that it is a part of"
            size += found
        elif isinstance(event, yaml.ScalarEvent):
            if event.implicit[0] and _LONG.match(event.value):
                return f"the number {event.value[:20]}… is longer than any that can be meant"
            if event.anchor:
                sizes[event.anchor] = len(event.value) + 1
            size += len(event.value) + 1
        if size > LONGEST:
            return f"its aliases stand for more than {LONGEST} characters and parts"
    return ""
