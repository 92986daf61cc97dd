# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that carry their own digest, by which it is seen when somebody edited them. Runs on the targets."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def dump(value: Any) -> bytes:
    """A value as JSON that is always the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def seal(entry: dict[str, Any]) -> bytes:
    """An entry with its own digest."""
    return dump(dict(entry, digest=hashlib.sha256(dump(entry)).hexdigest()))


def unseal(content: bytes, prefix: str = "") -> dict[str, Any]:
    """The entry that was sealed; with ``prefix``, one about that environment.

    Raises ValueError, with the reason, for any other content.
    """
    try:
        entry = json.loads(content.decode())
    except ValueError:
        raise ValueError("it cannot be read") from None
    if not isinstance(entry, dict):
        raise ValueError("it is no entry")
    if prefix and entry.get("prefix") != prefix:
        raise ValueError("it is about %s" % entry.get("prefix"))
    if entry.pop("digest", "") != hashlib.sha256(dump(entry)).hexdigest():
        raise ValueError("it was edited by hand")
    return entry
