# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases beside those in use: what they are called meanwhile, and which servers can read which."""

from __future__ import annotations

from ansible_collections.aiia.bulkhead.plugins.module_utils.postgresql import major
from ansible_collections.aiia.bulkhead.plugins.module_utils.replacement import aside, is_aside

STAMP = "20260725031500"


def test_names_beside() -> None:
    name = aside("aiia_prod", "before", STAMP)
    assert name == f"aiia_prod_before_{STAMP}" and is_aside(name, "aiia_prod", "before")
    assert not is_aside(name, "aiia_prod", "restore") and not is_aside(name, "aiia", "before")
    assert not is_aside("aiia_prod_before_christmas_day", "aiia_prod", "before")
    long = aside("x" * 60, "before", STAMP)
    assert len(long) <= 63 and is_aside(long, "x" * 60, "before") and STAMP in long


def test_versions() -> None:
    assert [major(each) for each in ("17.5 (Debian 17.5-1)", "9.6.24", "18beta1", "")] == [17, 9, 18, 0]
