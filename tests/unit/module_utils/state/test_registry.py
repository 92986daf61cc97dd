# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's registry: what it keeps, how it detects edits, and how it is rebuilt."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry, state_directory


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An environment's directory."""
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(str(tmp_path / "state"), keep_receipts=3)


def entry(home: Path, **more: Any) -> dict[str, Any]:
    return {"prefix": "aiia_prod", "directory": str(home), "claims": [{"key": "a"}], "deployed": "today", **more}


def receipt(number: int = 0) -> dict[str, Any]:
    return {"finished": f"2026-01-01T00:00:0{number}Z", "number": number}


def place(registry: Registry) -> Path:
    return Path(registry.directory, "environments", "aiia_prod", "environment.json")


def test_what_is_written_is_read(registry: Registry, home: Path) -> None:
    """The entry is read back unchanged, and the receipt is at the returned path."""
    path = registry.write("aiia_prod", entry(home), receipt())
    assert registry.entries() == {"aiia_prod": entry(home)}
    assert json.loads(Path(path).read_text()) == receipt()
    assert Path(path).stat().st_mode & 0o777 == 0o640
    # It holds digests of settings, which others could compare with those of their guesses.
    assert place(registry).stat().st_mode & 0o777 == 0o600


def test_no_registry_is_an_empty_one(registry: Registry) -> None:
    """The first deployment of a machine."""
    assert registry.entries() == {}


def test_only_the_newest_receipts_stay(registry: Registry, home: Path) -> None:
    """Receipts do not fill the disk."""
    for number in range(5):
        registry.write("aiia_prod", entry(home), receipt(number))
    receipts = sorted(place(registry).parent.glob("receipts/*"))
    assert [json.loads(path.read_text())["number"] for path in receipts] == [2, 3, 4]


def test_a_receipt_of_a_clock_that_was_ahead_goes_before_those_of_today(registry: Registry, home: Path) -> None:
    """The receipt that was just written is kept, and so are later ones."""
    for number in range(3):
        registry.write("aiia_prod", entry(home), {"finished": f"2099-01-01T00:00:0{number}Z", "number": 90 + number})
    for number in range(2):
        path = Path(registry.write("aiia_prod", entry(home), receipt(number)))
        assert json.loads(path.read_text()) == receipt(number)
    assert sorted(json.loads(receipt.read_text())["number"] for receipt in path.parent.iterdir()) == [0, 1, 92]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it cannot be read"),
        ("{", "it cannot be read"),
        ("[]", "it is not an entry"),
        ('"text"', "it is not an entry"),
        ('{"prefix": "other", "digest": "x"}', "it belongs to other"),
        ('{"prefix": "aiia_prod", "claims": []}', "it was edited by hand"),
    ],
)
def test_what_cannot_be_trusted_says_why(registry: Registry, home: Path, content: str, reason: str) -> None:
    """Reported, without an error."""
    registry.write("aiia_prod", entry(home), receipt())
    place(registry).write_text(content)
    assert registry.entries() == {"aiia_prod": {"prefix": "aiia_prod", "damaged": reason}}


def test_one_changed_letter_is_an_edit(registry: Registry, home: Path) -> None:
    """Even if the JSON stays valid; trailing whitespace does not count."""
    registry.write("aiia_prod", entry(home), receipt())
    text = place(registry).read_text()
    place(registry).write_text(text + "\n")
    assert registry.entries() == {"aiia_prod": entry(home)}
    place(registry).write_text(text.replace('"a"', '"b"'))
    assert registry.entries()["aiia_prod"]["damaged"] == "it was edited by hand"


@pytest.mark.parametrize("keep", [False, True])
def test_a_lost_registry_is_rebuilt(registry: Registry, home: Path, keep: bool) -> None:
    """From the copy in the environment's directory, and written only with ``keep``."""
    registry.write("aiia_prod", entry(home), receipt())
    shutil.rmtree(Path(registry.directory, "environments"))
    assert registry.entries() == {}
    found = registry.entries([str(home)], keep)["aiia_prod"]
    assert found["rebuilt"] == "it was lost" and found["claims"] == [{"key": "a"}] and "deployed" not in found
    assert place(registry).exists() is keep
    assert ("rebuilt" in registry.entries([str(home)])["aiia_prod"]) is not keep


