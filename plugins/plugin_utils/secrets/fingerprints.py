# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of secrets: equality of two environments' secrets, decided without decrypting either.

A fingerprint is a salted scrypt digest. The salt is one for the inventory, or nothing could be compared. Whoever reads
the inventory learns which secrets are equal, and can test a guess of a value at the price of one scrypt; so only
values that nobody can guess have one.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import zlib
from collections.abc import Mapping
from itertools import pairwise

from ..isolation.readers.fingerprints import RECORD

#: How a digest is made: N, r and p of scrypt.
SCHEME = "scrypt-16384-8-1"

#: The bits from which on a secret cannot be guessed.
STRONG = 128

_SALT = re.compile(r"[0-9a-f]{32}\Z")
_ALPHABETS = (
    (re.compile(r"[0-9]*\Z"), 10),
    (re.compile(r"[0-9a-f]*\Z|[0-9A-F]*\Z"), 16),
    (re.compile(r"[a-z]*\Z|[A-Z]*\Z"), 26),
    (re.compile(r"[a-z0-9]*\Z|[A-Z0-9]*\Z"), 36),
    (re.compile(r"[A-Za-z0-9]*\Z"), 62),
)
_WORDS = re.compile(r"[A-Z]?[a-z]+(?:[ ._-]+[A-Z]?[a-z]+)+[.!?]?\Z")

_HEADING = """\
# Fingerprints of the secrets in vault.yml, written by aiia.bulkhead.secrets. Commit this file: with it the plan proves
# that no other environment has one of these secrets, without decrypting anything. docs/secrets.md says what it tells.
---
"""


def new_salt() -> str:
    """A salt for an inventory that has none."""
    return secrets.token_hex(16)


def is_salt(salt: str) -> bool:
    """Whether a text is a salt of ours."""
    return bool(_SALT.match(salt))


def digest(value: str, salt: str) -> str:
    """The fingerprint of a value; about 50 ms."""
    text, seasoning = value.encode("utf-8", "surrogatepass"), bytes.fromhex(salt)
    return hashlib.scrypt(text, salt=seasoning, n=16384, r=8, p=1, maxmem=64 << 20, dklen=16).hex()


def bits(value: str) -> int:
    """About how many bits a value has, at most: those of characters chosen at random; a word counts 12."""
    if "PRIVATE KEY-----" in value:
        return 256
    if _WORDS.match(value):
        return 12 * len(re.findall(r"[A-Za-z]+", value))
    size = next((count for pattern, count in _ALPHABETS if pattern.match(value)), 94)
    steps = [ord(now) - ord(before) for before, now in pairwise(value)]
    # aaaa and 1234 add nothing; in random text two equal steps are a coincidence.
    idle = sum(1 for before, now in pairwise(steps) if before == now and abs(now) < 2)
    length = len(value) - (idle if idle * 5 > len(value) else 0)
    packed = 8 * len(zlib.compress(value.encode("utf-8", "surrogatepass"), 9))
    return int(min(length * math.log2(size), packed))


def is_fingerprinted(name: str, value: str) -> bool:
    """Whether a secret has a fingerprint: it is hard to guess, not public, and not an address."""
    public = "PUBLIC" in name.upper() or "-----BEGIN PUBLIC KEY" in value
    return not public and "://" not in value and bits(value) >= STRONG


def fingerprints(values: Mapping[str, str], salt: str) -> dict[str, str]:
    """The fingerprints of an environment's secrets, by name."""
    return {name: digest(value, salt) for name, value in values.items() if is_fingerprinted(name, value)}


def record(found: Mapping[str, str], salt: str) -> dict[str, object]:
    """The value of the variable that holds fingerprints."""
    return {"scheme": SCHEME, "salt": salt, "secrets": dict(sorted(found.items()))}


def written(found: Mapping[str, str], salt: str) -> str:
    """The text of a fingerprints file."""
    lines = [f"{RECORD}:", f"  scheme: {SCHEME}", f'  salt: "{salt}"', "  secrets:" + ("" if found else " {}")]
    return _HEADING + "\n".join([*lines, *(f'    {name}: "{found[name]}"' for name in sorted(found)), ""])
