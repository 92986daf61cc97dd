# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP/1.1 connection and one websocket over TLS that hide nothing: no retry, no silent reconnect.

What became of an answer is told apart exactly, since a measurement of dropped requests stands on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import h11
import wsproto
from wsproto import events

#: What a server says that ends on purpose: normal closure, going away, restarting.
CLEAN_CODES = frozenset({1000, 1001, 1012})
READ = 65536


class Unanswered(Exception):
    """The connection ended before one byte of the answer came."""


class Broken(Exception):
    """An answer began and is not whole, or is none."""


class Closed(Exception):
    """The server said goodbye with a close frame, as one does that ends on purpose."""


@dataclass(frozen=True)
class Peer:
    """Where an environment's nginx listens on this machine, and what it is asked for."""

    name: str
    port: int
    domain: str
    context: ssl.SSLContext
    address: str = "127.0.0.1"

    @property
    def host(self) -> str:
        """The Host header."""
        return f"{self.domain}:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection that asks for the domain and checks the certificate."""
        return await asyncio.open_connection(
            self.address, self.port, ssl=self.context, server_hostname=self.domain, ssl_shutdown_timeout=0.5
        )


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Connection:
    """A connection for one request after the other."""

    peer: Peer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    asked: int = 0
    _heard: bool = False

    @classmethod
    async def open(cls, peer: Peer) -> Connection:
        """Connect; raises OSError where nobody takes the connection."""
        return cls(peer, *await peer.connect())

    @property
    def usable(self) -> bool:
        """Whether the next request may go over it, as far as can be known on this side."""
        return self.protocol.our_state is h11.IDLE and not self.reader.at_eof() and not self.writer.is_closing()

    async def ask(self, method: str, path: str, pieces: Sequence[bytes] = (), pause: float = 0) -> Reply:
        """Send a request, its body in pieces with a pause before each, and return the answer."""
        self.asked += 1
        self._heard = False
        try:
            await self._send(method, path, pieces, pause)
            reply = await self._receive()
        except (OSError, h11.RemoteProtocolError) as error:
            self.close()
            # asyncio says "[Errno 104] Connection reset by peer" or, for an end without an answer, what h11 says.
            raise (Broken if self._heard else Unanswered)(str(error) or type(error).__name__) from error
        except BaseException:
            self.close()
            raise
        if self.protocol.our_state is h11.DONE and self.protocol.their_state is h11.DONE:
            self.protocol.start_next_cycle()
        else:
            self.close()
        return reply

    async def _send(self, method: str, path: str, pieces: Sequence[bytes], pause: float) -> None:
        headers = [("Host", self.peer.host), ("User-Agent", "bulkhead-load")]
        if pieces:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(sum(map(len, pieces))))]
        self._write(h11.Request(method=method, target=path, headers=headers))
        for piece in pieces:
            if pause:
                await self.writer.drain()
                await asyncio.sleep(pause)
            self._write(h11.Data(data=piece))
        self._write(h11.EndOfMessage())
        await self.writer.drain()

    def _write(self, event: h11.Event) -> None:
        self.writer.write(self.protocol.send(event) or b"")

    async def _receive(self) -> Reply:
        status, headers, body = 0, {}, bytearray()
        while True:
            event = self.protocol.next_event()
            if event is h11.NEED_DATA:
                data = await self.reader.read(READ)
                self._heard = self._heard or bool(data)
                self.protocol.receive_data(data)
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode().lower(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Reply(status, headers, bytes(body))
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("the connection was closed")

    def close(self) -> None:
        """Close without waiting for the other side."""
        with contextlib.suppress(Exception):
            self.writer.close()


@dataclass
class Websocket:
    """A websocket that is always listened to, so that a goodbye is heard when it is said."""

    peer: Peer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: wsproto.WSConnection
    answers: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _listening: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, peer: Peer, path: str) -> Websocket:
        """Connect and shake hands; raises OSError or Broken where that is refused."""
        made = cls(peer, *await peer.connect(), wsproto.WSConnection(wsproto.ConnectionType.CLIENT))
        try:
            made.writer.write(made.protocol.send(events.Request(host=peer.host, target=path)))
            incoming = made._events()
            first = await anext(incoming, None)
            if not isinstance(first, events.AcceptConnection):
                status = getattr(first, "status_code", "nothing")
                raise Broken(f"no websocket: answered {status}")
        except BaseException:
            made.close()
            raise
        made._listening = asyncio.create_task(made._listen(incoming))
        return made

    async def _events(self) -> AsyncIterator[events.Event]:
        while data := await self.reader.read(READ):
            try:
                self.protocol.receive_data(data)
            except wsproto.utilities.RemoteProtocolError as error:
                raise Broken(f"not the websocket protocol: {error}") from error
            for event in self.protocol.events():
                yield event

    async def _listen(self, incoming: AsyncIterator[events.Event]) -> None:
        async for event in incoming:
            if isinstance(event, events.TextMessage):
                self.answers.put_nowait(event.data)
            elif isinstance(event, events.Ping):
                self.writer.write(self.protocol.send(event.response()))
            elif isinstance(event, events.CloseConnection):
                self.writer.write(self.protocol.send(event.response()))
                if event.code in CLEAN_CODES:
                    raise Closed(str(event.code))
                raise Broken(f"closed with code {event.code}")
        raise Broken("the connection ended without a close frame")

    async def echo(self, text: str) -> None:
        """Send a text and wait for it; raises Closed after a goodbye, and Broken or OSError where none was said."""
        assert self._listening is not None
        if not self._listening.done():
            self.writer.write(self.protocol.send(events.TextMessage(data=text)))
        answer = asyncio.create_task(self.answers.get())
        try:
            await asyncio.wait({answer, self._listening}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await self._listening
        finally:
            answer.cancel()
        if answer.result() != text:
            raise Broken("another text came back")

    async def leave(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(OSError, wsproto.utilities.LocalProtocolError):
            self.writer.write(self.protocol.send(events.CloseConnection(code=1000)))
            await self.writer.drain()
        self.close()

    def close(self) -> None:
        """End the connection without a word."""
        if self._listening is not None and not self._listening.cancel():
            self._listening.exception()  # looked at, so that asyncio does not complain
        with contextlib.suppress(Exception):
            self.writer.close()
