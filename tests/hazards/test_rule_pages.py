# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each rule has a page, which is what the rule and its cases say."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import arrange
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import page_of, rules
from checkout import ROOT
from hazards import rule_pages
from hazards.cases import arguments, reader

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_pages_are_not_stale() -> None:
    """A rule or a case that changes takes its page along."""
    assert rule_pages.main(["--check"]) == 0, f"run {rule_pages.COMMAND}"


def test_every_rule_has_its_page() -> None:
    """It is where a finding says, and nothing else has one."""
    assert all((ROOT / page_of(name)).is_file() for name in rules())
    assert page_of("seen-on-the-machine") == ""


@pytest.mark.parametrize("name", sorted(rules()))
def test_what_a_page_shows_is_true(name: str) -> None:
    """Its first input, read from the page, is found, and its second is not; its waiver is one."""
    text = (ROOT / page_of(name)).read_text(encoding="utf-8")
    *inputs, waiver = (yaml.safe_load(block) for block in _BLOCK.findall(text))
    titles = re.findall("^## (What it .*)$", text, re.MULTILINE)
    assert len(titles) == len(inputs)
    for title, environments in zip(titles, inputs, strict=True):
        fleet = Fleet(tuple(assemble(**arguments(item, reader(item, environments))) for item in environments))
        findings = arrange(rules()[name].findings(fleet))
        assert bool(findings) is (title == "What it finds")
        if findings:
            assert " ".join(findings[0].message.split()) in text
            assert waiver["bulkhead_waivers"][0]["resource"] in {finding.resource for finding in findings}
    assert waiver["bulkhead_waivers"][0]["rule"] == name
    assert date.fromisoformat(waiver["bulkhead_waivers"][0]["until"])


def test_stale_pages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a page is missing, changed, or of a rule that is gone."""
    monkeypatch.setattr(rule_pages, "PAGES", tmp_path)
    assert rule_pages.main(["--check"]) == 1
    (tmp_path / "former-rule.md").write_text("gone")
    assert rule_pages.main(["--write"]) == 0
    assert rule_pages.main(["--check"]) == 0
    (tmp_path / "shared-port.md").unlink()
    assert rule_pages.main(["--check"]) == 1
