# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which environments are production."""

from __future__ import annotations

import re

from ..model import Environment

_PRODUCTION = frozenset({"prod", "production", "live", "main", "prd"})
_BREAK = re.compile(r"[^a-z0-9]+")


def is_production(environment: Environment) -> bool:
    """Whether an environment is production: protected, or named so (``prod``, ``prod_eu``; not ``preprod``)."""
    name = environment.name or environment.prefix
    return environment.protected or not _PRODUCTION.isdisjoint(_BREAK.split(name.lower()))
