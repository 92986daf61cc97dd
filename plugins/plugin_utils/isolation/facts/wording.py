# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Helpers for the wording of findings."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..model import Environment

_PRODUCTION = frozenset({"prod", "production", "live", "main", "prd"})
_BREAK = re.compile(r"[^a-z0-9]+")

#: The most names that a message lists; the rest is counted.
_NAMED = 3


def is_production(environment: Environment) -> bool:
    """Whether an environment is production: protected, or named so (``prod``, ``prod_eu``; not ``preprod``)."""
    name = environment.name or environment.prefix
    return environment.protected or not _PRODUCTION.isdisjoint(_BREAK.split(name.lower()))


def listing(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 7 more``; each name once."""
    unique = list(dict.fromkeys(names))
    shown, hidden = unique[:_NAMED], len(unique) - _NAMED
    if hidden > 0:
        return f"{', '.join(shown)} and {hidden} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