def test_an_edited_entry_is_replaced_by_the_copy(registry: Registry, home: Path) -> None:
    """With the reason."""
    registry.write("aiia_prod", entry(home), receipt())
    place(registry).write_text("{")
    assert registry.entries([str(home)])["aiia_prod"]["rebuilt"] == "it cannot be read"


def test_a_whole_entry_is_not_replaced(registry: Registry, home: Path) -> None:
    """Near miss: the copy is used only if the entry is lost or damaged."""
    registry.write("aiia_prod", entry(home), receipt())
    assert registry.entries([str(home)], keep=True) == {"aiia_prod": entry(home)}


def test_a_copy_counts_only_for_its_own_place(registry: Registry, home: Path, tmp_path: Path) -> None:
    """A copied directory, another machine's registry, an edited copy: none of them is trusted."""
    registry.write("aiia_prod", entry(home), receipt())
    shutil.rmtree(Path(registry.directory, "environments"))
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(home, elsewhere)
    assert registry.entries([str(elsewhere)]) == {}
    assert Registry(str(tmp_path / "other-state")).entries([str(home)]) == {}
    copy = home / ".bulkhead" / "environment.json"
    copy.write_text(copy.read_text().replace('"a"', '"b"'))
    assert registry.entries([str(home)]) == {}


def test_the_copy_is_steady(registry: Registry, home: Path) -> None:
    """A deployment that changes nothing writes nothing into the environment's directory."""
    registry.write("aiia_prod", entry(home), receipt())
    copy = home / ".bulkhead" / "environment.json"
    before = copy.stat().st_ino
    registry.write("aiia_prod", entry(home, deployed="tomorrow", by="bob", files={".env": "x"}), receipt(1))
    assert copy.stat().st_ino == before
    registry.write("aiia_prod", entry(home, commit="abc"), receipt(2))
    assert copy.stat().st_ino != before


def test_the_key_is_made_once_and_is_nobodys(registry: Registry) -> None:
    """Only a deployment creates it; an observation before that gets a temporary key."""
    assert registry.key() != registry.key()
    kept = registry.key(keep=True)
    assert registry.key() == kept == registry.key(keep=True) and len(kept) == 32
    assert Path(registry.directory, "key").stat().st_mode & 0o777 == 0o600


def test_names_that_are_no_prefixes_are_left_alone(registry: Registry) -> None:
    """A manual backup beside the registry's entries is not an environment."""
    Path(registry.directory, "environments", "aiia_prod.old").mkdir(parents=True)
    Path(registry.directory, "environments", "README").write_text("x")
    assert registry.entries() == {}


def test_where_the_state_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As configured, else the system's for root and the user's own for others, regardless of HOME."""
    monkeypatch.setenv("HOME", "/hostile")
    assert state_directory("/srv/state") == "/srv/state"
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert state_directory() == "/var/lib/bulkhead"
    monkeypatch.setattr("os.getuid", lambda: 65534)
    assert state_directory().endswith("/.local/state/bulkhead") and "hostile" not in state_directory()


def test_a_receipt_without_an_entry_leaves_the_entry_alone(registry: Registry, home: Path) -> None:
    """From a job that is not a deployment."""
    registry.write("aiia_prod", entry(home), receipt(1))
    before = place(registry).read_bytes()
    path = registry.write("aiia_prod", {}, receipt(2))
    assert place(registry).read_bytes() == before
    assert json.loads(Path(path).read_text()) == receipt(2)


def test_the_receipts_of_a_destroyed_environment_survive(registry: Registry, home: Path) -> None:
    """The entry is removed; the receipts are kept, including that of the destruction, within the same limit."""
    for number in range(3):
        registry.write("aiia_prod", entry(home), receipt(number))
    registry.write("aiia_staging", entry(home, prefix="aiia_staging"), receipt())
    path = Path(registry.remove("aiia_prod", receipt(4)))
    assert list(registry.entries()) == ["aiia_staging"]
    assert not place(registry).parent.exists()
    assert [json.loads(receipt.read_text())["number"] for receipt in sorted(path.parent.iterdir())] == [1, 2, 4]


def test_removing_what_was_never_registered(registry: Registry) -> None:
    """A failed deployment left no entry; its destruction still has a receipt."""
    path = Path(registry.remove("aiia_prod", receipt()))
    assert path.is_file()
    assert registry.entries() == {}
