# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is behind the front door is asked where that listens."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.answers import FRONT_DOOR, at_the_door
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.kept import SETTINGS
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorSettings
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live import probes


@pytest.mark.parametrize(
    ("listens", "asked"),
    [
        (("0.0.0.0", "::"), [("127.0.0.1", False), ("::1", True)]),
        (("0.0.0.0",), [("127.0.0.1", False)]),
        (("203.0.113.5", "2001:db8::5"), [("203.0.113.5", False), ("2001:db8::5", False)]),
    ],
)
def test_at_every_address_of_the_door(tmp_path: Path, listens: tuple[str, ...], asked: list[tuple[str, bool]]) -> None:
    path = tmp_path / SETTINGS
    path.parent.mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    path.write_text(json.dumps(dataclasses.asdict(DoorSettings(addresses=listens))))
    found = at_the_door([{"address": FRONT_DOOR, "optional": False, "host": "example.com"}], str(tmp_path))
    assert [(one["address"], one["optional"], one["host"]) for one in found] == [(*one, "example.com") for one in asked]
    (file,) = at_the_door([{"address": FRONT_DOOR, "kind": "asset"}], str(tmp_path))
    assert file["address"] == asked[0][0]


def test_without_a_door_what_it_would_have_is_asked(tmp_path: Path) -> None:
    """Nobody answers there, and that is said."""
    found = at_the_door([{"address": FRONT_DOOR}], str(tmp_path))
    assert [one["address"] for one in found] == ["127.0.0.1", "::1"]


def test_what_is_not_behind_it_is_asked_where_it_was() -> None:
    assert at_the_door([{"address": "10.0.0.1", "optional": True}, {}], "/nowhere") == [
        {"address": "10.0.0.1", "optional": True}, {},
    ]  # fmt: skip


def test_controller_and_machine_call_it_the_same() -> None:
    """The two share no code in which the value could be written once."""
    assert probes.FRONT_DOOR == FRONT_DOOR
