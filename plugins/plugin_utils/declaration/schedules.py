# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schedules: one word of the user's, staggered so that environments do not all start at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

_EVERY = re.compile(r"(\d{1,2})h\Z")
_AT = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")

#: The night, first minute and length in minutes, over which ``daily`` and ``weekly`` are spread.
_NIGHT = (60, 240)


@dataclass(frozen=True, slots=True)
class Times:
    """One minute of some hours, every day or on Sundays."""

    minute: int
    hours: tuple[int, ...]
    weekly: bool = False

    @property
    def cron(self) -> str:
        """The first five fields of a crontab line."""
        hours = "*" if len(self.hours) == 24 else ",".join(map(str, self.hours))
        return f"{self.minute} {hours} * * {'0' if self.weekly else '*'}"

    @property
    def calendar(self) -> str:
        """The same as a systemd timer's ``OnCalendar``."""
        hours = "*" if len(self.hours) == 24 else ",".join(f"{hour:02}" for hour in self.hours)
        return f"{'Sun ' if self.weekly else ''}*-*-* {hours}:{self.minute:02}:00"


def times(text: str, prefix: str) -> Times:
    """Resolve ``hourly``, ``6h``, ``daily``, ``weekly`` or ``03:30`` for an environment.

    Each prefix shifts the minute, always by the same amount. Raises ValueError for any other text.
    """
    spread = int.from_bytes(sha256(prefix.encode()).digest()[:8], "big")
    every = _EVERY.match("1h" if text == "hourly" else text)
    if every and int(every[1]) in (1, 2, 3, 4, 6, 8, 12):
        step = int(every[1])
        return Times(spread % 60, tuple(range(spread // 60 % step, 24, step)))
    at = _AT.match(text)
    if at:
        return _daily(int(at[1]) * 60 + int(at[2]) + spread % 60)
    if text in ("daily", "weekly"):
        begin, length = _NIGHT
        return _daily(begin + spread % length, text == "weekly")
    raise ValueError(
        f"{text!r} is not a schedule: use hourly, 2h, 3h, 4h, 6h, 8h, 12h, daily, weekly, or a time such as 03:30"
    )


def _daily(minute: int, weekly: bool = False) -> Times:
    return Times(minute % 60, (minute // 60 % 24,), weekly)
