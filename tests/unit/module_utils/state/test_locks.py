# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases under a fake clock, and with many processes competing for one."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.state import locks as subject
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.locks import LEASE, LockError, Locks


class Clock:
    """A clock that only moves when code sleeps or the test moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def locks(tmp_path: Path, clock: Clock) -> Locks:
    return Locks(str(tmp_path), clock, clock.sleep)


def file(locks: Locks, prefix: str = "aiia_prod") -> Path:
    return Path(locks.directory, "locks", f"{prefix}.json")


def test_one_environment_is_held_by_one(locks: Locks) -> None:
    """The second run learns who holds it, since when, and what to do."""
    assert locks.take("aiia_prod", "one", "ann@laptop", 0) == ""
    with pytest.raises(LockError) as error:
        locks.take("aiia_prod", "two", "bob@laptop", 0)
    assert "ann@laptop since 1970-01-12T13:46:40Z (0 s ago; the lock expires in 120 s" in error.value.message
    assert "bulkhead_lock_takeover" in error.value.message
    assert locks.held() == {"aiia_prod": {"owner": "ann@laptop", "since": 1_000_000.0, "expires": 1_000_000.0 + LEASE}}


def test_another_environment_is_free(locks: Locks) -> None:
    """Near miss: two environments do not wait for each other."""
    locks.take("aiia_prod", "one", "ann", 0)
    assert locks.take("aiia_staging", "two", "bob", 0) == ""
    assert list(locks.held()) == ["aiia_prod", "aiia_staging"]


def test_waiting_has_a_limit(locks: Locks, clock: Clock) -> None:
    """It sleeps, and gives up after the time limit."""
    locks.take("aiia_prod", "one", "ann", 0)
    with pytest.raises(LockError):
        locks.take("aiia_prod", "two", "bob", 30)
    assert 30 <= clock.slept <= 31


def test_a_lease_that_ended_is_taken_with_a_note(locks: Locks, clock: Clock) -> None:
    """A killed controller blocks others for one lease, to the second."""
    locks.take("aiia_prod", "one", "ann", 0)
    clock.now += LEASE - 1
    with pytest.raises(LockError):
        locks.take("aiia_prod", "two", "bob", 0)
    clock.now += 1
    assert "ann had expired" in locks.take("aiia_prod", "two", "bob", 0)


def test_a_takeover_is_reported(locks: Locks, clock: Clock) -> None:
    """The former holder can then neither renew nor release it."""
    locks.take("aiia_prod", "one", "ann", 0)
    clock.now += 7
    assert "ann since" in (note := locks.take("aiia_prod", "two", "bob", 0, takeover=True)) and "was taken over" in note
    with pytest.raises(LockError, match="was lost and is now held by bob"):
        locks.renew("aiia_prod", "one")
    locks.release("aiia_prod", "one")
    assert locks.held()["aiia_prod"]["owner"] == "bob"


def test_a_takeover_of_nothing_says_nothing(locks: Locks) -> None:
    """Near miss: the option alone is not worth a note."""
    assert locks.take("aiia_prod", "one", "ann", 0, takeover=True) == ""


def test_released_and_remembered(locks: Locks, clock: Clock) -> None:
    """After a release it is free without a note, and it is known when it was last taken."""
    locks.take("aiia_prod", "one", "ann", 0)
    locks.release("aiia_prod", "one")
    assert locks.held() == {} and locks.last() == {"aiia_prod": 1_000_000.0}
    clock.now += 5
    assert locks.take("aiia_prod", "two", "bob", 0) == ""
    assert locks.last() == {"aiia_prod": 1_000_005.0}


def test_renewing_holds_it_for_longer(locks: Locks, clock: Clock) -> None:
    """Each renewal lasts for one lease."""
    locks.take("aiia_prod", "one", "ann", 0)
    for _time in range(5):
        clock.now += LEASE - 1
        locks.renew("aiia_prod", "one")
    assert locks.held()["aiia_prod"]["expires"] == clock.now + LEASE


def test_a_lock_that_vanished_cannot_be_renewed(locks: Locks) -> None:
    """The lock file was removed: the step fails instead of continuing without a lock."""
    locks.take("aiia_prod", "one", "ann", 0)
    file(locks).unlink()
    with pytest.raises(LockError, match="is no longer held"), locks.keep_alive("aiia_prod", "one"):
        pytest.fail("the step ran without its lock")


def test_a_lease_from_another_clock_does_not_hold(locks: Locks, clock: Clock) -> None:
    """Otherwise a clock that was set back would make a lease hold for years."""
    locks.take("aiia_prod", "one", "ann", 0)
    clock.now -= 10_000
    assert locks.held() == {}
    assert "had expired" in locks.take("aiia_prod", "two", "bob", 0)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"token": 1, "owner": "x", "since": 1, "expires": 2}', '{"token": "t", "owner": "x"}',
     '{"token": "t", "owner": "x", "since": "soon", "expires": 99999999999}'],
)  # fmt: skip
def test_a_damaged_lock_is_no_lock(locks: Locks, content: str) -> None:
    """It blocks no run and breaks nothing."""
    file(locks).parent.mkdir()
    file(locks).write_text(content)
    assert locks.held() == {} and locks.last() == {}
    assert locks.take("aiia_prod", "one", "ann", 0) == ""


@pytest.mark.parametrize("prefix", ["../../etc/passwd", "", "a/b", "A", "prod\n"])
def test_a_prefix_is_no_path(locks: Locks, prefix: str) -> None:
    """Nothing outside of the directory of locks is read or written."""
    with pytest.raises(LockError, match="is not a valid prefix"):
        locks.take(prefix, "one", "ann", 0)


def test_a_long_step_keeps_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is renewed while the step runs, and no longer after it."""
    monkeypatch.setattr(subject, "RENEWAL", 0.02)
    locks = Locks(str(tmp_path))
    locks.take("aiia_prod", "one", "ann", 0)
    first = json.loads(file(locks).read_text())["expires"]
    with locks.keep_alive("aiia_prod", "one"):
        deadline = time.monotonic() + 60
        while json.loads(file(locks).read_text())["expires"] <= first + 0.05:
            assert time.monotonic() < deadline, "the lease was not renewed"
            time.sleep(0.01)
    after = file(locks).read_text()
    time.sleep(0.1)
    assert file(locks).read_text() == after


