# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What root keeps of an environment's certificates: account, key, certificate and outcome. Runs on the targets.

All of it lies in a directory of root's, ``<state directory>/certificates/<prefix>/``: the environment's owner can read
what nginx reads, in the environment's own directory, and can change nothing here.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.json_with_digest import dump
from ..core.layout import ACME
from ..state.home import Home
from ..state.metrics import Metrics
from ..state.registry import state_directory
from .pem import dates

#: Where all environments' are, below the state directory.
FOLDER = "certificates"
#: In an environment's: what nginx serves with, which authority it is of, and how the last attempt ended.
LIVE, ABOUT, LAST = "live/certificate.pem", "about.json", "last.json"
#: In there while an authority wants to be asked no more.
HELD = "held.json"
#: In there too: what the client keeps, such as the account's key.
CLIENT = "client"
#: Where nginx reads it, below the environment's directory.
SERVED = "%s/certificate.pem" % ACME


class Store:
    """The certificates of one environment."""

    def __init__(self, prefix: str, state: str = "") -> None:
        self.prefix = prefix
        self._state = state
        self.folder = os.path.join(state_directory(state), FOLDER, prefix)
        self.tree = Tree(self.folder, private=True, inner=0o700)

    @property
    def live(self) -> str:
        """The directory of what nginx serves with."""
        return os.path.dirname(self.tree.path(LIVE))

    @property
    def accounts(self) -> str:
        """The directory of the accounts' keys."""
        return self.tree.path("%s/config/accounts" % CLIENT)

    def current(self) -> bytes:
        """The certificate with its key; empty if there is none."""
        return self.tree.read(LIVE) or b""

    def authority(self) -> str:
        """The address of the authority that the certificate is of; empty if nobody vouches for it."""
        return str(self._json(ABOUT).get("authority", ""))

    def keep(self, text: bytes, authority: str = "") -> None:
        """Keep a certificate with its key. An authority that issued one no longer wants to be left alone."""
        self.tree.unlink(HELD)
        self.tree.write(DesiredFile(ABOUT, dump({"authority": authority}), 0o600))
        self.tree.write(DesiredFile(LIVE, text, 0o600, sensitive=True))
        ends = dates(text.decode("ascii", "replace")).get("until")
        if ends:
            Metrics(self.prefix, self._state).note(bulkhead_certificate_expiry_timestamp_seconds=ends)

    def last(self) -> dict[str, Any]:
        """How the last attempt ended; empty if there was none."""
        return self._json(LAST)

    def note(self, message: str, succeeded: bool) -> None:
        """Keep how an attempt ended."""
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.tree.write(DesiredFile(LAST, dump({"began": began, "succeeded": succeeded, "message": message}), 0o600))

    def hold(self, request: dict[str, Any], message: str, now: float, until: float) -> None:
        """Keep that an authority is not to be asked for the same again for a while."""
        held = {"request": request, "message": message, "since": now, "until": until}
        self.tree.write(DesiredFile(HELD, dump(held), 0o600))

    def held(self, request: dict[str, Any], now: float) -> str:
        """Why an authority is not to be asked for this; empty if it may be. What was kept in the future is void: the
        clock was wrong then."""
        held = self._json(HELD)
        return str(held["message"]) if held.get("request") == request and held["since"] <= now < held["until"] else ""

    def remove(self) -> None:
        """Remove account, keys and certificates."""
        above, name = os.path.split(self.folder)
        Tree(above, private=True).remove_all(name)

    def place(self, home: Home) -> bool:
        """Put the certificate where nginx reads it. Returns whether it was not there."""
        wanted = served(self.current())
        if not home.differs(wanted):
            return False
        home.write(wanted)
        return True

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.tree.read(name) or b"{}").decode())
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def served(text: bytes) -> DesiredFile:
    """A certificate as a file for nginx, below a directory that only the environment's owner can enter."""
    return DesiredFile(SERVED, text, 0o644, sensitive=True)
