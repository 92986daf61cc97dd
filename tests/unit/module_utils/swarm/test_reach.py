# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines that try each other's ports: on loopback, each at an address of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm import reach
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm.ports import needed

HERE, THERE, WORD = "127.0.0.1", "127.77.0.2", "3f" * 16


@pytest.fixture
def ports() -> Iterator[list[tuple[str, int]]]:
    """A port of each protocol that nobody has."""
    found = []
    for protocol, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind((THERE, 0))
            found.append((protocol, probe.getsockname()[1]))
    yield found
    reach.end(THERE, found, WORD)


def target(ports: list[tuple[str, int]]) -> dict[str, object]:
    return {"address": THERE, **{kind: [port for name, port in ports if name == kind] for kind in ("tcp", "udp")}}


def test_a_listener_answers_until_it_is_told_to_end(ports: list[tuple[str, int]]) -> None:
    assert reach.listen(THERE, ports, WORD) == []
    assert reach.reach(HERE, [target(ports)], WORD) == []
    reach.end(THERE, ports, "00" * 16)  # not the run's word
    assert reach.reach(HERE, [target(ports)], WORD) == []
    began = time.monotonic()
    reach.end(THERE, ports, WORD)
    assert time.monotonic() - began < 2
    lost = reach.reach(HERE, [target(ports)], WORD)
    assert [(each["address"], each["protocol"], each["how"]) for each in lost] == [
        (THERE, "tcp", "Connection refused"),
        (THERE, "udp", "Connection refused"),
    ]


def test_another_word_gets_no_answer(ports: list[tuple[str, int]]) -> None:
    reach.listen(THERE, ports, WORD)
    (lost,) = reach.reach(HERE, [target(ports)], "00" * 16)
    assert (lost["protocol"], lost["how"]) == ("udp", "no answer within 3 s")


def test_a_port_that_is_held(ports: list[tuple[str, int]]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((THERE, ports[1][1]))
        assert reach.listen(THERE, ports, WORD) == [f"udp/{ports[1][1]}"]


def test_a_worker_listens_for_no_requests_to_managers() -> None:
    assert set(needed(True)) - set(needed(False)) == {("tcp", 2377)}
    assert set(needed(False)) == {("tcp", 7946), ("udp", 7946), ("udp", 4789)}
