# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of an environment's past: bounded, without errors' texts, and one kind that fails hides no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.manifest import FORMAT, write_manifest
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.history import history
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry

OURS, OTHERS = "aiia_staging", "aiia_prod"
GAP = {"verb": "recreate", "target": f"{OURS}_postgresql", "kind": "container", "seconds": 4.5}


def of(state: Path, **more: str) -> dict[str, Any]:
    return history([{"prefix": OURS, **more}], str(state))[OURS]


def receipt(finished: str, prefix: str = OURS, **more: Any) -> dict[str, Any]:
    return {"prefix": prefix, "began": finished, "finished": finished, "by": "ann@laptop", "changed": [], **more}


def keep_release(state: Path, name: str, prefix: str = OURS, **about: str) -> None:
    home = Home("/", prefix, str(state))
    Releases(home).complete(name, [], {"commit": "c" * 40, "services": []}, {}, about=about)


def test_everything_is_told_oldest_first(tmp_path: Path) -> None:
    keep_release(tmp_path, "20260101T000000Z-aaaaaaaa", subject="Add <b>", author="Ann", by="ann@laptop")
    keep_release(tmp_path, "20260102T000000Z-bbbbbbbb")
    keep_release(tmp_path, "20260103T000000Z-cccccccc", OTHERS)
    registry = Registry(str(tmp_path))
    entry = {"prefix": OURS}
    registry.write(OURS, entry, receipt("2026-01-02T00:00:00Z", outcome="done", changed=["as of old", GAP]))
    failed = {"outcome": "failed", "step": "converge", "error": "password hunter2 refused"}
    registry.write(OURS, entry, receipt("2026-01-01T00:00:00Z", **failed))
    registry.write(OTHERS, {"prefix": OTHERS}, receipt("2026-01-01T00:00:00Z", OTHERS, outcome="done"))
    backup = tmp_path / "backups" / OURS / "20260101T000000Z"
    backup.mkdir(parents=True, mode=0o700)
    manifest = {"format": FORMAT, "name": backup.name, "serial": 1, "created": "2026-01-01T00:00:00Z", "prefix": OURS}
    write_manifest(str(backup), {**manifest, "trigger": "manual", "parts": [{"bytes": 3}, {"bytes": 4}]})
    found = of(tmp_path)
    assert found["unread"] == {}
    assert [each["release"][:8] for each in found["releases"]] == ["20260101", "20260102"]
    assert found["releases"][0]["subject"] == "Add <b>" and "subject" not in found["releases"][1]
    assert [each["outcome"] for each in found["receipts"]] == ["failed", "done"]
    assert found["receipts"][1]["gaps"] == [{"target": GAP["target"], "seconds": 4.5}]
    assert found["receipts"][1]["changed"] == 2
    assert [each["bytes"] for each in found["backups"]] == [7]
    assert "hunter2" not in json.dumps(found)


def test_a_first_deployment_that_failed_is_told(tmp_path: Path) -> None:
    """It was never registered, so its receipt is elsewhere."""
    Registry(str(tmp_path)).write(OURS, {}, receipt("2026-01-01T00:00:00Z", outcome="failed", step="converge"))
    assert [each["step"] for each in of(tmp_path)["receipts"]] == ["converge"]


def test_texts_are_bounded(tmp_path: Path) -> None:
    keep_release(tmp_path, "20260101T000000Z-aaaaaaaa", subject="x" * 5000)
    assert len(of(tmp_path)["releases"][0]["subject"]) == 200


def test_what_is_damaged_hides_nothing_else(tmp_path: Path) -> None:
    """Control: with an honest directory of backups nothing is unread."""
    Registry(str(tmp_path)).write(OURS, {"prefix": OURS}, receipt("2026-01-01T00:00:00Z", outcome="done"))
    (tmp_path / "environments" / OURS / "receipts" / "zz.json").write_text("{broken")
    open_to_all = tmp_path / "backups-of-anybody"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    found = of(tmp_path, backups=str(open_to_all / "x"))
    assert len(found["receipts"]) == 1 and list(found["unread"]) == ["backups"]
    assert of(tmp_path)["unread"] == {}


def test_nothing_there(tmp_path: Path) -> None:
    assert of(tmp_path) == {"releases": [], "receipts": [], "backups": [], "unread": {}}
