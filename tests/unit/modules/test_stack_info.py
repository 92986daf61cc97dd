# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module that reads a swarm, on an engine that cannot say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.modules import stack_info
from unit.stacks import seen_swarm

NOTHING = {"prefix": "app_prod", "docker_host": "unix:///var/run/docker.sock", "kept": False, "wanted": "", "logs": []}


@pytest.mark.parametrize("asked", [{"kept": True}, {"wanted": "previous"}, {"logs": ["app_prod_web"]}])
@pytest.mark.parametrize("state", [{"refused": "the swarm does not have a leader"}, {"control": False}])
def test_without_quorum(asked: dict[str, Any], state: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for has no answer, and that is an error; the look alone says why itself."""
    monkeypatch.setattr(stack_info, "look", lambda _api: seen_swarm(**state))
    module: Any = SimpleNamespace(params=dict(NOTHING))
    assert stack_info.run(module)["look"] == seen_swarm(**state)
    module.params.update(asked)
    with pytest.raises(Failure, match=r"the swarm cannot be asked: .+ What runs goes on"):
        stack_info.run(module)
