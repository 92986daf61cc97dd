# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profiles of docs/profiles.md, as their readers copy them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parents[1] / "docs" / "profiles.md"


class Profile(NamedTuple):
    """The text for ``group_vars/all/main.yml``, and the services that the page's table names."""

    text: str
    services: frozenset[str]


def profiles() -> dict[str, Profile]:
    """Each profile of the page by its heading. Raises ValueError where table, headings and texts do not agree."""
    page = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[([^\]]+)\]\(#[\w-]+\) \| ([^|]+) \|", page, re.MULTILINE))
    texts = {
        section.partition("\n")[0]: re.findall(r"```yaml\n(# group_vars/all/main\.yml: .*?)```", section, re.DOTALL)
        for section in page.split("\n## ")[1:]
    }
    if list(rows) != list(texts) or any(len(found) != 1 for found in texts.values()):
        raise ValueError(f"{PAGE}: the table and the sections differ, or a section has not exactly one text")
    return {
        name: Profile(texts[name][0], frozenset(cell.strip().lower() for cell in rows[name].split(",")))
        for name in rows
    }
