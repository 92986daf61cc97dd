# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What output must not show, and how it is hidden. Used on the controller and on the targets: both hide the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .env_file import escape, unescape

HIDDEN = "********"

#: Shorter secrets are part of ordinary words: hiding them would make every message unreadable.
_SHORTEST = 4

#: The same for texts that may not be secret at all.
_SHORTEST_POSSIBLE = 8


def texts_to_hide(secrets: Iterable[str], files: Iterable[str] = ()) -> list[str]:
    """The texts that :func:`mask` hides, the longest first.

    Tools print line by line and quote ``.env``, so each line of a secret and its escaped form count as well. ``files``
    hold secrets among other lines: they are hidden as a whole only.
    """
    known = set(secrets)
    texts = known | {line.strip() for secret in known for line in [secret, *secret.splitlines()]}
    texts |= {escape(text) for text in texts}
    texts |= {text for file in files for text in (file, file.strip())}
    return sorted((text for text in texts if len(text) >= _SHORTEST and text.strip()), key=len, reverse=True)


def possible_secrets(files: Iterable[str], shown: str) -> set[str]:
    """The texts that may be secrets where only ``files`` are known: their lines, and the values after ``=``.

    Texts that ``shown`` contains, such as that of files without secrets, do not count.
    """
    lines = {line.strip() for file in files for line in file.splitlines()}
    values = {line.partition("=")[2].strip("\"'") for line in lines}
    texts = lines | values | {unescape(value) for value in values}
    return {text for text in texts if len(text) >= _SHORTEST_POSSIBLE and text not in shown}


def mask(value: Any, texts: Sequence[str]) -> Any:
    """The same structure, with every one of the texts replaced. ``texts`` are those of :func:`texts_to_hide`."""
    if isinstance(value, str):
        for text in texts:
            value = value.replace(text, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: mask(item, texts) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item, texts) for item in value]
    return value
