# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status of environments: one line for each, from what was seen of its machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ..model import Environment
from ..wording import some
from .drift import drift
from .health import own_containers, unwell

_DAY, _HOUR, _MINUTE = 86400, 3600, 60

#: What an environment is, in one word; only one that is deployed has more to tell.
DEPLOYED, ABSENT, UNREACHABLE = "deployed", "not deployed", "unreachable"

_HEADS = ("environment", "release", "commit", "since", "by", "health", "drift", "backup", "certificate")


@dataclass(frozen=True)
class Status:
    """What is known of one environment. What is None is not known, or does not apply.

    ``since`` and ``backup`` are times as the machine's registry has them, ``backup_age_seconds`` is by the engine's
    clock. ``problems`` are sentences; ``changed`` names what differs from the last deployment, ``drift`` counts that.
    """

    prefix: str
    state: str
    problems: tuple[str, ...] = ()
    release: str | None = None
    commit: str | None = None
    since: str | None = None
    by: str | None = None
    healthy: bool | None = None
    maintenance: bool = False
    drift: int | None = None
    changed: tuple[str, ...] = field(default=())
    backup: str | None = None
    backup_age_seconds: float | None = None
    certificate_days: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "problems": list(self.problems), "changed": list(self.changed)}


def unreachable(prefix: str, why: str) -> Status:
    """The status of an environment whose machine gave no answer."""
    return Status(prefix, UNREACHABLE, (" ".join(why.split()),))


def status(environment: Environment, observation: Mapping[str, Any], watched: Mapping[str, Any]) -> Status:
    """Judge what was seen of one environment: the machine's observation, and what is watched beside it."""
    prefix = environment.prefix
    entry: Mapping[str, Any] = observation["registry"].get(prefix) or {}
    if "damaged" in entry:
        return Status(prefix, DEPLOYED, (f"Its registry entry is damaged: {entry['damaged']}. Deploy again.",))
    if not entry and not any(own_containers(environment, observation)):
        return Status(prefix, ABSENT)
    moved = str(entry.get("directory") or environment.directory) != environment.directory
    deployed = replace(environment, directory=str(entry["directory"])) if moved else environment
    unhealthy = [problem for _resource, problem in unwell(environment, observation, entry.get("services") or {})]
    changed = tuple(dict.fromkeys(finding.resource for finding in drift(deployed, observation)))
    backup, left = watched.get("backup") or {}, (watched.get("certificate") or {}).get("left")
    return Status(
        prefix,
        DEPLOYED,
        (*unhealthy, *_registration(entry, environment.directory), *_failures(watched), *_times(watched)),
        release=entry.get("release") or None,
        commit=entry.get("commit") or None,
        since=entry.get("deployed") or None,
        by=entry.get("by") or None,
        healthy=not unhealthy,
        maintenance=environment.directory in observation.get("maintenance", ()),
        drift=len(changed),
        changed=changed,
        backup=backup.get("created"),
        backup_age_seconds=age(str(backup.get("created") or ""), str(observation["engine"].get("time") or "")),
        certificate_days=None if left is None else round(float(left) / _DAY, 1),
    )


def _registration(entry: Mapping[str, Any], directory: str) -> Iterator[str]:
    if not entry:
        yield "Its containers are there, but no deployment of it has succeeded: deploy again."
    elif str(entry.get("directory") or directory) != directory:
        yield f"It was deployed to {entry['directory']}, and the inventory says {directory}."


def _failures(watched: Mapping[str, Any]) -> Iterator[str]:
    for job, last in sorted((watched.get("schedule") or {}).items()):
        if last and last.get("succeeded") is False:
            said = str(last.get("message", "")).partition("\n")[0]
            yield f"The last scheduled run of {job} ({last.get('began')}) failed: {said}"


def _times(watched: Mapping[str, Any]) -> Iterator[str]:
    if watched.get("unread"):
        yield str(watched["unread"])
    if float((watched.get("certificate") or {}).get("left", 1)) <= 0:
        yield f"Its certificate ended on {watched['certificate'].get('ends')}."


def moment(text: str) -> datetime | None:
    """A time of the registry or of the engine, which counts nanoseconds; None if it is not one."""
    try:
        found = datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", r".\1", text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def age(then: str, now: str) -> float | None:
    """Seconds from one time to another; None where one of them is not known."""
    begin, end = moment(then), moment(now)
    return None if begin is None or end is None else max(0.0, (end - begin).total_seconds())


def as_text(found: Sequence[Status]) -> str:
    """One screen: a table of what is deployed, and below it what is wrong and what is not deployed."""
    rows = [_HEADS, *(_cells(each) for each in found if each.state == DEPLOYED)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows] if len(rows) > 1 else []
    lines += [f"{each.prefix}: {each.state}" for each in found if each.state == ABSENT]
    lines += [f"{each.prefix}: {each.state}: {'; '.join(each.problems)}" for each in found if each.state == UNREACHABLE]
    told = [f"  {each.prefix}: {problem}" for each in found if each.state == DEPLOYED for problem in _told(each)]
    return "\n".join([*lines, *told, closing(found)])


def closing(found: Sequence[Status]) -> str:
    """One sentence about all of them."""
    well = sum(each.healthy is True and not each.problems and not each.drift for each in found)
    absent = sum(each.state == ABSENT for each in found)
    lost = sum(each.state == UNREACHABLE for each in found)
    parts = [f"{well} well"]
    parts += [f"{count} {word}" for count, word in ((absent, ABSENT), (lost, UNREACHABLE)) if count]
    rest = len(found) - well - absent - lost
    parts += [f"{rest} to look at (ansible-playbook aiia.bulkhead.verify -l <environment>)"] if rest else []
    return f"{len(found)} environment{'s' * (len(found) != 1)}: {', '.join(parts)}"


def _told(each: Status) -> Iterator[str]:
    yield from each.problems
    if each.changed:
        yield f"Changed by hand since the deployment: {some(each.changed)}"
    if each.maintenance:
        yield "It answers with its maintenance page."


def _cells(each: Status) -> tuple[str, ...]:
    drifted = "-" if each.drift is None else f"yes, {each.drift}" if each.drift else "no"
    return (
        each.prefix,
        each.release or "-",
        (each.commit or "-")[:12],
        (each.since or "-").removesuffix("Z").replace("T", " ")[:16],
        each.by or "-",
        {True: "well", False: "UNWELL", None: "-"}[each.healthy],
        drifted,
        "none" if each.backup_age_seconds is None else f"{span(each.backup_age_seconds)} old",
        "-" if each.certificate_days is None else f"{each.certificate_days:.0f} days",
    )


def span(seconds: float) -> str:
    """A duration for people."""
    for unit, word in ((_DAY, "d"), (_HOUR, "h")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {word}"
    return f"{seconds // _MINUTE:.0f} min"
