# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steady traffic to environments through their own nginx, and an exact account of what was answered.

Requests are sent when they are due, whether those before them were answered or not: a stop of a second is seen by every
request that fell into it. **Failed** is a request without a valid answer (5xx, another environment's, a wrong status or
body, none within the time), after one retry where a *reused* connection ended before the first byte of the answer. A
websocket that ends with a close frame is opened again at once and has not failed; one that just dies has.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from load_report import Record, Summary, Writes, table
from wire import Broken, Closed, Connection, Peer, Reply, Unanswered, Websocket

#: The order in which the ordinary kinds take turns; "new" is for a connection of its own.
TURNS = ("get", "post", "get", "get new", "get", "post", "get", "post new")
UPLOAD_PIECES = 4


@dataclass(frozen=True)
class Pace:
    """How much of what. Bounds of the load: it ends by itself."""

    rate: float = 20.0  # ordinary requests a second, to each environment
    at_once: int = 24  # ordinary requests under way to each environment; those that are due beyond that are left out
    timeout: float = 30.0  # for one answer: a busy machine is slow, and has not dropped a request
    slow: float = 2.0  # how long a long request and a slow upload take; one of each is always under way
    echo: float = 0.25  # between two texts over the websocket
    longest: float = 1800.0  # then it stops, whatever the caller does


@dataclass
class Target:
    """One environment under load."""

    peer: Peer
    pace: Pace
    writes: Writes = field(default_factory=Writes)
    idle: deque[Connection] = field(default_factory=deque)
    goodbyes: int = 0
    left_out: int = 0

    def connection(self) -> Connection | None:
        """A connection that was used before and may be used again, the one that has rested longest."""
        while self.idle:
            found = self.idle.popleft()
            if found.usable:
                return found
            found.close()
        return None


class Failure(Exception):
    """There was an answer, and it is not valid."""


