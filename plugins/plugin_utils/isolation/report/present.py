# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machines said when they were asked: for each environment its status, what runs, and its past.

Everything in here was written by others: subjects of commits, names of containers, labels. It is shown as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..live.health import own_containers
from ..live.status import ABSENT, DEPLOYED, Status, closing, span
from ..model import Environment, Fleet
from ..wording import number
from .markup import code_list, names, plain, table
from .timeline import timeline

#: The most containers of one environment that are listed.
_LISTED = 200

#: How much of an image's id people read.
_SHORT = len("sha256:") + 12


@dataclass(frozen=True)
class Seen:
    """What its machine said of one environment. ``others`` are prefixes that are registered there too, but not in this
    inventory; ``now`` is the engine's time."""

    status: Status
    containers: Sequence[Mapping[str, Any]] = ()
    history: Mapping[str, Any] = field(default_factory=dict)
    others: Sequence[str] = ()
    now: str = ""


def seen(
    environment: Environment,
    found: Status,
    observation: Mapping[str, Any],
    history: Mapping[str, Any],
    known: Sequence[str],
) -> Seen:
    """What an observation says of one environment; ``known`` are the prefixes of the inventory."""
    containers = sorted(own_containers(environment, observation), key=lambda container: str(container["name"]))
    others = sorted(set(observation["registry"]) - set(known))
    return Seen(found, containers, history, others, str(observation["engine"].get("time") or ""))


def present(fleet: Fleet, found: Mapping[str, Seen]) -> str:
    """The section on the machines as they are now."""
    parts = []
    for machine, members in fleet.machines.items():
        asked = [found[environment.prefix] for environment in members if environment.prefix in found]
        if asked:
            parts.append(f"<h3>Machine <code>{plain(machine)}</code></h3>")
            parts += map(_environment, asked)
            parts += _others(asked)
    said = plain(closing([each.status for each in found.values()]))
    return (
        '<section aria-labelledby="now">\n<h2 id="now">The machines now</h2>\n'
        f"<p>{said}.</p>\n{chr(10).join(parts)}\n</section>"
    )


def _others(asked: Sequence[Seen]) -> Iterator[str]:
    others = sorted({prefix for each in asked for prefix in each.others})
    if others:
        yield f'<p class="between">Also registered there, and not in this inventory: {names(others)}.</p>'


def _environment(each: Seen) -> str:
    status = each.status
    word, good = _word(status)
    head = (
        f'<summary><code>{plain(status.prefix)}</code> <span class="{"good" if good else "bad"}">{plain(word)}</span>'
        f"</summary>"
    )
    body = [_problems(status), _facts(status)]
    if status.state == DEPLOYED:
        body += ["<h4>What runs</h4>", _containers(each), "<h4>Over time</h4>"]
        body.append(timeline(each.history, status.release or "", each.now))
    elif each.history.get("receipts"):
        body += ["<h4>Over time</h4>", timeline(each.history, "", each.now)]
    shown = "" if good else " open"
    return f'<details class="seen"{shown}>{head}\n{chr(10).join(filter(None, body))}\n</details>'


def _word(status: Status) -> tuple[str, bool]:
    """How an environment is, in a few words, and whether that is as it should be."""
    if status.state != DEPLOYED:
        return status.state, status.state == ABSENT
    words = ["unwell"] if status.healthy is False else []
    words += [f"{number(status.drift, 'thing')} changed by hand"] if status.drift else []
    words += ["answers with its maintenance page"] if status.maintenance else []
    if not words and status.problems:
        words = [number(len(status.problems), "problem")]
    return ", ".join(words) or "well", not words


def _problems(status: Status) -> str:
    listed = "".join(f"<li>{plain(problem)}</li>" for problem in status.problems)
    return f'<ul class="problems">{listed}</ul>' if listed else ""


def _facts(status: Status) -> str:
    days, old = status.certificate_days, status.backup_age_seconds
    facts = {
        "Release": status.release,
        "Commit": status.commit,
        "Since": status.since,
        "By": status.by,
        "Last backup": "" if old is None else f"{span(old)} old",
        "Certificate": "" if days is None else f"valid for {days:.0f} days",
    }
    if status.state == DEPLOYED and old is None:
        facts["Last backup"] = "none"
    rows = "".join(f"<dt>{name}</dt><dd>{plain(text)}</dd>" for name, text in facts.items() if text)
    changed = f"<dt>Changed by hand</dt><dd>{code_list(status.changed)}</dd>" if status.changed else ""
    return f'<dl class="facts">{rows}{changed}</dl>' if rows or changed else ""


def _containers(each: Seen) -> str:
    if not each.containers:
        return "<p>No container.</p>"
    listed = each.containers[:_LISTED]
    left = len(each.containers) - len(listed)
    rows = ((f"<code>{plain(str(own['name']))}</code>", *_container(own)) for own in listed)
    caption = number(len(each.containers), "container") + (f", {left} not listed" if left else "")
    return table(caption, ("Container", "State"), rows)


def _container(own: Mapping[str, Any]) -> Iterator[str]:
    since = str(own.get("started") or "")[:16].replace("T", " ")
    restarts = int(own.get("restarts") or 0)
    parts = [str(own["condition"])]
    parts += [f"since {since}"] if own.get("running") and since else []
    parts += [f"restarted {number(restarts, 'time')}"] if restarts else []
    parts += [f"image {str(own['image'])[:_SHORT].removeprefix('sha256:')}"] if own.get("image") else []
    yield plain(", ".join(parts))
