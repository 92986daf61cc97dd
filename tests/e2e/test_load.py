# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load generator is itself proved: a server misbehaves so many times, and exactly so many requests failed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_server import DOMAIN, NAME, QUICK, SILENCE, Server, serving
from guide_stack import self_signed
from load import TURNS, Load, Pace
from load_report import Record, Summary, Writes, percentile

TIMES = 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_text("".join(self_signed([DOMAIN])), encoding="utf-8")
    return path


@contextmanager
def under_load(certificate: Path, pace: Pace) -> Iterator[tuple[Server, Load]]:
    """The server, and a load on it."""
    with serving(certificate) as (server, peer):  # noqa: SIM117  (pylint takes the peer for unassigned in one line)
        with Load([peer], pace) as load:
            yield server, load


def wait(load: Load, what: Callable[[], object]) -> None:
    """Go on until something is so; where it never is, the assertions that follow say it better."""
    deadline = time.monotonic() + 15
    while not what() and time.monotonic() < deadline:
        load.rest(0.05)


def loaded(certificate: Path, fault: str, enough: Callable[[Load], object] = lambda _load: True) -> tuple[Load, Server]:
    """A short load on a server that this fault befalls three times; it goes on until there is enough to look at."""
    pace = replace(QUICK, timeout=SILENCE) if fault.endswith("silent") else QUICK
    with under_load(certificate, pace) as (server, load):
        load.rest(0.25)
        server.fault, server.left = fault, TIMES
        with load.during("fault"):
            wait(load, lambda: not server.left)
            load.rest(0.15)
        wait(load, lambda: enough(load))
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
    assert [failure for failure in load.failures if reason not in failure.failure] == [], load.report()
    assert len(load.failures) == TIMES, load.report()
    assert load.summary().failures == TIMES
    assert reason in load.report()


def failed(load: Load) -> set[str]:
    """The kinds of what failed."""
    return {failure.kind for failure in load.failures}


def opened_again(certificate: Path, first: str, then: str) -> tuple[Load, Server]:
    """A websocket that is told goodbye, and then cannot be opened three times."""
    with under_load(certificate, QUICK) as (server, load):
        load.rest(0.3)
        server.then = then, TIMES
        server.fault, server.left = first, 1
        wait(load, lambda: not server.left)
        load.rest(0.2)
    assert server.left == 0, "the websocket was not opened as often as it should"
    return load, server


@pytest.mark.parametrize(
    "fault", ["reused: drop", "reused: reset", "any: close afterwards", "reused post: keep and drop"]
)
def test_what_a_client_bears_is_no_failure(certificate: Path, fault: str) -> None:
    """A reused connection that ends without an answer is tried once again; a row that this doubles is no fault."""
    load, server = loaded(certificate, fault, lambda load: len(load.targets[NAME].writes.acknowledged) > 10)
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
        wait(load, lambda: failed(load) >= {*TURNS})
        server.fault = ""
        load.rest(0.3)
    assert failed(load) >= {*TURNS}, load.report()
    assert all("Unanswered" in failure.failure for failure in load.failures if not failure.kind.startswith("websocket"))


@pytest.mark.parametrize("code", [1000, 1001, 1012])
def test_goodbyes_are_counted_and_are_no_failures(certificate: Path, code: int) -> None:
    """A websocket that is closed on purpose is opened again at once."""

    def opened(load: Load) -> int:
        return sum(record.kind == "websocket open" for record in load.records)

    load, _server = loaded(certificate, f"websocket: goodbye {code}", lambda load: opened(load) > TIMES)
    assert load.failures == [], load.report()
    assert load.targets[NAME].goodbyes == TIMES
    assert opened(load) == TIMES + 1


def test_nobody_listens(certificate: Path) -> None:
    """A refused connection is a failure of every kind."""
    with serving(certificate) as (_server, peer):
        pass
    kinds = {*TURNS, "slow", "upload", "websocket open"}
    with Load([peer], QUICK) as load:
        wait(load, lambda: failed(load) >= kinds and len(load.records) > 10)
    assert failed(load) == kinds
    assert len(load.failures) == len(load.records) > 10


def test_an_acknowledged_write_that_is_not_kept(certificate: Path) -> None:
    """Rows are compared with what was acknowledged, not with what was sent."""
    load, server = loaded(certificate, "post: forget")
    assert load.failures == []
    faults = load.targets[NAME].writes.faults(server.rows)
    assert len(faults) == TIMES and all("is lost" in fault for fault in faults)


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
    """Latency counts from the moment a request was due, so that a stop of a second is not one slow request."""
    over = threading.Event()

    def stop() -> None:
        time.sleep(1)
        over.set()

    with under_load(certificate, QUICK) as (server, load):
        load.rest(0.3)
        with load.during("stop"):
            assert server.loop is not None
            server.loop.call_soon_threadsafe(stop)
            wait(load, over.is_set)
    # Some were due before, and fell into it as well.
    late = [record for record in load.records if record.kind in TURNS and record.seconds > 0.3]
    assert load.failures == []
    assert len(late) >= 10 and max(record.seconds for record in late) > 0.5, load.report()


def test_it_ends_by_itself(certificate: Path) -> None:
    """A load that is forgotten does not go on for ever, and the caller is told."""
    with under_load(certificate, replace(QUICK, longest=0.2)) as (_server, load):
        load._thread.join(15)
        with pytest.raises(AssertionError, match="ended by itself"):
            load.rest(0)
