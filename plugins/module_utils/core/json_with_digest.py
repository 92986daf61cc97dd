# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON with its own digest, which reveals manual edits, or with a seal, which reveals forgery. Runs on the targets."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

#: Bytes of the longest sealed entry: an environment's owner decides how much of the machine's memory it takes.
_LONGEST = 8 << 20


def dump(value: Any) -> bytes:
    """Encode a value as JSON, equal values always alike. Raises ValueError for one that is nested too deeply."""
    try:
        return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def encode_with_digest(entry: dict[str, Any]) -> bytes:
    """Encode an entry together with its digest."""
    return dump(dict(entry, digest=hashlib.sha256(dump(entry)).hexdigest()))


def decode_with_digest(content: bytes, prefix: str = "") -> dict[str, Any]:
    """Decode an entry with its digest, which with ``prefix`` must belong to that environment.

    Raises ValueError, with the reason, for any other content.
    """
    entry = _decode(content)
    if prefix and entry.get("prefix") != prefix:
        raise ValueError("it belongs to %s" % entry.get("prefix"))
    if entry.pop("digest", "") != hashlib.sha256(dump(entry)).hexdigest():
        raise ValueError("it was edited by hand")
    return entry


def encode_sealed(entry: dict[str, Any], key: bytes) -> bytes:
    """Encode an entry with a seal that only who knows the machine's key can make."""
    return dump(dict(entry, seal=_seal(entry, key)))


def decode_sealed(content: bytes, key: bytes) -> dict[str, Any]:
    """Decode a sealed entry. Raises ValueError, with the reason, for any other content."""
    if len(content) > _LONGEST:
        raise ValueError("it is too long")
    entry = _decode(content)
    seal = entry.pop("seal", "")
    if not isinstance(seal, str) or not hmac.compare_digest(seal.encode(), _seal(entry, key).encode()):
        raise ValueError("it was not written by Bulkhead on this machine")
    return entry


def _seal(entry: dict[str, Any], key: bytes) -> str:
    # A key of its own: digests of files by the machine's key are shown, and what is digested there is the owner's.
    own = hmac.new(key, b"seal of a registry entry", "sha256").digest()
    return hmac.new(own, dump(entry), "sha256").hexdigest()


def _decode(content: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise ValueError("it cannot be read") from None
    if not isinstance(entry, dict):
        raise ValueError("it is not an entry")
    return entry
