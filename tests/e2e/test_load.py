# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load generator is itself proved: a server misbehaves so many times, and exactly so many requests failed."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import wsproto
from guide_stack import self_signed
from load import Load, Pace
from load_report import Record, Summary, Writes, percentile
from wire import Peer
from wsproto import events

DOMAIN = "load.example"
NAME = "aiia_test"
TIMES = 3
#: A timeout that a machine with other things to do keeps as well; only the tests of silence wait for it.
QUICK = Pace(rate=80, timeout=2, slow=0.1, echo=0.02)


@dataclass
class Call:
    """One request as the server sees it."""

    method: str
    path: str
    body: bytes
    reused: bool
    writer: asyncio.StreamWriter

    @property
    def websocket(self) -> bool:
        return self.path.startswith("/ws/")

    @property
    def posts(self) -> bool:
        return self.method == "POST"


@dataclass
class Server:
    """The demo's application in small, with faults: `fault` befalls the next `left` requests that it fits."""

    fault: str = ""
    left: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    port: int = 0
    loop: asyncio.AbstractEventLoop | None = None

    def befalls(self, call: Call) -> str:
        """The fault of this request, if it is to have one."""
        where, _unused, what = self.fault.partition(": ")
        fits = {
            "new": not call.reused and not call.websocket,
            "reused": call.reused,
            "any": not call.websocket,
            "post": call.posts,
            "reused post": call.posts and call.reused,
            "opening": call.websocket,
            "websocket": False,  # befalls a text, not the handshake
        }
        if not self.left or not fits.get(where):
            return ""
        self.left -= 1
        return what

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        reused = False
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _version = head.split(b"\r\n")[0].decode().split()
                headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                body = await reader.readexactly(int(headers.get(b"content-length", 0)))
                call = Call(method, path, body, reused, writer)
                if not await self.answer(call, head, reader):
                    break
                reused = True
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, call: Call, head: bytes, reader: asyncio.StreamReader) -> bool:
        """Answer one request; returns whether the connection goes on."""
        fault = self.befalls(call)
        if fault == "drop":
            return False
        if fault == "reset":
            reset(call.writer)
            return False
        if fault == "silent":
            await asyncio.sleep(QUICK.timeout + 0.2)
            return False
        if call.websocket and not fault:
            await self.echo(head, reader, call.writer)
            return False
        status, text = 200, "{}"
        if call.path == "/whoami/":
            text = json.dumps({"commit": "c0ffee"})
        elif call.path.startswith("/slow/"):
            await asyncio.sleep(QUICK.slow)
            text = json.dumps({"slept": QUICK.slow})
        elif call.posts:
            status, text = 201, call.body.decode()
            if fault != "forget":
                self.rows[json.loads(text)["text"]] += 1
        if fault == "keep and drop":
            return False
        if fault == "502":
            status = 502
        if fault == "another note":
            text = json.dumps({"text": "another"})
        name = "aiia_other" if fault == "stranger" else NAME
        answer = f"HTTP/1.1 {status} x\r\nX-Environment: {name}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
        call.writer.write(answer[:-1] if fault == "cut" else answer)
        await call.writer.drain()
        return not call.websocket and fault not in ("cut", "close afterwards")

    async def echo(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A websocket, until it is over or its fault befalls it."""
        protocol = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        protocol.receive_data(head)
        data = b""
        while True:
            for event in protocol.events():
                if isinstance(event, events.Request):
                    writer.write(protocol.send(events.AcceptConnection()))
                elif isinstance(event, events.CloseConnection):
                    return
                elif isinstance(event, events.TextMessage):
                    text, fault = event.data, ""
                    if self.left and self.fault.startswith("websocket: "):
                        self.left -= 1
                        fault = self.fault.removeprefix("websocket: ")
                    if fault == "end":
                        return
                    if fault == "reset":
                        reset(writer)
                        return
                    if fault.startswith("goodbye"):
                        writer.write(protocol.send(events.CloseConnection(code=int(fault.split()[1]))))
                        await writer.drain()
                        await reader.read(100)
                        return
                    if fault == "silent":
                        continue
                    writer.write(protocol.send(events.TextMessage(data="x" if fault == "another" else text)))
            if not (data := await reader.read(65536)):
                return
            protocol.receive_data(data)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a TCP reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_text("".join(self_signed([DOMAIN])), encoding="utf-8")
    return path


@contextmanager
def serving(certificate: Path) -> Iterator[tuple[Server, Peer]]:
    """The server in a thread of its own, and where it is."""
    made, ready, over = Server(), threading.Event(), threading.Event()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def run() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
        made.loop = asyncio.get_running_loop()
        made.port = server.sockets[0].getsockname()[1]
        ready.set()
        while not over.is_set():
            await asyncio.sleep(0.02)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made, Peer(NAME, made.port, DOMAIN, ssl.create_default_context(cafile=str(certificate)))
    finally:
        over.set()
        thread.join()


@contextmanager
def under_load(certificate: Path, pace: Pace) -> Iterator[tuple[Server, Load]]:
    """The server, and a load on it."""
    with serving(certificate) as (server, peer):  # noqa: SIM117  (pylint takes the peer for unassigned in one line)
        with Load([peer], pace) as load:
            yield server, load


def loaded(certificate: Path, fault: str) -> tuple[Load, Server]:
    """A short load on a server that this fault befalls three times."""
    with serving(certificate) as (server, peer):
        with Load([peer], QUICK) as load:
            load.rest(0.25)
            server.fault, server.left = fault, TIMES
            with load.during("fault"):
                until = time.monotonic() + 15
                while server.left and time.monotonic() < until:
                    load.rest(0.05)
                load.rest(0.15)
            load.rest(0.1)
        assert server.left == 0, "the fault did not befall as many requests as it should"
    return load, server


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("new: drop", "Unanswered"),
        ("new: reset", "Unanswered"),
        ("any: silent", "no answer in time"),
        ("any: 502", "answered 502"),
        ("any: cut", "Broken"),
        ("any: stranger", "answered by aiia_other"),
        ("post: another note", "about another note"),
        ("opening: drop", "no websocket"),
        ("opening: 502", "answered 502"),
        ("websocket: end", "without a close frame"),
        ("websocket: reset", "reset"),
        ("websocket: silent", "no answer in time"),
        ("websocket: another", "another text"),
        ("websocket: goodbye 1011", "closed with code 1011"),
    ],
)
def test_each_failure_counts_once(certificate: Path, fault: str, reason: str) -> None:
    """What a client would call an error is one, exactly as often as it happened."""
    if fault.startswith("opening"):
        # Somebody must have a reason to open one.
        fault_first = "websocket: goodbye 1001"
        load, _server = opened_again(certificate, fault_first, fault)
    else:
        load, _server = loaded(certificate, fault)
    assert [each for each in load.failures if reason not in each.failure] == [], load.report()
    assert len(load.failures) == TIMES, load.report()
    assert load.summary().failures == TIMES
    assert reason in load.report()


def opened_again(certificate: Path, first: str, then: str) -> tuple[Load, Server]:
    """A websocket that is told goodbye, and then cannot be opened three times."""
    with under_load(certificate, QUICK) as (server, load):
        load.rest(0.3)
        server.fault, server.left = first, 1
        while server.left:
            time.sleep(0.0005)
        server.fault, server.left = then, TIMES
        until = time.monotonic() + 15
        while server.left and time.monotonic() < until:
            load.rest(0.05)
        load.rest(0.2)
    return load, server


@pytest.mark.parametrize(
    "fault", ["reused: drop", "reused: reset", "any: close afterwards", "reused post: keep and drop"]
)
def test_what_a_client_bears_is_no_failure(certificate: Path, fault: str) -> None:
    """A reused connection that ends without an answer is tried once again; a row that this doubles is no fault."""
    load, server = loaded(certificate, fault)
    assert load.failures == [], load.report()
    if fault.startswith("reused"):
        assert load.summary().retried == TIMES, load.report()
    writes = load.targets[NAME].writes
    assert len(writes.acknowledged) > 10
    assert writes.faults(server.rows) == []


def test_a_second_end_without_answer_is_a_failure(certificate: Path) -> None:
    """One retry, not two: where the new connection ends as well, the request has failed."""
    with under_load(certificate, QUICK) as (server, load):
        load.rest(0.3)
        server.fault, server.left = "any: drop", 10**6
        load.rest(0.5)
        server.left = 0
        load.rest(0.3)
    kinds = {each.kind for each in load.failures}
    assert {"get", "post", "get new", "post new"} <= kinds, load.report()
    assert all("Unanswered" in each.failure for each in load.failures if not each.kind.startswith("websocket"))


@pytest.mark.parametrize("code", [1000, 1001, 1012])
def test_goodbyes_are_counted_and_are_no_failures(certificate: Path, code: int) -> None:
    """A websocket that is closed on purpose is opened again at once."""
    load, _server = loaded(certificate, f"websocket: goodbye {code}")
    assert load.failures == [], load.report()
    assert load.targets[NAME].goodbyes == TIMES
    assert sum(each.kind == "websocket open" for each in load.records) == TIMES + 1


def test_nobody_listens(certificate: Path) -> None:
    """A refused connection is a failure of every kind."""
    with serving(certificate) as (_server, peer):
        pass
    with Load([peer], QUICK) as load:
        load.rest(0.3)
    assert {each.kind for each in load.failures} >= {"get", "post", "get new", "slow", "upload", "websocket open"}
    assert len(load.failures) == len(load.records) > 10


def test_an_acknowledged_write_that_is_not_kept(certificate: Path) -> None:
    """Rows are compared with what was acknowledged, not with what was sent."""
    load, server = loaded(certificate, "post: forget")
    assert load.failures == []
    faults = load.targets[NAME].writes.faults(server.rows)
    assert len(faults) == TIMES and all("is lost" in each for each in faults)


def test_faults_of_rows() -> None:
    """Lost, foreign and too many are told apart; what was sent and never acknowledged may be there or not."""
    writes = Writes(Counter(a=1, b=1, c=2, d=1), {"a", "c"})
    assert writes.faults(Counter(a=1, c=2)) == writes.faults(Counter(a=1, b=1, c=1, d=1)) == []
    assert writes.faults(Counter(a=1)) == ["c was acknowledged and is lost"]
    assert writes.faults(Counter(a=2, c=1, x=1)) == [
        "x was never sent here",
        "a is there 2 times and was sent 1 times",
    ]


def test_numbers() -> None:
    """Percentiles are of what was answered, and without what takes long on purpose."""
    assert [percentile([3, 1, 2, 4], share) for share in (0.25, 0.5, 0.95, 1)] == [1, 2, 4, 4]
    records = [Record("a", "get", "before", 0, number / 1000) for number in range(1, 101)]
    records += [Record("a", "slow", "before", 0, 9), Record("a", "get", "before", 0, 8, failure="x", retried=True)]
    assert Summary.of(records) == Summary(102, 1, 1, 0.05, 0.095, 0.099, 0.1)
    assert str(Summary.of([])).split() == ["0", "0", "0", "-", "-", "-", "-"]


def test_a_stop_is_seen_by_all_that_fell_into_it(certificate: Path) -> None:
    """Latency counts from the moment a request was due, so that a stop of half a second is not one slow request."""
    with under_load(certificate, replace(QUICK, timeout=5)) as (server, load):
        load.rest(0.3)
        with load.during("stop"):
            assert server.loop is not None
            server.loop.call_soon_threadsafe(time.sleep, 0.5)
            load.rest(0.5)
        load.rest(0.2)
    seen = load.summary(phase="stop")
    assert load.failures == []
    assert seen.p50 > 0.1 and 0.4 < seen.worst < 2, load.report()


def test_it_ends_by_itself(certificate: Path) -> None:
    """A load that is forgotten does not go on for ever, and the caller is told."""
    with under_load(certificate, replace(QUICK, longest=0.2)) as (_server, load):
        time.sleep(1)
        with pytest.raises(AssertionError, match="ended by itself"):
            load.rest(0)
