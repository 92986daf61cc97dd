# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the links of pages lead on the site, and which playbooks say what to type."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from checkout import ROOT

sys.path.insert(0, str(ROOT / "tests/setup"))

from steps import StepFailed

import docs


@pytest.mark.parametrize(
    ("text", "folder", "shown"),
    [
        ("[a](docs/secrets.md#rotate)", "", "[a](secrets.md#rotate)"),
        ("[a](secrets.md)", "docs", "[a](secrets.md)"),
        ("[a](../live-gates.md)", "docs/rules", "[a](../live-gates.md)"),
        ("[a](../roles/engine/README.md)", "docs", f"[a]({docs.FILES}/roles/engine/README.md)"),
        ("[a](examples/README.md)", "", f"[a]({docs.FILES}/examples/README.md)"),
        ("[a](https://example.com/x) [b](#here)", "docs", "[a](https://example.com/x) [b](#here)"),
    ],
)
def test_links(text: str, folder: str, shown: str) -> None:
    """Pages are linked as pages, other files in the repository."""
    assert docs.linked(text, Path(folder)) == shown


def test_a_link_that_leads_nowhere() -> None:
    """It ends the build."""
    with pytest.raises(StepFailed, match=r"the link to \.\./roles/gone leads nowhere"):
        docs.linked("[a](../roles/gone)", Path("docs"))


def test_playbooks() -> None:
    """Every playbook says what to type, also on several lines."""
    table = docs.playbooks()
    assert table.count("\n| ") == 1 + len(list((ROOT / "playbooks").glob("*.yml")))
    assert (
        "`ansible-playbook aiia.bulkhead.destroy -l <environment> [--check] [-e bulkhead_confirm=<prefix>] [-e" in table
    )
