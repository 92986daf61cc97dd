# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module of stacks, where all that it does is to renew the lock of its run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.permit import permit
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.locks import Locks
from ansible_collections.aiia.bulkhead.plugins.modules import stack


def renewed(state: Path, token: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The answer of the job ``renew`` of a run."""
    options = {
        "prefix": "app_prod",
        "token": token,
        "permit": permit("stack", "app_prod", token),
        "state_directory": str(state),
        "job": "renew",
        "_ansible_module_name": "aiia.bulkhead.stack",
    }
    with patch_module_args(options), pytest.raises(SystemExit):
        stack.main()
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def test_a_lock_is_renewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It had 20 seconds left."""
    Locks(str(tmp_path), now=lambda: time.time() - 100).take("app_prod", "mine", "me", 0)
    said = renewed(tmp_path, "mine", capsys)
    assert said["steps"] == [] and not said["changed"]
    assert Locks(str(tmp_path)).held()["app_prod"]["expires"] > time.time() + 100


def test_a_lock_that_another_run_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Locks(str(tmp_path)).take("app_prod", "theirs", "them", 0)
    said = renewed(tmp_path, "mine", capsys)
    assert said["failed"] and said["busy"] and "is now held by them" in said["msg"]
