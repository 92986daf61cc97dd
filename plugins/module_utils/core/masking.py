# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hide secrets in what is shown. Used on the controller and on the targets, so that both hide the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

HIDDEN = "********"

#: Shorter texts stand in ordinary words as well: hiding them would make every message unreadable.
_SHORTEST = 4


def texts_to_hide(secrets: Iterable[str], files: Iterable[str] = ()) -> list[str]:
    """The texts that :func:`mask` hides, the longest first.

    Tools print line by line, so each line of a secret counts as well. ``files`` hold secrets among other lines: they
    are hidden as a whole only.
    """
    texts = {*secrets, *files}
    texts |= {line.strip() for secret in secrets for line in [secret, *secret.splitlines()]}
    return sorted((text for text in texts if len(text) >= _SHORTEST and text.strip()), key=len, reverse=True)


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
