# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What check mode shows of a step."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, as_dicts
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.step import as_foreseen

STEPS = {"steps": as_dicts([Step("write", ".env", "file"), Step("restart", "aiia_prod_web", "container")])}
SHOWN = "aiia_prod: would do:\n  write .env\n  restart aiia_prod_web"


@pytest.mark.parametrize(
    ("result", "diff", "shown"),
    [
        (STEPS, False, SHOWN),
        (STEPS, True, SHOWN),
        ({**STEPS, "diff": []}, False, SHOWN),
        ({**STEPS, "diff": []}, True, ""),
        ({**STEPS, "failed": True}, False, ""),
        ({"steps": []}, False, ""),
        ({}, False, ""),
    ],
)
def test_what_would_be_done_is_shown_once(result: dict[str, Any], diff: bool, shown: str) -> None:
    assert as_foreseen("aiia_prod", result, diff) == shown
