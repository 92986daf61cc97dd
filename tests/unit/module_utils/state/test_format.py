# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which versions may work on an environment's state, and that the lease outlives the change of its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import TreeError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state import locks as locks_module
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.format import FORMAT, FormatError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.locks import LockError, Locks

PREFIX = "aiia_prod"


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    return Locks(str(tmp_path))


def place(locks: Locks) -> Path:
    return Path(locks.directory, "locks", f"{PREFIX}.json")


def test_a_held_lease_stays_held(locks: Locks) -> None:
    """It moves with the format, under the machine's lock: its holder goes on, and others wait."""
    locks.take(PREFIX, "one", "ann@laptop", 0)
    before = locks.held()
    locks.refuse_older(PREFIX)
    assert place(locks).is_dir() and locks.held() == before
    locks.renew(PREFIX, "one")
    with pytest.raises(LockError, match="locked by ann@laptop"):
        locks.take(PREFIX, "two", "bob@laptop", 0)
    locks.release(PREFIX, "one")
    assert locks.held() == {} and list(locks.last()) == [PREFIX]
    assert locks.take(PREFIX, "two", "bob@laptop", 0) == ""


def test_without_a_lease(locks: Locks) -> None:
    """An environment that nobody ever locked, and one whose change of format was killed half-way."""
    (place(locks).parent / f"{PREFIX}.json.new").mkdir(parents=True)
    for _unused in range(2):
        locks.refuse_older(PREFIX)
    assert (place(locks) / "format").read_text() == f"{FORMAT}\n"
    assert "Upgrade aiia.bulkhead" in (place(locks) / "README").read_text()
    assert locks.take(PREFIX, "one", "ann@laptop", 0) == ""


def test_what_the_version_before_does(locks: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes its lease to the place that is a directory now, and stops."""
    locks.refuse_older(PREFIX)
    monkeypatch.setattr(locks_module, "current_lease_path", lambda _directory, prefix: f"locks/{prefix}.json")
    with pytest.raises(TreeError, match=f"locks/{PREFIX}.json: Is a directory"):
        locks.take(PREFIX, "one", "ann@laptop", 0)


@pytest.mark.parametrize("found", [f"{FORMAT + 1}\n", "", "two"])
def test_a_newer_format_is_refused(locks: Locks, found: str) -> None:
    """Nothing is taken over from a version that this one does not know."""
    locks.refuse_older(PREFIX)
    (place(locks) / "format").write_text(found)
    with pytest.raises(FormatError, match=rf"has format .*knows formats up to {FORMAT}. Upgrade"):
        locks.take(PREFIX, "one", "ann@laptop", 0, takeover=True)
    assert locks.held() == {}


@pytest.mark.parametrize("found", [f"{FORMAT}\n", "1"])
def test_an_earlier_format_is_taken_over(locks: Locks, found: str) -> None:
    """Near miss: this version's own format, and one that it succeeds."""
    locks.refuse_older(PREFIX)
    (place(locks) / "format").write_text(found)
    assert locks.take(PREFIX, "one", "ann@laptop", 0) == ""
    locks.refuse_older(PREFIX)
    assert (place(locks) / "format").read_text() == f"{FORMAT}\n"
