# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which scripts run in another environment's data, and what is said of those that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.restore_scripts import read_scripts


def values(sanitise: object = "", sanitise_files: object = "") -> dict[str, str]:
    return {
        "bulkhead_prefix": "aiia_prod",
        "bulkhead_restore_sanitise": str(sanitise),
        "bulkhead_restore_sanitise_files": str(sanitise_files),
    }


@pytest.mark.parametrize(("files", "runs"), [("sanitise", True), ("leave", False), ("take", False)])
def test_files_are_sanitised_only_where_that_is_asked_for(tmp_path: Path, files: str, runs: bool) -> None:
    one, other = tmp_path / "s.sql", tmp_path / "s.sh"
    one.write_text("SELECT 1;")
    other.write_text("rm x")
    wanted = {"sanitise": "SELECT 1;", **({"sanitise_files": "rm x"} if runs else {})}
    assert read_scripts(values(one, other), files) == (wanted, [])
    other.unlink()
    assert len(read_scripts(values(one, other), files)[1]) == runs, "nobody needs a script that does not run"


def test_none_is_needed() -> None:
    assert read_scripts(values(), "sanitise") == ({}, [])


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    found, said = read_scripts(values(tmp_path / "none", tmp_path / "empty"), "sanitise")
    assert found == {}
    end = "Name a script on the controller to run in this environment's data, or leave the variable empty"
    say = f"aiia_prod: bulkhead_restore_%s is {tmp_path}/%s, but it %s. {end}"
    assert said == [
        say % ("sanitise", "none", "cannot be read (No such file or directory)"),
        say % ("sanitise_files", "empty", "is empty"),
    ]
    (tmp_path / "empty").write_bytes(b"\xff\xfe")
    assert "but it is not UTF-8 text" in read_scripts(values("", tmp_path / "empty"), "sanitise")[1][0]
