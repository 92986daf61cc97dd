# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of an environment over time: a drawing in lanes, and the same as a table.

The drawing is for the eye alone. Each mark in it is a row of the table, which also says what a shape stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..live.status import moment, span
from ..wording import number, size
from .markup import plain, table

#: The lanes of the drawing, and the shape of a mark in each: paths around 0,0 that stay readable without colour.
_CIRCLE = "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0"
_LANES: Mapping[str, str] = {
    "Releases": "M-5 -5H5V5H-5Z",
    "Runs": _CIRCLE,
    "Backups": "M0 -6L6 0L0 6L-6 0Z",
    "Downtime": "M-1.5 -8H1.5V8H-1.5Z",
}
_FAILED = "M-5 -5L5 5M5 -5L-5 5"

#: The newest events that the table lists; the drawing has all.
_LISTED = 50

_RELEASE_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")


@dataclass(frozen=True)
class Event:
    """Something that happened to an environment: when, in which lane of the drawing, and what as plain text."""

    when: datetime
    lane: str
    what: str
    more: str = ""
    failed: bool = False


def timeline(history: Mapping[str, Any], release: str, now: str) -> str:
    """The drawing and the table. ``release`` is the one in force, ``now`` the time of the machine."""
    found = sorted(events(history, release), key=lambda event: event.when)
    unread = [f"{kind} could not be read: {why}" for kind, why in (history.get("unread") or {}).items()]
    told = "".join(f"<p>{plain(line[0].upper() + line[1:])}</p>" for line in unread)
    if not found:
        return told or "<p>Nothing is known of its past.</p>"
    return f"{told}{_drawing(found, moment(now))}{_table(found)}"


def events(history: Mapping[str, Any], release: str) -> Iterator[Event]:
    """What a machine keeps of an environment's past, as far as the time of each is known."""
    for known in history.get("releases") or ():
        when = _released(str(known.get("release") or ""))
        if when:
            yield Event(when, "Releases", _release(known, release), _about(known))
    for known in history.get("receipts") or ():
        when = moment(str(known.get("finished") or ""))
        if when:
            failed = known.get("outcome") == "failed"
            yield Event(when, "Runs", _run(known, failed), _facts(known), failed)
            for gap in known.get("gaps") or ():
                yield Event(when, "Downtime", f"{gap['target']} was down for {gap['seconds']:.1f} s")
    for known in history.get("backups") or ():
        when = moment(str(known.get("created") or ""))
        if when:
            yield Event(when, "Backups", f"backup {known.get('name')}", _backup(known))


def _released(name: str) -> datetime | None:
    """When a release was made, as its name says."""
    found = _RELEASE_TIME.match(name)
    return moment("{}-{}-{}T{}:{}:{}Z".format(*found.groups())) if found else None


def _release(known: Mapping[str, Any], current: str) -> str:
    mark = ", in force" if known["release"] == current else ", kept"
    return f"release {known['release']}{mark}"


def _about(known: Mapping[str, Any]) -> str:
    author = f" ({known['author']})" if known.get("author") else ""
    parts = [f"{known['subject']}{author}"] if known.get("subject") else []
    parts += [f"commit {known['commit'][:12]}"] if known.get("commit") else []
    parts += [f"deployed by {known['by']}"] if known.get("by") else []
    return ", ".join(parts)


def _run(known: Mapping[str, Any], failed: bool) -> str:
    what = str(known.get("what") or "deployment")
    return f"{what} failed in {known.get('step', 'an unknown step')}" if failed else what


def _facts(known: Mapping[str, Any]) -> str:
    others = known.get("bystanders")
    parts = [f"release {known['release']}"] if known.get("release") else []
    parts += [f"by {known['by']}"] if known.get("by") else []
    parts += [f"{number(known.get('changed') or 0, 'change')}"]
    parts += [f"{number(others, 'change')} of OTHER environments meanwhile"] if others else []
    return ", ".join(parts)


def _backup(known: Mapping[str, Any]) -> str:
    parts = [size(known["bytes"])] if known.get("bytes") is not None else []
    parts += [f"made by {known['trigger']}"] if known.get("trigger") else []
    parts += [f"of release {known['release']}"] if known.get("release") else []
    return ", ".join(parts)


def _drawing(found: Sequence[Event], now: datetime | None) -> str:
    """A lane for each kind of event. Shapes have their size whatever the width is; only their places are relative."""
    first, last = found[0].when, max(filter(None, (found[-1].when, now)))
    whole = max((last - first).total_seconds(), 1.0)
    lanes = []
    for lane, shape in _LANES.items():
        marks = "".join(
            _mark(2 + 96 * (event.when - first).total_seconds() / whole, shape, event.failed)
            for event in found
            if event.lane == lane
        )
        line = '<line x1="0" x2="100%" y1="12" y2="12"/>'
        lanes.append(f'<span>{lane}</span><svg width="100%" height="24" focusable="false">{line}{marks}</svg>')
    ends = f"<span></span><p><span>{_day(first)}</span><span>{_day(last)}</span></p>"
    return f'<div class="lanes" aria-hidden="true">{"".join(lanes)}{ends}</div>'


def _mark(percent: float, shape: str, failed: bool) -> str:
    kind, path = ("failed", _FAILED) if failed else ("done", shape)
    return f'<svg x="{percent:.2f}%" y="12" overflow="visible"><path class="{kind}" d="{path}"/></svg>'


def _table(found: Sequence[Event]) -> str:
    newest = list(reversed(found))[:_LISTED]
    rows = (_row(event) for event in newest)
    left = len(found) - len(newest)
    caption = f"Newest first, over {span((found[-1].when - found[0].when).total_seconds())}"
    caption += f"; {number(left, 'older event')} not listed" if left else ""
    return table(caption, ("When (UTC)", "What"), rows)


def _row(event: Event) -> Sequence[str]:
    what = plain(event.what[0].upper() + event.what[1:])
    what = f'<strong class="bad">{what}</strong>' if event.failed else what
    return [_minute(event.when), f"{what}{f'<br>{plain(event.more)}' if event.more else ''}"]


def _minute(when: datetime) -> str:
    return f'<time datetime="{when.isoformat()}">{when:%Y-%m-%d %H:%M}</time>'


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"
