# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speaks against restoring a backup, and what is said of backups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.backup import (
    all_arguments,
    backup_arguments,
    is_scheduled,
    listing,
    made,
    size,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.restore import (
    Intention,
    another,
    reader,
    refusals,
    refusals_before,
    staying,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from unit.fleets import PRODUCTION, STAGING, declarations, problems, read, write
from unit.plugin_utils.release.test_swarm import attempted

STAGING_ALONE = Intention("aiia_staging", False, "", "", False, databases=("postgresql",))


def backup(prefix: str = "aiia_staging", protected: bool = False, **dump: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A manifest, and what its dump says itself."""
    part = {
        "kind": "postgresql",
        "service": "postgresql",
        "name": "postgresql",
        "file": "p.dump",
        "database": prefix,
        "server": "17.5",
    }
    seen = {"stamp": prefix, "database": prefix, "here": "17.2 (Debian)", **dump}
    return {"name": "b", "prefix": prefix, "protected": protected, "parts": [part]}, {"postgresql": seen}


def reasons(intention: Intention, manifest: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    return list(refusals(intention, manifest, seen))


def test_its_own_backup() -> None:
    assert reasons(STAGING_ALONE, *backup()) == [] and list(refusals_before(STAGING_ALONE)) == []


@pytest.mark.parametrize(
    ("wanted", "origin", "hint"),
    [
        ("aiia_prod-20260725T031500Z", "aiia_staging", "-e bulkhead_restore_from=aiia_prod"),
        ("aiia_pr-1-20260725T031500Z", "aiia_staging", "-e bulkhead_restore_from=aiia_pr-1"),
        ("aiia_staging-20260725T031500Z", "aiia_staging", ""),
        ("latest", "aiia_staging", ""),
        ("/srv/back/aiia_prod-20260725T031500Z", "aiia_staging", ""),
    ],
)
def test_a_backup_of_another_environment_is_looked_for_there(wanted: str, origin: str, hint: str) -> None:
    said = another(wanted, origin)
    assert (hint in said, bool(said)) == (True, bool(hint))


def test_another_environments_backup_must_be_named() -> None:
    (reason,) = reasons(STAGING_ALONE, *backup("aiia_pr-1"))
    assert "-e bulkhead_restore_from=aiia_pr-1" in reason
    named = Intention("aiia_staging", False, "", "aiia_pr-1", False, databases=("postgresql",))
    assert reasons(named, *backup("aiia_pr-1")) == []
    (reason,) = reasons(named, *backup())
    assert "b is a backup of aiia_staging" in reason


@pytest.mark.parametrize(("protected", "guarded"), [(True, ()), (False, ("aiia_prod",)), (True, ("aiia_prod",))])
def test_protected_data_leaves_only_sanitised(protected: bool, guarded: tuple[str, ...]) -> None:
    asked = Intention("aiia_staging", False, "", "aiia_prod", False, guarded, ("postgresql",), permitted=True)
    (reason,) = reasons(asked, *backup("aiia_prod", protected))
    assert "bulkhead_restore_sanitise in the group_vars of aiia_prod" in reason
    sanitised = replace(asked, sanitise=True)
    assert reasons(sanitised, *backup("aiia_prod", protected)) == []
    (reason,) = reasons(replace(sanitised, permitted=False), *backup("aiia_prod", protected))
    assert "add {prefix: aiia_staging} to bulkhead_restore_readers in the group_vars of aiia_prod" in reason
    before = list(refusals_before(replace(sanitised, permitted=False)))
    assert before == ([reason] if guarded else [])


@pytest.mark.parametrize(
    ("items", "answer"),
    [
        ([], (False, False)),
        ([{"prefix": "aiia_staging"}], (True, False)),
        ([{"prefix": "aiia_staging", "files": "take"}], (True, True)),
        ([{"prefix": "aiia_staging_2", "files": "take"}, {"prefix": "aiia_pr-1"}], (False, False)),
        (["aiia_staging", {"files": "take"}], (False, False)),
    ],
)
def test_who_may_read_a_protected_environments_backups(items: list[Any], answer: tuple[bool, bool]) -> None:
    assert reader({"bulkhead_restore_readers": items}, "aiia_staging") == answer


FILES = {"kind": "files", "service": "django", "name": "django", "file": "django.tar", "files": 12, "absent": False}


@pytest.mark.parametrize(
    ("changes", "files", "refused"),
    [
        ({}, {}, True),
        ({"files": "leave"}, {}, False),
        ({"files": "take", "take": True}, {}, False),
        ({"files": "take"}, {}, True),
        ({"sanitise_files": True}, {}, False),
        ({"directories": ("django", "other")}, {}, True),
        ({}, {"absent": True}, False),
    ],
)
def test_files_leave_a_protected_environment_only_as_somebody_says(
    changes: dict[str, Any], files: dict[str, Any], refused: bool
) -> None:
    asked = Intention("aiia_staging", False, "", "aiia_prod", True, (), ("postgresql",), ("django",), permitted=True)
    found, seen = backup("aiia_prod", protected=True)
    found["parts"].append({**FILES, **files})
    said = reasons(replace(asked, **changes), found, seen)
    assert len(said) == refused
    words = ["-e bulkhead_restore_files=leave", "aiia_prod"]
    if changes.get("files") != "take":
        words += ["what django holds (12 files)", "leave (aiia_staging keeps its own)", "restore_sanitise_files:"]
    assert all(word in reason for reason in said for word in words)


def test_files_of_its_own_or_of_an_open_environment_come_as_they_are() -> None:
    asked = Intention("aiia_staging", False, "", "aiia_pr-1", False, (), ("postgresql",), ("django",))
    found, seen = backup("aiia_pr-1")
    found["parts"].append(FILES)
    assert reasons(asked, found, seen) == []
    own, seen = backup(protected=True)
    own["parts"].append(FILES)
    assert reasons(replace(asked, restore_from=""), own, seen) == []


@pytest.mark.parametrize(
    ("own", "files", "absent", "refused", "stay"),
    [
        (("django",), "sanitise", False, False, []),
        (("django", "docs"), "sanitise", False, False, ["docs"]),
        (("docs",), "sanitise", False, True, ["docs"]),
        (("docs",), "leave", False, False, []),
        ((), "take", False, True, []),
        ((), "sanitise", True, False, []),
        (("django",), "sanitise", True, False, ["django"]),
    ],
)
def test_no_files_are_passed_over_without_a_word(
    own: tuple[str, ...], files: str, absent: bool, refused: bool, stay: list[str]
) -> None:
    """Those of the backup need a place; those of the environment that it has none of stay, and that is told."""
    asked = replace(STAGING_ALONE, directories=own, files=files)
    found, seen = backup()
    found["parts"].append({**FILES, "absent": absent})
    said = reasons(asked, found, seen)
    assert len(said) == refused and staying(asked, found) == stay
    assert not refused or "has files of django, but aiia_staging has no directory of that name" in said[0]
    assert not refused or "-e bulkhead_restore_files=leave" in said[0]


def test_files_alone_need_no_sql() -> None:
    asked = Intention("aiia_staging", False, "", "aiia_prod", False, (), (), ("django",))
    asked = replace(asked, sanitise_files=True, permitted=True)
    found, _seen = backup("aiia_prod", protected=True)
    assert reasons(asked, {**found, "parts": [FILES]}, {}) == []


def test_a_protected_environment_takes_its_own_data_alone_and_by_its_name() -> None:
    target = Intention("aiia_prod", True, "", "", False, databases=("postgresql",))
    (reason,) = refusals_before(target)
    assert "-e bulkhead_confirm=aiia_prod" in reason
    confirmed = Intention("aiia_prod", True, "aiia_prod", "", False, databases=("postgresql",))
    assert list(refusals_before(confirmed)) == [] and reasons(confirmed, *backup("aiia_prod", True)) == []
    other = Intention("aiia_prod", True, "aiia_prod", "aiia_staging", True, databases=("postgresql",))
    assert any("never restored into it" in reason for reason in refusals_before(other))
    assert any("never restored into it" in reason for reason in reasons(other, *backup()))


@pytest.mark.parametrize(
    ("dump", "said"),
    [
        ({"stamp": "aiia_prod"}, "p.dump is of aiia_prod"),
        ({"database": "aiia_prod", "stamp": ""}, "p.dump is of aiia_prod"),
        ({"here": "16.9"}, "made by PostgreSQL 17.5, but 16.9 runs here"),
    ],
)
def test_the_dump_is_asked_itself(dump: dict[str, Any], said: str) -> None:
    (reason,) = reasons(STAGING_ALONE, *backup(**dump))
    assert said in reason


def test_a_dump_without_a_name_in_it_is_of_the_database_that_it_names() -> None:
    assert reasons(STAGING_ALONE, *backup(stamp="")) == []


def test_a_backup_without_the_database_is_none() -> None:
    manifest, seen = backup()
    (reason,) = reasons(STAGING_ALONE, {**manifest, "parts": []}, seen)
    assert reason == "aiia_staging has a database postgresql, but the backup has none of that name (x-bulkhead.backup)"
    (reason,) = reasons(Intention("aiia_staging", False, "", "", False), manifest, seen)
    assert (
        reason == "the backup b has a database postgresql, but aiia_staging has none of that name (x-bulkhead.backup)"
    )


# ---- what is backed up -------------------------------------------------------------------------------------------


def rendered(directory: Path, **groups: dict[str, Any]) -> dict[str, tuple[Declaration, Release]]:
    """These environments, with what would be shipped of each."""
    inventory = read(write(directory, groups, everyone={"bulkhead_project": "aiia"}))
    renderer = Renderer(inventory.loader)
    found = {}
    for group, declaration in declarations(inventory).items():
        release = renderer.render(declaration)
        assert release is not None and problems(declaration) == []
        found[group] = (declaration, release)
    return found


def test_what_is_backed_up_is_said_by_the_stack(tmp_path: Path) -> None:
    found = all_arguments(*rendered(tmp_path, p={**PRODUCTION, "bulkhead_protected": True})["p"])
    assert (found["prefix"], found["project"], found["protected"]) == ("aiia_prod", "aiia_prod", True)
    kinds = {part["service"]: part for part in found["parts"]}
    assert kinds["django"]["path"] == "/srv/storage/media"
    database = kinds["postgresql"]
    assert [database[key] for key in ("database", "user", "admin")] == ["aiia_prod", "aiia_prod", "aiia"]
    sites = next(wire for wire in database["wiring"] if wire.get("table") == "django_site")
    assert "'prod.example.com'" in sites["query"]


def test_a_server_may_have_more_databases(tmp_path: Path) -> None:
    also = [{"name": "reports", "database": "aiia_prod_reports"}, {"kind": "files", "name": "wal", "path": "/wal"}]
    services = {"postgresql": {"x-bulkhead": {"backup": {"also": also}}}}
    found = all_arguments(*rendered(tmp_path, p={**PRODUCTION, "bulkhead_services": services})["p"])
    own, reports, wal = (part for part in found["parts"] if part["service"] == "postgresql")
    assert [release["name"] for release in (own, reports, wal)] == ["postgresql", "reports", "wal"]
    assert (own["database"], reports["database"], reports["user"]) == ("aiia_prod", "aiia_prod_reports", "aiia_prod")
    assert own["wiring"] and reports["wiring"] == own["wiring"] and wal["path"] == "/wal" and wal["key"] == own["key"]


@pytest.mark.parametrize(
    ("wanted", "kinds"), [("all", ["files", "postgresql"]), ("database", ["postgresql"]), ("nothing", [])]
)
def test_before_a_release(tmp_path: Path, wanted: str, kinds: list[str]) -> None:
    declared = {**PRODUCTION, "bulkhead_backup_before_release": wanted}
    found = backup_arguments(*rendered(tmp_path, p=declared)["p"])
    assert sorted(found.get("kinds", ())) == kinds and bool(found) == bool(kinds)
    # What an earlier restore left of the others is seen to all the same.
    assert {part["kind"] for part in found.get("parts", ())} == ({"files", "postgresql"} if kinds else set())


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("/srv/b", "/srv/b/", "aiia_prod and aiia_staging keep their backups in /srv/b "),
        ("/srv/b/prod", "/srv/b", "aiia_prod and aiia_staging keep their backups in /srv/b "),
        ("/srv/staging/app/b", "", "aiia_prod keeps its backups in /srv/staging/app/b, which lies in the directory"),
        ("/srv/b/prod", "/srv/b/staging", ""),
        ("", "", ""),
    ],
)
def test_nobody_shares_a_backup_directory(tmp_path: Path, one: str, other: str, said: str) -> None:
    groups = {
        "p": {**PRODUCTION, "bulkhead_machine": "m", "bulkhead_backup_directory": one},
        "s": {**STAGING, "bulkhead_machine": "m", "bulkhead_backup_directory": other},
    }
    fleet = Fleet(tuple(build_environment(*environment) for environment in rendered(tmp_path, **groups).values()))
    found = [finding for finding in judge(fleet) if "backups" in finding.message]
    assert len(found) == bool(said)
    assert all(finding.severity.name == "CRITICAL" and said in finding.message for finding in found)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("bulkhead_backup_directory", "backups"),
        ("bulkhead_backup_directory", "/var/"),
        ("bulkhead_backup_schedule", "nightly"),
        ("bulkhead_backup_keep", -1),
        ("bulkhead_backup_keep", None),
        ("bulkhead_promotion_minutes", -1),
        ("bulkhead_promotion_minutes", None),
        ("bulkhead_backup_before_release", "some"),
    ],
)
def test_values_that_mean_nothing(tmp_path: Path, variable: str, value: Any) -> None:
    inventory = read(write(tmp_path, {"p": {**PRODUCTION, variable: value}}))
    assert problems(declarations(inventory)["p"]) == [("invalid-variable", variable)]


def test_only_what_can_be_backed_up(tmp_path: Path) -> None:
    services = {"django": {"x-bulkhead": {"backup": {"kind": "files", "path": "media"}}}}
    inventory = read(write(tmp_path, {"p": {**PRODUCTION, "bulkhead_services": services}}))
    (declaration,) = declarations(inventory).values()
    assert Renderer(inventory.loader).render(declaration) is None
    assert "an absolute path in the container" in declaration.problems[0].message


def test_the_environments_own_database_is_backed_up_once(tmp_path: Path) -> None:
    also = [{"name": "again", "database": "app_prod"}]
    services = {"postgresql": {"x-bulkhead": {"backup": {"also": also}}}}
    inventory = read(write(tmp_path, {"p": {**PRODUCTION, "bulkhead_services": services}}))
    (declaration,) = declarations(inventory).values()
    assert Renderer(inventory.loader).render(declaration) is None
    assert "postgresql and again in x-bulkhead.backup are both the database" in declaration.problems[0].message


def test_what_is_said() -> None:
    part = {"bytes": 3 << 20}
    backup = {"path": "/b/x", "bytes": 3 << 20, "seconds": 2.0, "removed": ["y"], "recipients": 0, "notes": []}
    assert made("aiia_prod", backup) == "aiia_prod: /b/x (3.0 MiB, read back, 2.0 s); 1 older one removed"
    assert made("aiia_prod", {**backup, "notes": ["older"]}).endswith("removed; older")
    encrypted = {**backup, "removed": [], "recipients": 2}
    assert made("aiia_prod", encrypted).endswith("2.0 s); copied off the machine, encrypted for 2 recipients")
    entry = {"name": "x", "created": "t", "reason": "by hand", "release": "", "parts": [part, part]}
    last = {"succeeded": False, "began": "t", "message": "no\nmore"}
    assert listing("aiia_prod", {"backups": [entry], "last": last}) == [
        "aiia_prod: 1 backup",
        "  x  t  6.0 MiB  by hand",
        "  the last scheduled backup (t) failed: no",
    ]
    assert [size(count) for count in (0, 1023, 2048, 1 << 50)] == ["0 B", "1023 B", "2.0 KiB", "1024.0 TiB"]


def test_a_schedule_is_known_by_its_exact_name() -> None:
    def seen(*paths: str) -> bool:
        return is_scheduled("aiia_prod", {"schedules": [{"path": path} for path in paths]})

    assert seen("/etc/cron.d/bulkhead-aiia_prod-backup") and seen("/etc/systemd/system/bulkhead-aiia_prod-backup.timer")
    assert not seen("/etc/cron.d/bulkhead-aiia_prod_eu-backup", "/etc/cron.d/bulkhead-aiia_prod")


@pytest.mark.parametrize(("django", "kinds"), [({}, {"postgresql", "files"}), ({"volumes": []}, {"postgresql"})])
def test_what_of_a_stack_is_backed_up(tmp_path: Path, django: dict[str, Any], kinds: set[str]) -> None:
    """What is on a volume. A task that may be on any node has no container on the one with the data to copy from."""
    declaration, release = attempted(tmp_path, bulkhead_services={"django": django})
    assert {part["kind"] for part in all_arguments(declaration, release)["parts"]} == kinds
