# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deployment of an environment at a time: a lease on the machine. Runs on the targets.

A lease ends by itself, so a killed controller blocks nobody for long; long steps renew it. The short lock of the whole
machine is a file lock of the running module, which the kernel lets go when the module ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..core.directory import Tree, Wanted, read
from ..core.errors import Failure

#: Seconds that a lease holds without being renewed, and how often a long step renews it.
LEASE = 120
RENEWAL = 30

_POLL = 1.0

_BUSY = (
    "%s is locked by %s. Wait for it, raise bulkhead_lock_wait, or, if that run is dead for sure, set "
    "bulkhead_lock_takeover: true"
)


class LockError(Failure):
    """Somebody else deploys this environment, or took the lock over."""

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "busy": True}


class Locks:
    """``<state directory>/locks/<prefix>.json``, changed only under the machine's lock."""

    def __init__(
        self, directory: str, now: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.directory = directory
        self._tree = Tree(directory)
        self._now = now
        self._sleep = sleep

    def held(self) -> dict[str, dict[str, Any]]:
        """The leases that hold now, by prefix, without what would let others use them."""
        return {
            prefix: {key: lease[key] for key in ("owner", "since", "expires")}
            for prefix, lease in self._all()
            if self._holds(lease)
        }

    def last(self) -> dict[str, float]:
        """When each environment's lock was last taken: how a deployment is seen that began and ended in between."""
        return {prefix: lease["since"] for prefix, lease in self._all()}

    def _all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        root = os.path.join(self.directory, "locks")
        for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
            lease = self._read(name[:-5]) if name.endswith(".json") else None
            if lease:
                yield name[:-5], lease

    def _holds(self, lease: dict[str, Any]) -> bool:
        """Whether a lease holds now. One that ends later than any lease can was written under another clock."""
        return bool(lease["token"]) and 0 < lease["expires"] - self._now() <= LEASE

    @contextlib.contextmanager
    def machine(self) -> Iterator[None]:
        """The lock of the whole machine, for the length of a few file operations."""
        self._tree.make_directory("locks")
        with open(os.path.join(self.directory, "locks", "machine"), "w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def take(self, prefix: str, token: str, owner: str, wait: float, takeover: bool = False) -> str:
        """Take the lease of an environment, waiting up to ``wait`` seconds.

        Returns what there is to tell: a lease that had expired, or that was taken over on purpose. Raises LockError
        when somebody else holds it for longer.
        """
        deadline = self._now() + wait
        while True:
            with self.machine():
                lease = self._read(prefix)
                if not lease or lease["token"] == token or takeover or not self._holds(lease):
                    now = self._now()
                    self._write(prefix, {"token": token, "owner": owner, "since": now, "expires": now + LEASE})
                    return self._note(lease, token)
                holder = self.describe(lease)
            if self._now() >= deadline:
                raise LockError(_BUSY % (prefix, holder))
            self._sleep(_POLL)

    def renew(self, prefix: str, token: str) -> None:
        """Hold the lease for longer. Raises LockError when somebody else has it now."""
        with self.machine():
            lease = self._read(prefix)
            if not lease or lease["token"] != token:
                holder = self.describe(lease) if lease and self._holds(lease) else "nobody"
                raise LockError("the lock of %s was lost: it is held by %s now. Run this again" % (prefix, holder))
            lease["expires"] = self._now() + LEASE
            self._write(prefix, lease)

    def release(self, prefix: str, token: str) -> None:
        """Give the lease back; who had it, and when, stays. One that is somebody else's is left alone."""
        with self.machine():
            lease = self._read(prefix)
            if lease and lease["token"] == token:
                self._write(prefix, dict(lease, token="", expires=0.0))

    @contextlib.contextmanager
    def keep_alive(self, prefix: str, token: str) -> Iterator[None]:
        """Renew the lease while a long step runs. An empty token means that there is none to keep.

        Raises LockError at the end of a step during which somebody took the lease over.
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
                except Failure:  # a full disk, say: the lease holds for some renewals more
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
        """Who holds a lease, since when."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(lease["since"]))
        age = max(0, int(self._now() - lease["since"]))
        left = max(0, int(lease["expires"] - self._now()))
        return "%s since %s (%d s ago; the lock ends in %d s unless renewed)" % (lease["owner"], since, age, left)

    def _note(self, lease: dict[str, Any] | None, token: str) -> str:
        if not lease or lease["token"] in ("", token):
            return ""
        if self._holds(lease):
            return "the lock of %s was taken over on purpose" % self.describe(lease)
        return "the lock of %s had ended by itself: that run did not come to its end" % lease["owner"]

    def _path(self, prefix: str) -> str:
        if not re.match(r"[a-z][a-z0-9_-]*\Z", prefix):
            raise LockError("%r is no prefix" % prefix)
        return os.path.join(self.directory, "locks", "%s.json" % prefix)

    def _read(self, prefix: str) -> dict[str, Any] | None:
        try:
            lease = json.loads((read(self._path(prefix)) or b"").decode())
            texts, times = (lease["token"], lease["owner"]), (lease["since"], lease["expires"])
        except (ValueError, TypeError, KeyError):
            return None
        whole = all(isinstance(each, str) for each in texts) and all(isinstance(each, (int, float)) for each in times)
        return lease if whole else None

    def _write(self, prefix: str, lease: dict[str, Any]) -> None:
        self._tree.write(Wanted(os.path.join("locks", "%s.json" % prefix), json.dumps(lease).encode(), 0o600))
