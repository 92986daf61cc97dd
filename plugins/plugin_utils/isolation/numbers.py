# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers that others wrote as text."""

from __future__ import annotations

#: More digits than any number has that means something to a program. Python refuses to read more than 4300.
_MOST = 30


def number_of(digits: str) -> int:
    """The number that decimal digits stand for; for very many, one that is beyond every limit as well."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST else 10**_MOST
