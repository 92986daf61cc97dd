# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No other user of a machine can hold a lock of ours, or see what root keeps."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.handles import PathError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.locks import Locks
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from attackers import NOBODY, as_user, public_directory

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user needs root")


@pytest.fixture
def state() -> Iterator[Path]:
    """A state directory as an older version made it: open to everybody, with a lock that everybody can open."""
    with public_directory() as folder:
        place = folder / "state"
        (place / "locks").mkdir(parents=True)
        (place / "locks/machine").touch(0o644)
        yield place


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """Ten seconds for each test: a lock that somebody holds would be waited for without end."""

    def late(*_args: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def hold(path: Path) -> int:
    """Hold the lock of a file in a process of another user, which is returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX)
            os.write(writing, b"1")
            time.sleep(60)
        finally:
            os._exit(1)
    assert os.read(reading, 1) == b"1"
    return child


def test_a_lock_that_another_user_holds(state: Path) -> None:
    """He held it before the first run of this version; afterwards he cannot even open it."""
    lock = state / "locks/machine"
    child = hold(lock)
    try:
        with lock.open("w") as stream, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the control: it is blocked
        with Locks(str(state)).machine():
            pass
        Locks(str(state)).take("aiia_prod", "token", "me", wait=0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == stat.S_IMODE(lock.parent.stat().st_mode) == 0o700
    assert not as_user(lambda: os.open(lock, os.O_RDONLY)) and not as_user(lambda: os.listdir(state))


def test_the_lock_still_excludes(state: Path) -> None:
    """Two of ours never hold it at once, whichever came first to a file of an older version."""
    taken = threading.Event()

    def second() -> None:
        with Locks(str(state)).machine():
            taken.set()

    thread = threading.Thread(target=second, daemon=True)
    with Locks(str(state)).machine():
        thread.start()
        assert not taken.wait(0.5)
    assert taken.wait(5)


def test_what_root_keeps_is_for_root_alone(state: Path) -> None:
    """Every directory and file that a run leaves in the state directory."""
    registry = Registry(str(state))
    with Locks(str(state)).machine():
        entry = {"prefix": "aiia_prod", "claims": []}
        registry.write("aiia_prod", entry, {"prefix": "aiia_prod", "finished": "2026-01-01T00:00:00Z"})
    registry.key(keep=True)
    found = [path for path in (state, *state.rglob("*")) if path.is_dir()]
    assert found and {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o700}
    assert not as_user((state / "key").read_bytes)


@pytest.mark.parametrize("how", ["his own", "everybody's", "below his own"])
def test_a_state_directory_that_another_user_can_write(how: str) -> None:
    """What is kept there could be forged: it is refused, and the error says who can write it."""
    with public_directory() as folder:
        place = folder / "state"
        place.mkdir()
        if how == "everybody's":
            place.chmod(0o777)
        else:
            os.chown(place, NOBODY.pw_uid, NOBODY.pw_gid)
        if how == "below his own":
            place /= "deeper"
            place.mkdir(0o700)
        who = "every user" if how == "everybody's" else "nobody"
        with pytest.raises(PathError, match=f"which {who} can write.*bulkhead_state_directory"):
            Locks(str(place)).take("aiia_prod", "token", "me", wait=0)
        assert list(place.iterdir()) == []
        (place / "environments").mkdir()
        with pytest.raises(PathError):
            Registry(str(place)).entries()
