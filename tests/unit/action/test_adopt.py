# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What adoption refuses before it looks at a server; tests/e2e/test_adopting.py adopts real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.action.test_new import LINK, contents, playbook

pytestmark = pytest.mark.skipif(not LINK.exists(), reason="the collection's link is made by 'make setup'")


def words(text: str) -> str:
    return " ".join(text.split())


def test_several_servers_at_once(tmp_path: Path) -> None:
    done = playbook(tmp_path, "-i", "one.example.com,two.example.com,", name="adopt")
    assert done.returncode != 0 and "adopt looks at one server at a time, and this inventory has 2" in words(
        done.stdout
    )
    assert not contents(tmp_path).keys() & {"inventory/hosts.yml"}


def test_a_directory_with_an_inventory(tmp_path: Path) -> None:
    """Neither looked at nor touched: what is there stays as it is."""
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/hosts.yml").write_text("all: {}\n")
    done = playbook(tmp_path, "-i", "localhost,", "-c", "local", "-e", "bulkhead_adopt=apply", name="adopt")
    said = words(done.stdout + done.stderr)
    assert done.returncode != 0 and "inventory exists and is not empty" in said and "Traceback" not in said
    assert (tmp_path / "inventory/hosts.yml").read_text() == "all: {}\n"
    assert sorted(path.name for path in (tmp_path / "inventory").iterdir()) == ["hosts.yml"]


def test_another_word_than_look_and_apply(tmp_path: Path) -> None:
    done = playbook(tmp_path, "-i", "localhost,", "-c", "local", "-e", "bulkhead_adopt=aply", name="adopt")
    assert done.returncode != 0 and "look, apply" in words(done.stdout + done.stderr)
