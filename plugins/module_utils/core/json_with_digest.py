# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON that contains its own digest, which reveals manual edits. Runs on the targets."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def dump(value: Any) -> bytes:
    """Encode a value as JSON, equal values always alike."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def encode_with_digest(entry: dict[str, Any]) -> bytes:
    """Encode an entry together with its digest."""
    return dump(dict(entry, digest=hashlib.sha256(dump(entry)).hexdigest()))


def decode_with_digest(content: bytes, prefix: str = "") -> dict[str, Any]:
    """Decode an entry with its digest, which with ``prefix`` must belong to that environment.

    Raises ValueError, with the reason, for any other content.
    """
    try:
        entry = json.loads(content.decode())
    except ValueError:
        raise ValueError("it cannot be read") from None
    if not isinstance(entry, dict):
        raise ValueError("it is not an entry")
    if prefix and entry.get("prefix") != prefix:
        raise ValueError("it belongs to %s" % entry.get("prefix"))

    if entry.pop("digest", "") != hashlib.sha256(dump(entry)).hexdigest():
        raise ValueError("it was edited by hand")
    return entry
