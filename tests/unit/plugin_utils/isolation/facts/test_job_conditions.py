# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For which events a condition of a workflow holds, and which variables a script compares."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.effects import printed_lines, reading_lines
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.guards import checked_variables
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.job_conditions import may_run
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.documents import read_document


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("", None),
        ("github.event_name == 'push'", True),
        ("github.event_name != 'push'", False),
        ("${{ github.event_name == 'pull_request' }}", False),
        ("!(github.event_name == 'push')", False),
        ("success() && github.event_name == 'pull_request'", False),
        ("success() && github.event_name == 'push'", None),
        ("success() || github.event_name == 'push'", True),
        ("success() || github.event_name == 'pull_request'", None),
        ("(success() || failure()) && (github.event_name != 'push')", False),
        ('contains(fromJSON(\'["push", "schedule"]\'), github.event_name)', True),
        ("contains('pull_request,schedule', github.event_name)", False),
        ("'a && b' == inputs.x", None),
        ("((((" * 20, None),
        ("!" * 100 + "github.event_name == 'push'", None),
    ],
)
def test_may_run(condition: str, holds: bool | None) -> None:
    """What is unknown stays unknown."""
    assert may_run(condition, "push") is holds


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('if [ "$A" != x ]; then exit 1; fi', {"A"}),
        ("[[ $A == x ]] || exit 2", {"A"}),
        ('[ -z "$A" ] && exit 1', set()),
        ('if [ "$A" != "$B" ]; then exit 1; fi', set()),
        ('if [ "$A" != x ]; then echo no; exit 0; fi', set()),
        ('if [ "$A" != x ]; then echo no; fi', set()),
        ('case "$A" in x) ;; *) echo no; exit 1 ;; esac', {"A"}),
        ('case "$A" in x) ;; *) echo other ;; esac', set()),
        ("case $A in x) exit 1 ;; y) ;; esac", set()),
    ],
)
def test_checked_variables(text: str, names: set[str]) -> None:
    """Only a comparison that ends the script counts."""
    assert checked_variables(read_document("a.sh", text)) == names


@pytest.mark.parametrize(
    ("text", "printed", "reading"),
    [
        ("echo a\nrm a", {1}, {1}),
        ("echo a | sh", set(), set()),
        ("echo a > f", set(), set()),
        ("echo a >&2", {1}, {1}),
        ("echo a; rm b", set(), set()),
        ("log_info 'a\nb'\ntrue", {1, 2}, {3}),
        ("ls a* | wc -l", set(), {1}),
        ("rm $(ls a*)", set(), set()),
        ("N=$(ls a* | wc -l)", set(), {1}),
        ("find . -name 'a*' -delete", set(), set()),
        ("find . -name 'a*'", set(), {1}),
        ("docker ps -a", set(), {1}),
    ],
)
def test_lines_without_effect(text: str, printed: set[int], reading: set[int]) -> None:
    """What is only shown, and what is only read."""
    document = read_document("a.sh", text)
    assert (printed_lines(document), reading_lines(document)) == (printed, reading)
