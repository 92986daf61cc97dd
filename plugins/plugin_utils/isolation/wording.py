# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words for people: how many, the first few of many, and whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.core import words

#: How many there are of something, as the machines word it too.
number = words.number
#: A number of bytes.
size = words.size
#: What could manipulate a terminal.
UNPRINTABLE = words.UNPRINTABLE

#: Names that one message gives before it counts the rest.
_NAMED = 3

#: Names, resources or places that one finding lists on the screen.
_LISTED = 4

#: Words that begin a message and are no name: that of a service or an environment keeps its own letter.
_BEGINNING = ("the ", "this ", "group ", "host ", "template ")

#: A word that begins advice, and not a variable or a path.
_VERB = re.compile(r"[a-z]+ ")

#: Advice that is nothing but a command.
_COMMAND = re.compile(r"(?:docker|ansible-[a-z]+|ALTER) ")

#: An end after which a full stop would be typed along: an option, or a command that is meant to be copied.
_COPIED = re.compile(r"(?:^|[:,] )(?:-\S+(?: [^\s(]+)*|ansible-\S+ .*|docker .*|ALTER .*)\Z")


def some(names: Sequence[str], separator: str = ", ", most: int = _LISTED) -> str:
    """The first few of many."""
    listed = separator.join(names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def listing(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 7 more``; each name once."""
    unique = list(dict.fromkeys(names))
    shown, hidden = unique[:_NAMED], len(unique) - _NAMED
    if hidden > 0:
        return f"{', '.join(shown)} and {hidden} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def sentence(text: str) -> str:
    """The text with a full stop, so that another sentence can follow."""
    return text if not text or text[-1] in ".!?…" or _COPIED.search(text) else f"{text}."


def message(text: str) -> str:
    """What a finding says, as a sentence."""
    return sentence(text[0].upper() + text[1:] if text.startswith(_BEGINNING) else text)


def advice(text: str) -> str:
    """How a finding is mended, as a sentence: it begins with a verb, or is a command to copy."""
    if _COMMAND.match(text):
        return text
    return sentence(text[0].upper() + text[1:] if _VERB.match(text) else text)


def in_words(value: Any) -> str:
    """What kind of value this is, in words for its user."""
    kinds = ((bool, "true or false"), ((int, float), "a number"), (Mapping, "a mapping"), ((list, tuple), "a list"))
    found = next((words for kind, words in kinds if isinstance(value, kind)), "text")
    return "empty" if value is None else found
