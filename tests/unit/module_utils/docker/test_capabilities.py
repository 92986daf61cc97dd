# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which capability a program lacks, by its own last words."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.capabilities import capability_hint


@pytest.mark.parametrize(
    ("said", "added"),
    [
        ("chown: changing ownership of '/data': Operation not permitted", "[CHOWN]"),
        ('failed switching to "redis": operation not permitted\nsetgid: not allowed', "[SETGID, SETUID]"),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "[NET_BIND_SERVICE, DAC_OVERRIDE]"),
        ("mkdir: cannot create directory '/var/lib/x': Permission denied", "[DAC_OVERRIDE]"),
        ("su: cannot set groups: Operation not permitted", "[SETGID, SETUID]"),
    ],
)
def test_what_to_add(said: str, added: str) -> None:
    container = {"HostConfig": {"CapDrop": ["ALL"], "CapAdd": None}}
    assert f"cap_add: {added}," in capability_hint(container, f"starting\n{said}\n")


def test_what_it_has_already_stays() -> None:
    container = {"HostConfig": {"CapDrop": ["ALL"], "CapAdd": ["CAP_CHOWN"]}}
    said = "setgid: Operation not permitted"
    assert "cap_add: [CHOWN, SETGID, SETUID]," in capability_hint(container, said)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"CapDrop": ["ALL"]}, "ModuleNotFoundError: no module named x"),
        ({"CapDrop": None}, "chown: Operation not permitted"),
        ({"CapDrop": ["ALL"], "CapAdd": ["ALL"]}, "chown: Operation not permitted"),
        ({}, "chown: Operation not permitted"),
    ],
)
def test_another_reason(host: dict[str, object], said: str) -> None:
    assert capability_hint({"HostConfig": host}, said) == ""
