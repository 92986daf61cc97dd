# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a backup and its files are called. Runs on the targets."""

from __future__ import annotations

import time
from collections.abc import Container
from typing import Any

from ..core.layout import DATABASE


def new_name(prefix: str, now: float, taken: Container[str]) -> str:
    """The prefix and the moment in UTC, ``aiia_prod-20260615T031500Z``; with a number where that name is taken."""
    stem = "%s-%s" % (prefix, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)))
    return next(name for name in (stem, *("%s-%d" % (stem, n) for n in range(2, 1000))) if name not in taken)


def file_of(part: dict[str, Any]) -> str:
    """The file of a part: ``<part>.dump`` for a database, ``<part>.tar`` for files."""
    return "%s.%s" % (part["name"], "dump" if part["kind"] == DATABASE else "tar")
