# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases: one deployment of an environment at a time. Runs on the targets.

A lease expires, so a killed controller does not block others for long; long steps renew it. The short lock of the
whole machine is a file lock of the running module, which the kernel releases when the module ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.errors import Failure
from .format import current_lease_path, refuse_newer, refuse_older

#: Seconds until a lease expires, and seconds between renewals during a long step.
LEASE = 120
RENEWAL = 30

_POLL = 1.0

_BUSY = (
    "%s is locked by %s. Wait for it or raise bulkhead_lock_wait. If that run is certainly dead, set "
    "bulkhead_lock_takeover: true"
)


class LockError(Failure):
    """Another run holds the environment's lock, or took it over."""

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "busy": True}


class Locks:
    """The leases in ``<state directory>/locks/``, changed only under the machine's lock; see ``format.py``."""

    def __init__(
        self, directory: str, now: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.directory = directory
        self._tree = Tree(directory, private=True, inner=0o700)
        self._now = now
        self._sleep = sleep

    def held(self) -> dict[str, dict[str, Any]]:
        """The leases in force by prefix, without the tokens that would let others use them."""
        return {
            prefix: {key: lease[key] for key in ("owner", "since", "expires")}
            for prefix, lease in self._all()
            if self._holds(lease)
        }

    def last(self) -> dict[str, float]:
        """When each environment's lock was last taken: this reveals deployments that began and ended in between."""
        return {prefix: lease["since"] for prefix, lease in self._all()}

    def _all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in self._tree.names("locks"):
            lease = self._read(name[:-5]) if name.endswith(".json") else None
            if lease:
                yield name[:-5], lease

    def _holds(self, lease: dict[str, Any]) -> bool:
        """Whether a lease is in force. One that expires later than any lease can was written under another clock."""
        return bool(lease["token"]) and 0 < lease["expires"] - self._now() <= LEASE

    @contextlib.contextmanager
    def machine(self) -> Iterator[None]:
        """Hold the lock of the whole machine, for a few file operations. No other user can open it, and so block it."""
        with self._tree.locked(os.path.join("locks", "machine")):
            yield

    def take(self, prefix: str, token: str, owner: str, wait: float, takeover: bool = False) -> str:
        """Take the lease of an environment, waiting up to ``wait`` seconds.

        Returns a note if the previous lease had expired or was taken over, else an empty string. Raises LockError if
        another run still holds it then.
        """
        deadline = self._now() + wait
        while True:
            with self.machine():
                refuse_newer(self.directory, prefix)
                lease = self._read(prefix)
                if not lease or lease["token"] == token or takeover or not self._holds(lease):
                    now = self._now()
                    self._write(prefix, {"token": token, "owner": owner, "since": now, "expires": now + LEASE})
                    return self._note(lease, token)
                holder = self.describe(lease)
            if self._now() >= deadline:
                raise LockError(_BUSY % (prefix, holder))
            self._sleep(_POLL)

    def refuse_older(self, prefix: str) -> None:
        """Keep older versions from an environment whose state this version has written."""
        with self.machine():
            refuse_older(self.directory, prefix)

    def renew(self, prefix: str, token: str) -> None:
        """Extend the lease. Raises LockError if it was lost."""
        with self.machine():
            lease = self._read(prefix)
            if not lease or lease["token"] != token:
                held = lease and self._holds(lease) and self.describe(lease)
                now = "is now held by %s" % held if held else "is no longer held"
                raise LockError("the lock of %s was lost and %s. Run this again" % (prefix, now))
            lease["expires"] = self._now() + LEASE
            self._write(prefix, lease)

    def release(self, prefix: str, token: str) -> None:
        """Give the lease back; its owner and time stay on record. Another run's lease is left alone."""
        with self.machine():
            lease = self._read(prefix)
            if lease and lease["token"] == token:
                self._write(prefix, dict(lease, token="", expires=0.0))

    @contextlib.contextmanager
    def keep_alive(self, prefix: str, token: str) -> Iterator[None]:
        """Renew the lease while a long step runs; with an empty token there is none to renew.

        Raises LockError before the step if the lease is lost already, and after it if it was lost meanwhile.
        """
        if not token:
            yield
            return
        self.renew(prefix, token)
        done = threading.Event()
        lost: list[LockError] = []

        def beat() -> None:
            while not done.wait(RENEWAL):
                try:
                    self.renew(prefix, token)
                except LockError as error:
                    lost.append(error)
                    return
                except Failure:  # a full disk, for example: the lease outlasts several renewals
                    continue

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        if lost:
            raise lost[0]

    def describe(self, lease: dict[str, Any]) -> str:
        """Who holds a lease, since when, and when it expires."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(lease["since"]))
        age = max(0, int(self._now() - lease["since"]))
        left = max(0, int(lease["expires"] - self._now()))
        return "%s since %s (%d s ago; the lock expires in %d s unless renewed)" % (lease["owner"], since, age, left)

    def _note(self, lease: dict[str, Any] | None, token: str) -> str:
        if not lease or lease["token"] in ("", token):
            return ""
        if self._holds(lease):
            return "the lock held by %s was taken over (bulkhead_lock_takeover)" % self.describe(lease)
        return "the lock of %s had expired: that run did not finish" % lease["owner"]

    def _path(self, prefix: str) -> str:
        if not re.match(r"[a-z][a-z0-9_-]*\Z", prefix):
            raise LockError("%r is not a valid prefix" % prefix)
        return current_lease_path(self.directory, prefix)

    def _read(self, prefix: str) -> dict[str, Any] | None:
        try:
            lease = json.loads((self._tree.read(self._path(prefix)) or b"").decode())
            texts, times = (lease["token"], lease["owner"]), (lease["since"], lease["expires"])
        except (ValueError, TypeError, KeyError):
            return None
        valid = all(isinstance(text, str) for text in texts) and all(isinstance(at, (int, float)) for at in times)
        return lease if valid else None

    def _write(self, prefix: str, lease: dict[str, Any]) -> None:
        self._tree.write(DesiredFile(self._path(prefix), json.dumps(lease).encode(), 0o600))
