# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of strangers, reduced from what public repositories hold: right when it speaks, and it speaks when it should.

``real/expect.yml`` has the right answer for each directory of ``real/``: rules that must not speak at medium or above,
and rules of which one must. ``real/variations.yml`` changes single files of a case, so that a mended kind stays mended.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.check import check
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.request import parse
from hazards.cases import HERE, load_yaml

REAL = HERE / "real"
CASES: dict[str, Mapping[str, Any]] = {case["id"]: case for case in load_yaml(REAL / "expect.yml")}
VARIATIONS: list[Mapping[str, Any]] = load_yaml(REAL / "variations.yml")


def judged(directory: Path) -> list[Finding]:
    """The findings at medium or above for a directory with a ``check.yml``."""
    request = parse({"config": str(directory / "check.yml"), "compose_cli": "never"}, directory)
    return [finding for finding in check(request, date(2026, 1, 1)).findings if finding.severity >= Severity.MEDIUM]


def wrong(expected: Mapping[str, Any], findings: list[Finding]) -> str:
    """What is wrong with the findings; empty if nothing is."""
    loud = {finding.rule: finding for finding in findings}
    for rule in expected.get("must_not", ()):
        if rule in loud:
            return f"{rule} speaks: {loud[rule].message}"
    wanted = set(expected.get("must_any", ()))
    if wanted and not wanted & loud.keys():
        return f"none of {', '.join(sorted(wanted))} speaks; found: {', '.join(sorted(loud)) or 'nothing'}"
    return ""


def full_id(short: str) -> str:
    """The id of a case by its number."""
    return next(name for name in CASES if name.startswith(f"{short}-"))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    """The answer for a reduced case is the right one."""
    fault = wrong(CASES[name], judged(REAL / name))
    if fault:
        pytest.fail(f"{fault}\n\n{CASES[name]['why']}", pytrace=False)


@pytest.mark.parametrize("variation", VARIATIONS, ids=lambda item: f"{item['of']}-{item['title'].replace(' ', '_')}")
def test_variation(variation: Mapping[str, Any], tmp_path: Path) -> None:
    """What holds for a case holds for others of its kind; without its excuse, the finding is back."""
    directory = tmp_path / "files"
    shutil.copytree(REAL / full_id(variation["of"]), directory)
    for path, text in variation["files"].items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            (directory / path).unlink()
        else:
            (directory / path).write_text(text)
    case = CASES[full_id(variation["of"])]
    expected = variation if {"must_not", "must_any"} & variation.keys() else case
    fault = wrong(expected, judged(directory))
    if fault:
        pytest.fail(fault, pytrace=False)


def test_every_case_has_variations() -> None:
    """At least two of its kind for each, so that nothing is tuned to one file."""
    counted = {name: sum(full_id(item["of"]) == name for item in VARIATIONS) for name in CASES}
    assert [name for name, count in counted.items() if count < 2] == []


def test_no_case_is_missing() -> None:
    """Each directory has its answer, and each answer its directory."""
    assert sorted(CASES) == sorted(path.name for path in REAL.iterdir() if path.is_dir())
