# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds a lock, for others to read."""

from __future__ import annotations

import getpass
import os

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.session import holder


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 4242"), OSError("No username set")])
def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As in a container of a pipeline; Python 3.13 raises another error than those before."""

    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert holder().startswith(f"user {os.getuid()}@")