class Load:
    """Traffic to some environments while a block runs, in a thread with a loop of its own."""

    def __init__(self, peers: Sequence[Peer], pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self.targets = {peer.name: Target(peer, self.pace) for peer in peers}
        self.records: list[Record] = []
        self.phases: list[str] = []
        self.token = f"load-{secrets.token_hex(5)}"
        self._phase = ""
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    # What the caller does.

    def __enter__(self) -> Load:
        self.enter("before")
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let what is under way be answered, and end."""
        self._over.set()
        self._thread.join()
        if self._fault is not None:
            raise self._fault

    def enter(self, phase: str) -> None:
        """Requests that are due from now on belong to this phase."""
        if phase not in self.phases:
            self.phases.append(phase)
        self._phase = phase

    @contextmanager
    def during(self, phase: str, after: str = "after") -> Iterator[None]:
        """A phase that lasts as long as a block."""
        self.enter(phase)
        try:
            yield
        finally:
            self.enter(after)

    def rest(self, seconds: float) -> None:
        """Go on for a while, and notice where the load itself does not."""
        time.sleep(seconds)
        assert self._thread.is_alive(), "the load has ended by itself"

    @property
    def failures(self) -> list[Record]:
        """What failed, in either environment."""
        return [record for record in self.records if record.failure]

    def summary(self, target: str = "", phase: str = "") -> Summary:
        """Numbers of an environment, of a phase, or of all."""
        return Summary.of(
            record for record in self.records if target in ("", record.target) and phase in ("", record.phase)
        )

    def report(self) -> str:
        """The numbers of every environment before, during and after, as text."""
        # "after" is entered between other phases, too, and belongs at the end.
        phases = sorted(self.phases, key=lambda phase: phase == "after")
        more = [
            f"{name}: {item.goodbyes} websockets were closed with a goodbye; {item.left_out} requests were due while"
            f" {self.pace.at_once} were under way, and left out"
            for name, item in self.targets.items()
        ]
        return "\n".join([*table(self.records, phases), *more])

    # The loop.

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as fault:  # handed to the caller's thread
            self._fault = fault

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for target in self.targets.values():
                group.create_task(self._ordinary(target))
                group.create_task(self._back_to_back(target, "slow", self._slow))
                group.create_task(self._back_to_back(target, "upload", self._upload))
                group.create_task(self._websocket(target))
            group.create_task(self._limit())
        for connection in itertools.chain(*(target.idle for target in self.targets.values())):
            connection.close()

    async def _limit(self) -> None:
        deadline = time.monotonic() + self.pace.longest
        while not self._over.is_set() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        self._over.set()

    async def _ordinary(self, target: Target) -> None:
        began = asyncio.get_running_loop().time()
        under_way: set[asyncio.Task[str]] = set()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                await _until(began + number / self.pace.rate)
                if self._over.is_set():
                    break
                kind = TURNS[number % len(TURNS)]
                ask = self._post if kind.startswith("post") else self._get
                if len(under_way) >= self.pace.at_once:
                    target.left_out += 1
                    continue
                task = group.create_task(self._record(target, kind, ask))
                under_way.add(task)
                task.add_done_callback(under_way.discard)

    async def _back_to_back(self, target: Target, kind: str, ask: Ask) -> None:
        while not self._over.is_set():
            if await self._record(target, kind, ask):
                await asyncio.sleep(0.1)

    async def _record(self, target: Target, kind: str, ask: Ask) -> str:
        """Do one thing, note how it went, and return why it failed."""
        due = time.time()
        blank = Record(target.peer.name, kind, self._phase, due, 0)
        try:
            async with asyncio.timeout(self.pace.timeout + (self.pace.slow if kind in ("slow", "upload") else 0)):
                done = await ask(target, blank)
        except TimeoutError:
            done = replace(blank, failure="no answer in time")
        except (OSError, ssl.SSLError, Unanswered, Broken, Failure) as error:
            done = replace(blank, failure=f"{type(error).__name__}: {error}")
        self.records.append(replace(done, seconds=time.time() - due))
        return done.failure

    # The kinds.

    async def _get(self, target: Target, blank: Record) -> Record:
        reply, retried = await self._ask(target, blank.kind.endswith("new"), "GET", "/whoami/")
        commit = _json(valid(target, reply, 200)).get("commit")
        if not isinstance(commit, str):
            raise Failure("the answer names no commit")
        return replace(blank, retried=retried, commit=commit)

    async def _post(self, target: Target, blank: Record) -> Record:
        key, body = self._note()
        return await self._write(target, blank, key, [body])

    async def _upload(self, target: Target, blank: Record) -> Record:
        """A write whose body comes slowly, over a bad line."""
        key, body = self._note()
        size = -(-len(body) // UPLOAD_PIECES)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        return await self._write(target, blank, key, pieces, self.pace.slow / len(pieces))

    async def _write(self, target: Target, blank: Record, key: str, pieces: list[bytes], pause: float = 0) -> Record:
        fresh = blank.kind.endswith("new")
        reply, retried = await self._ask(target, fresh, "POST", "/notes/", pieces, pause, key)
        if _json(valid(target, reply, 201)).get("text") != key:
            raise Failure("the answer is about another note")
        target.writes.acknowledged.add(key)
        return replace(blank, retried=retried)

    def _note(self) -> tuple[str, bytes]:
        key = f"{self.token}-{next(self._numbers)}"
        return key, json.dumps({"text": key}).encode()

    async def _slow(self, target: Target, blank: Record) -> Record:
        reply, retried = await self._ask(target, False, "GET", f"/slow/?seconds={self.pace.slow:g}")
        if _json(valid(target, reply, 200)).get("slept") != self.pace.slow:
            raise Failure("the answer is to another request")
        return replace(blank, retried=retried)

    async def _ask(
        self, target: Target, fresh: bool, method: str, path: str,
        pieces: Sequence[bytes] = (), pause: float = 0, key: str = "",
    ) -> tuple[Reply, bool]:  # fmt: skip
        """Ask over a reused connection, or a new one; once again where a reused one ends without an answer."""
        reused = None if fresh else target.connection()
        connection = reused or await Connection.open(target.peer)
        target.writes.sent.update([key] if key else [])
        try:
            reply = await connection.ask(method, path, pieces, pause)
        except Unanswered:
            if reused is None:
                raise
            connection = await Connection.open(target.peer)
            target.writes.sent.update([key] if key else [])
            reply = await connection.ask(method, path, pieces, pause)
            target.idle.append(connection)
            return reply, True
        if fresh:
            connection.close()
        else:
            target.idle.append(connection)
        return reply, False

    async def _websocket(self, target: Target) -> None:
        while not self._over.is_set():
            made: list[Websocket] = []

            if await self._record(target, "websocket open", self._opener(made)):
                await asyncio.sleep(0.1)
                continue
            await self._talk(target, made[0])

    @staticmethod
    def _opener(made: list[Websocket]) -> Ask:
        """Opens a websocket and puts it where it is asked to."""

        async def open_one(target: Target, blank: Record) -> Record:
            made.append(await Websocket.open(target.peer, "/ws/echo/"))
            return blank

        return open_one

    async def _talk(self, target: Target, websocket: Websocket) -> None:
        """Talk until the load is over, a goodbye is said, or the websocket breaks."""

        async def echo(_target: Target, blank: Record) -> Record:
            await websocket.echo(f"{self.token}-{next(self._numbers)}")
            return blank

        try:
            while not self._over.is_set():
                if await self._record(target, "websocket", echo):
                    break
                await asyncio.sleep(self.pace.echo)
        except Closed:  # no answer was owed, so there is no record
            target.goodbyes += 1
        if self._over.is_set():
            await websocket.leave()
        else:
            websocket.close()


Ask = Callable[[Target, Record], Awaitable[Record]]


async def _until(moment: float) -> None:
    delay = moment - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)


def valid(target: Target, reply: Reply, status: int) -> Reply:
    """An answer with the right status, from the right environment; raises Failure for any other."""
    if reply.status != status:
        raise Failure(f"answered {reply.status} instead of {status}")
    if reply.headers.get("x-environment") != target.peer.name:
        raise Failure(f"answered by {reply.headers.get('x-environment')}")
    return reply


def _json(reply: Reply) -> dict[str, object]:
    try:
        found = json.loads(reply.body)
    except ValueError:
        raise Failure("the answer is not JSON") from None
    return found if isinstance(found, dict) else {}
