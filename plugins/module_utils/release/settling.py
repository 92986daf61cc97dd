# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long to wait where requests are sent another way. Runs on the targets.

A request is sent at once or, where nginx asks the engine for the name first, after its answer. Only then does a
container have a connection that can be seen and waited for.
"""

from __future__ import annotations

import time

from ..docker.engine import Engine

#: Seconds in which a request that was sent the old way has reached its container.
SETTLING = 0.5

#: Seconds for which nginx remembers the address of a name (``resolver … valid=1s``).
_REMEMBERED = 1.0

#: Seconds in which nginx has had an answer from an engine that was down: it repeats its query after five
#: (``resend_timeout`` in its ngx_resolver.c).
_ASKED_AGAIN = 6.0


class Settling:
    """The waits of one run. A way is the name by which nginx finds a container."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._left: dict[str, float] = {}

    def before(self, way: str) -> None:
        """Wait until nginx has forgotten which address a way had when requests last went there: another container may
        have the name now."""
        forgotten = self._left.get(way, self._engine.began) + _REMEMBERED
        time.sleep(max(0.0, forgotten - time.monotonic()))

    def after(self, way: str = "") -> None:
        """Wait until requests that were sent a way, which is no longer taken, have reached their container."""
        since = time.monotonic() - self._engine.lost
        time.sleep(max(SETTLING, _ASKED_AGAIN - since))
        self._left[way] = time.monotonic()
