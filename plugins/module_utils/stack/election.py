# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Managers that elect another leader give no answer for a while, and are asked again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ..swarm.api import SwarmError

_Answer = TypeVar("_Answer")

#: For how many seconds an election is waited for where nothing else sets a limit, and the pause between two questions.
ELECTION, _PAUSE = 60.0, 0.5


def asked_again(ask: Callable[[], _Answer], deadline: float) -> _Answer:
    """What managers answer before a moment of :func:`time.monotonic`. Raises SwarmError where they do not."""
    while True:
        try:
            return ask()
        except SwarmError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
