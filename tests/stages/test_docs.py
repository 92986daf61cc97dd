# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make docs`: no link leads nowhere, and whatever a user can name has its page."""

from __future__ import annotations

import sys

from stages.tools import CACHE, REPOSITORY, run_tool

SITE = CACHE / "docs/html"


def pages() -> set[str]:
    """The pages that there must be, without their ending."""
    docs = REPOSITORY / "docs"
    wanted = {page.relative_to(docs).with_suffix("").as_posix() for page in docs.rglob("*.md")}
    for kind, folder, pattern in (
        ("module", "modules", "*.py"),
        ("filter", "filter", "*.yml"),
        ("test", "test", "*.yml"),
    ):
        wanted |= {f"reference/{path.stem}_{kind}" for path in (REPOSITORY / "plugins" / folder).glob(pattern)}
    wanted |= {
        f"reference/{path.parent.parent.name}_role" for path in REPOSITORY.glob("roles/*/meta/argument_specs.yml")
    }
    return wanted | {"index", "start", "playbooks", "reference/story_callback"}


def test_the_site() -> None:
    """The site is built without a warning."""
    run_tool("docs", [sys.executable, "tests/setup/docs.py"])
    missing = [name for name in sorted(pages()) if not (SITE / f"{name}.html").is_file()]
    assert missing == []
    shown = (SITE / "playbooks.html").read_text(encoding="utf-8")
    assert [path.stem for path in (REPOSITORY / "playbooks").glob("*.yml") if f".{path.stem}" not in shown] == []
