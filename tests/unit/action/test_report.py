# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook of the report, on machines that do not exist: it contacts none unasked, and says which one is away."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import ROOT
from unit.fleets import PRODUCTION, STAGING
from unit.runs import fleet, play

pytestmark = pytest.mark.slow

BOOK = ROOT / "playbooks" / "report.yml"


def test_without_a_word_no_machine_is_contacted(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run = play(fleet(tmp_path), "-e", f"bulkhead_report={page}", playbook=BOOK)
    assert run.code == 0, run.output
    text = page.read_text(encoding="utf-8")
    assert "no machine was contacted" in text and "The machines now" not in text
    assert page.stat().st_mode & 0o777 == 0o600 and f"written: {page}" in run.words


def test_a_machine_that_is_away_is_said(tmp_path: Path) -> None:
    """The run ends as the proof did, whatever the machines say."""
    page = tmp_path / "page.html"
    options = ("-e", f"bulkhead_report={page}", "-e", "bulkhead_report_live=true")
    run = play(fleet(tmp_path), *options, playbook=BOOK)
    assert run.code == 0, run.output
    text = page.read_text(encoding="utf-8")
    assert text.count('<span class="bad">unreachable</span>') == 2 and "cannot be asked" in text
    assert "2 environments: 0 well, 2 unreachable" in run.words


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = play(fleet(tmp_path), "-e", f"bulkhead_report={tmp_path}/none/page.html", playbook=BOOK)
    assert run.code == 2 and "Traceback" not in run.output
    assert f"cannot write the report to {tmp_path}/none/page.html (bulkhead_report): No such file" in run.words


def test_what_stops_a_deployment_fails_the_run(tmp_path: Path) -> None:
    """And the page is there all the same: it is what one looks at then."""
    groups = {"production": PRODUCTION, "staging": {**STAGING, "bulkhead_http_port": 80}}
    page = tmp_path / "page.html"
    run = play(fleet(tmp_path, groups), "-e", f"bulkhead_report={page}", playbook=BOOK)
    assert run.code == 2 and "refused before any host was contacted: shared-port" in run.words
    assert "Refused: 1 finding" in page.read_text(encoding="utf-8")


def test_another_word_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ("-e", f"bulkhead_report={page}", "-e", "bulkhead_report_live=perhaps")
    run = play(fleet(tmp_path), *options, playbook=BOOK)
    assert run.code == 2 and "bulkhead_report_live" in run.words and not page.exists()
