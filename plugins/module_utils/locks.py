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

from ansible_collections.aiia.bulkhead.plugins.module_utils.failure import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import Tree, Wanted, read

#: Seconds that a lease holds without being renewed, and how often a long step renews it.
LEASE = 120
RENEWAL = 30

_POLL = 1.0

_BUSY = (
    "%s is being deployed by %s. Waited %d s. Wait for it, raise bulkhead_lock_wait, or, if that run is dead for sure, "
    "set bulkhead_lock_takeover: true"
)


class LockError(Failure):
    """Somebody else deploys this environment, or took the lock over."""


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
        """The leases that hold now, by prefix."""
        found = {}
        root = os.path.join(self.directory, "locks")
        for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
            if name.endswith(".json"):
                lease = self._read(name[:-5])
                if lease and lease["expires"] > self._now():
                    found[name[:-5]] = lease
        return found

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
                if not lease or lease["token"] == token or lease["expires"] <= self._now() or takeover:
                    self._write(
                        prefix, {"token": token, "owner": owner, "since": self._now(), "expires": self._now() + LEASE}
                    )
                    return self._note(lease, token)
                holder = self.describe(lease)
            if self._now() >= deadline:
                raise LockError(_BUSY % (prefix, holder, wait))
            self._sleep(_POLL)

    def renew(self, prefix: str, token: str) -> None:
        """Hold the lease for longer. Raises LockError when somebody else has it now."""
        with self.machine():
            lease = self._read(prefix)
            if not lease or lease["token"] != token:
                holder = self.describe(lease) if lease else "nobody"
                raise LockError("the lock of %s was lost: it is held by %s now. Deploy again" % (prefix, holder))
            lease["expires"] = self._now() + LEASE
            self._write(prefix, lease)

    def release(self, prefix: str, token: str) -> None:
        """Give the lease back. One that is somebody else's stays."""
        with self.machine():
            lease = self._read(prefix)
            if lease and lease["token"] == token:
                os.unlink(self._path(prefix))

    @contextlib.contextmanager
    def kept(self, prefix: str, token: str) -> Iterator[None]:
        """Renew the lease while a long step runs. An empty token means that there is none to keep."""
        if not token:
            yield
            return
        self.renew(prefix, token)
        done = threading.Event()

        def beat() -> None:
            while not done.wait(RENEWAL):
                with contextlib.suppress(Failure):
                    self.renew(prefix, token)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def describe(self, lease: dict[str, Any]) -> str:
        """Who holds a lease, since when."""
        age = max(0, int(self._now() - lease["since"]))
        left = max(0, int(lease["expires"] - self._now()))
        return "%s since %d s (the lock ends in %d s unless renewed)" % (lease["owner"], age, left)

    def _note(self, lease: dict[str, Any] | None, token: str) -> str:
        if not lease or lease["token"] == token:
            return ""
        how = "had ended" if lease["expires"] <= self._now() else "was taken over on purpose"
        return "a lock of %s %s" % (lease["owner"], how)

    def _path(self, prefix: str) -> str:
        if not re.match(r"[a-z][a-z0-9_-]*\Z", prefix):
            raise LockError("%r is no prefix" % prefix)
        return os.path.join(self.directory, "locks", "%s.json" % prefix)

    def _read(self, prefix: str) -> dict[str, Any] | None:
        try:
            lease = json.loads((read(self._path(prefix)) or b"").decode())
            return lease if {"token", "owner", "since", "expires"} <= set(lease) else None
        except (ValueError, TypeError):
            return None

    def _write(self, prefix: str, lease: dict[str, Any]) -> None:
        self._tree.write(Wanted(os.path.join("locks", "%s.json" % prefix), json.dumps(lease).encode(), 0o600))
