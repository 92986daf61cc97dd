# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Listening sockets of this machine, and the processes that hold them."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import sockets

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TCP = HEADING + (
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 4711 1\n"
    "   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1\n"
    "   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4713 1\n"
    "   3: 0264A8C0:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1\n"
    "garbage\n"
)
NONE6, ONE6 = "0" * 32, "0" * 24 + "01000000"
TCP6 = HEADING + (
    f"   0: {NONE6}:01BB {NONE6}:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4801 1\n"
    f"   1: {ONE6}:1F91 {NONE6}:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4802 1\n"
    f"   2: B80D0120000000000000000001000000:2382 {NONE6}:0000 0A 0:0 00:00000000 00000000     0        0 4803 1\n"
    f"   3: 0000000000000000FFFF00000100007F:1F92 {NONE6}:0000 0A 0:0 00:00000000 00000000     0        0 4804 1\n"
    f"   4: {ONE6}:1F93 {ONE6}:0001 06 0:0 00:00000000 00000000     0        0 4805 1\n"
)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Replace the kernel's tables."""
    texts = {"/proc/net/tcp": TCP, "/proc/net/tcp6": TCP6}

    def fake(path: str, *_args: Any) -> io.StringIO:
        if path not in texts:
            raise FileNotFoundError(path)
        return io.StringIO(texts[path])

    monkeypatch.setattr(builtins, "open", fake)
    return texts


def test_restarts_of_a_server_inside_its_container(tables: dict[str, str]) -> None:
    """Its listening sockets, if the process id leads to the network with its address."""
    tables["/proc/7/net/tcp"], tables["/proc/7/net/tcp6"] = TCP, TCP6
    tables["/proc/7/net/fib_trie"] = "           |-- 172.18.0.2\n              /32 host LOCAL\n"
    assert sockets.restarts_of(7, "172.18.0.2", 443) == "4714,4801"
    assert sockets.restarts_of(7, "172.18.0.2", 6379) == ""
    assert sockets.restarts_of(7, "172.18.0.22", 443) == sockets.restarts_of(8, "172.18.0.2", 443) == ""


def test_connections_of_the_front_door() -> None:
    """Accepted or not; a listening socket is none, and neither is another container's connection."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, contextlib.ExitStack() as stack:  # a path has 107 bytes
        path = Path(folder, "0123456789ab", "https.sock")
        path.parent.mkdir()
        names = ["0123456789ab/http.sock", "0123456789ab/https.sock"]
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(path))
        server.listen(2)
        assert sockets.connected_to(names) == 0
        for _number in range(2):
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
        assert sockets.connected_to(names) == 2
        stack.enter_context(server.accept()[0])
        assert sockets.connected_to(names) == 2
        assert sockets.connected_to(["ba9876543210/https.sock"]) == sockets.connected_to(["ab/https.sock"]) == 0
    assert sockets.connected_to(names, "/nowhere") == 0


def test_reads_both_tables(tables: dict[str, str]) -> None:
    assert sockets.listening() == [
        ("127.0.0.1", 8080, "4711"),
        ("", 80, "4712"),
        ("192.168.100.2", 443, "4714"),
        ("", 443, "4801"),
        ("::1", 8081, "4802"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", 9090, "4803"),
        ("127.0.0.1", 8082, "4804"),
    ]


def test_a_machine_without_ipv6(tables: dict[str, str]) -> None:
    del tables["/proc/net/tcp6"]
    assert len(sockets.listening()) == 3


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_real_socket_is_found_with_its_process(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as server:
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        port = server.getsockname()[1]
        own = (address, port)
        assert not [entry for entry in sockets.listening() if entry[:2] == own]  # bound and not listening: not taken
        server.listen()
        (found,) = [entry for entry in sockets.listening() if entry[:2] == own]
        name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        assert sockets.process_of(found[2]) == f"{name} (pid {os.getpid()})"


def test_a_process_that_may_not_be_seen() -> None:
    assert sockets.process_of("0") == ""
