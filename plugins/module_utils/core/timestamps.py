# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timestamps as the engine writes them: in UTC or with the machine's offset, to the nanosecond. Runs on the targets."""

from __future__ import annotations

import calendar
import re
import time

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))?\Z")


def seconds(timestamp: str) -> float:
    """Parse a timestamp into seconds since the epoch. Raises ValueError if it is not one."""
    match = _TIMESTAMP.match(timestamp)
    if not match:
        raise ValueError("not a timestamp: %r" % timestamp)
    whole, fraction, sign, hours, minutes = match.groups()
    offset = (int(hours) * 60 + int(minutes)) * 60 if sign else 0
    number = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(fraction or 0)
    return number + offset if sign == "-" else number - offset


def text(moment: float) -> str:
    """Format seconds since the epoch for display: in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
