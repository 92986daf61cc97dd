# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an inspected container says."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.containers import published, published_by


def binding(port: str, address: str = "") -> list[dict[str, str]]:
    return [{"HostIp": address, "HostPort": port}]


@pytest.mark.parametrize(
    ("asked", "given", "ports"),
    [
        (None, None, []),
        (binding("80"), {"80/tcp": [*binding("80", "0.0.0.0"), *binding("80", "::")]}, [(80, "")]),
        (binding("80", "127.0.0.1"), {}, [(80, "127.0.0.1")]),
        # Any port, or one of a range: the engine has chosen.
        (binding(""), {"80/tcp": binding("32768", "0.0.0.0")}, [(32768, "0.0.0.0")]),
        (binding("0"), {"80/tcp": binding("32768", "0.0.0.0")}, [(32768, "0.0.0.0")]),
        (binding("8000-8002"), {"80/tcp": binding("8001", "0.0.0.0")}, [(8001, "0.0.0.0")]),
        # A stopped container may get each of them.
        (binding("8000-8002"), {}, [(8000, ""), (8001, ""), (8002, "")]),
        (binding(""), {"80/tcp": None}, []),
        # --publish-all has no bindings that are asked for.
        (None, {"80/tcp": binding("32769", "::")}, [(32769, "::")]),
    ],
)
def test_what_a_container_publishes(asked: Any, given: Any, ports: list[tuple[int, str]]) -> None:
    container = {
        "HostConfig": {"PortBindings": asked and {"80/tcp": asked}},
        "NetworkSettings": {"Ports": given},
    }
    assert published_by(container) == ports
    assert list(published([container])) == [(port, address, container) for port, address in ports]
