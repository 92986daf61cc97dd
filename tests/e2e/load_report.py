# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a load was answered: one record for each request, and what they say together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

#: Kinds that take long because they are asked to; they are counted, but their latency says nothing.
LONG = frozenset({"slow", "upload"})
SHOWN_FAILURES = 12


@dataclass(frozen=True)
class Record:
    """One request: to whom, in which phase, when it was due, how long until its answer, and why it failed."""

    target: str
    kind: str
    phase: str
    due: float
    seconds: float
    failure: str = ""
    retried: bool = False
    commit: str = ""

    def __str__(self) -> str:
        clock = datetime.fromtimestamp(self.due, tz=UTC).strftime("%H:%M:%S.%f")[:-3]
        return f"{clock} {self.target} {self.kind} during {self.phase}, after {self.seconds:.2f} s: {self.failure}"


@dataclass
class Writes:
    """What was written to one environment: keys that were sent, and those whose answer said that they are kept."""

    sent: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)

    def faults(self, rows: Counter[str]) -> list[str]:
        """What is wrong with the rows that are there now: a lost one, a foreign one, one more than were sent."""
        lost = sorted(self.acknowledged - set(rows))
        foreign = sorted(set(rows) - set(self.sent))
        more = sorted(key for key, count in rows.items() if key in self.sent and count > self.sent[key])
        return [
            *(f"{key} was acknowledged and is lost" for key in lost),
            *(f"{key} was never sent here" for key in foreign),
            *(f"{key} is there {rows[key]} times and was sent {self.sent[key]} times" for key in more),
        ]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all values does not exceed; nan where there are none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else math.nan


@dataclass(frozen=True)
class Summary:
    """A group of records in numbers; latencies in seconds."""

    requests: int
    failures: int
    retried: int
    p50: float
    p95: float
    p99: float
    worst: float

    @classmethod
    def of(cls, records: Iterable[Record]) -> Summary:
        """Add up."""
        found = list(records)
        quick = [record.seconds for record in found if record.kind not in LONG and not record.failure]
        return cls(
            requests=len(found),
            failures=sum(bool(record.failure) for record in found),
            retried=sum(record.retried for record in found),
            p50=percentile(quick, 0.50),
            p95=percentile(quick, 0.95),
            p99=percentile(quick, 0.99),
            worst=max(quick, default=math.nan),
        )

    def __str__(self) -> str:
        times = "".join(
            f"{'-' if math.isnan(value) else f'{value * 1000:.0f} ms':>9}"
            for value in (self.p50, self.p95, self.p99, self.worst)
        )
        return f"{self.requests:8}{self.failures:8}{self.retried:8}{times}"


HEADINGS = f"{'requests':>8}{'failed':>8}{'retried':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}"


def table(records: Sequence[Record], phases: Sequence[str]) -> Iterator[str]:
    """One line for each environment and phase, and the first failures in full."""
    width = max((len(title) for title in (*phases, *(record.target for record in records))), default=0) + 4
    for target in sorted({record.target for record in records}):
        own = [record for record in records if record.target == target]
        yield f"{target:<{width}}{HEADINGS}"
        for phase in phases:
            if during := [record for record in own if record.phase == phase]:
                yield f"  {phase:<{width - 2}}{Summary.of(during)}"
        yield f"  {'altogether':<{width - 2}}{Summary.of(own)}"
    failures = sorted((record for record in records if record.failure), key=lambda record: record.due)
    yield from (f"  failed: {failure}" for failure in failures[:SHOWN_FAILURES])
    if len(failures) > SHOWN_FAILURES:
        reasons = Counter(
            f"{failure.target} {failure.kind}: {failure.failure}" for failure in failures[SHOWN_FAILURES:]
        )
        yield from (f"  failed: {count} more {reason}" for reason, count in reasons.most_common())
