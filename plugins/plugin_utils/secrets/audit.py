# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the secrets of one environment, each by its name: no message has a value."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ..isolation.model import Severity
from ..isolation.readers.fingerprints import is_placeholder, use_of
from ..isolation.wording import listing
from .fingerprints import STRONG, bits

#: A key of a payment provider's test mode.
_TEST_KEY = re.compile(r"(?:sk|rk|pk)_test_")

#: Names of secrets that carry an identity, not something that must be hard to guess.
_NO_SECRET = re.compile(r"(?:_USER|_USERNAME|_ID|_NAME|_EMAIL|_HOST|_PORT)\Z", re.IGNORECASE)

#: A placeholder as a whole value: documentation's and the guide's own.
_WORDS = frozenset(
    """changeme change-me change_me secret password passwd postgres redis admin root test example placeholder todo
    default insecure""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Weakness:
    """Something wrong with one secret, or with several that are one value."""

    rule: str
    severity: Severity
    name: str
    message: str
    fix: str


def weaknesses(
    values: Mapping[str, str], plain: Collection[str] = (), protected: bool = False, names: Collection[str] = ()
) -> Iterator[Weakness]:
    """Yield what is wrong with an environment's secrets. ``plain`` are the names of those that are not encrypted,
    ``names`` what the environment is called."""
    same: dict[str, list[str]] = {}
    for name, value in values.items():
        if not value:
            continue
        if name in plain:
            yield Weakness(
                "plain-secret",
                Severity.LOW,
                name,
                f"{name} is not encrypted: everybody who can read the inventory, and its history, has it",
                f"move it to the environment's vault.yml with -e bulkhead_secret=set -e bulkhead_secret_name={name}, "
                "and give it a new value",
            )
        yield from _easily_guessed(name, value, names)
        if protected and _TEST_KEY.match(value):
            yield Weakness(
                "test-key",
                Severity.MEDIUM,
                name,
                f"{name} is a key of its provider's test mode, but the environment is protected: no real payment would "
                "be made",
                f"set the live key: -e bulkhead_secret=set -e bulkhead_secret_name={name}",
            )
        same.setdefault(value, []).append(name)
    for found in same.values():
        if len(found) > 1:
            yield Weakness(
                "reused-secret",
                Severity.LOW,
                found[0],
                f"{listing(found)} have one value: whoever learns one of them has the others, and none can be replaced "
                "alone",
                _rotate(found[-1]),
            )


def _easily_guessed(name: str, value: str, names: Collection[str]) -> Iterator[Weakness]:
    known = value.lower() in _WORDS or value.startswith("django-insecure")
    if known or (is_placeholder(value) and 8 <= len(value) < 200 and bits(value) < STRONG):
        yield Weakness(
            "placeholder-secret",
            Severity.HIGH,
            name,
            f"{name} is a placeholder from an example, which everybody knows",
            _rotate(name),
        )
    elif value in names and use_of(name):
        yield Weakness(
            "placeholder-secret",
            Severity.HIGH,
            name,
            f"{name} is what the environment itself is called, which is the first guess",
            _rotate(name),
        )
    elif bits(value) < STRONG and "PUBLIC" not in name and not _NO_SECRET.search(name) and "://" not in value:
        yield Weakness(
            "weak-secret",
            Severity.LOW,
            name,
            f"{name} is short or easy to guess, so it has no fingerprint and cannot be compared with other "
            "environments' secrets",
            _rotate(name),
        )


def _rotate(name: str) -> str:
    verbs = f"-e bulkhead_secret=rotate -e bulkhead_secret_name={name}"
    return f"replace it: {verbs} (set, where another service issued it)"