def test_a_step_whose_lock_was_taken_over_fails_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not go on to the next step as if nothing had happened."""
    monkeypatch.setattr(subject, "RENEWAL", 0.02)
    locks = Locks(str(tmp_path))
    locks.take("aiia_prod", "one", "ann", 0)
    before = set(threading.enumerate())
    with pytest.raises(LockError, match="held by bob"), locks.keep_alive("aiia_prod", "one"):
        (keeper,) = set(threading.enumerate()) - before
        locks.take("aiia_prod", "two", "bob", 0, takeover=True)
        keeper.join(60)
        assert not keeper.is_alive()


def test_a_step_without_a_lock_runs(locks: Locks) -> None:
    """Check mode and verification take none."""
    with locks.keep_alive("aiia_prod", ""):
        pass
    assert locks.held() == {}


def _compete(directory: str, number: int, counter: str) -> None:
    """One process that repeatedly takes the lock, works, and gives it back."""
    locks = Locks(directory, sleep=lambda _seconds: time.sleep(0.002))
    for turn in range(5):
        token = f"{number}-{turn}"
        locks.take("aiia_prod", token, token, 600)
        path = Path(counter)
        seen = int(path.read_text())
        time.sleep(0.002)
        path.write_text(str(seen + 1))
        locks.release("aiia_prod", token)


@pytest.mark.parametrize("kind", [multiprocessing.Process, threading.Thread], ids=["processes", "threads"])
def test_takers_at_once(tmp_path: Path, kind: type) -> None:
    """However many compete, only one at a time has it: no increment of a plain file is lost."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    takers = [kind(target=_compete, args=(str(tmp_path / "state"), number, str(counter))) for number in range(6)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert counter.read_text() == "30"
