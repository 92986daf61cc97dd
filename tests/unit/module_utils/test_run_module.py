# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module reports a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.run_module import answer


@pytest.mark.parametrize(
    ("detail", "put_back", "shown"),
    [
        ("line: 1\n    ^^^", "", {"detail": "line: 1\n    ^^^"}),
        ("", "", {}),
        ("", "The previous release serves again", {"put_back": "The previous release serves again", "steps": []}),
    ],
)
def test_a_failure_is_told_in_one_text(
    module: AnsibleModule, capsys: pytest.CaptureFixture[str], detail: str, put_back: str, shown: dict[str, Any]
) -> None:
    """A tool's output is one string, and absent if there is none."""

    def run(_module: AnsibleModule) -> dict[str, Any]:
        error = Failure("it failed", detail)
        error.put_back = put_back
        raise error

    module._name = "machine_info"
    with pytest.raises(SystemExit):
        answer(module, run, leased=False)
    said = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in said if key in ("detail", "put_back", "steps")} == shown
    assert said["failed"] is True and said["msg"] == "it failed"


def test_what_the_operating_system_refuses_is_a_failure_and_no_traceback(
    module: AnsibleModule, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_module: AnsibleModule) -> dict[str, Any]:
        raise OSError(28, "No space left on device", "/var/lib/bulkhead/locks")

    module._name = "machine_info"
    with pytest.raises(SystemExit):
        answer(module, run, leased=False)
    said = json.loads(capsys.readouterr().out)
    assert said["failed"] is True
    assert said["msg"] == (
        "the operating system refused: [Errno 28] No space left on device: '/var/lib/bulkhead/locks'"
    )
