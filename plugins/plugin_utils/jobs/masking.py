# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hide secrets in what comes back from a host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HIDDEN = "********"


def mask(value: Any, secrets: Sequence[str]) -> Any:
    """The same structure with every secret text replaced. ``secrets`` are sorted, the longest first."""
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: mask(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item, secrets) for item in value]
    return value
