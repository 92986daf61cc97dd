# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far the engine is with an update, judged by what a manager says. Nothing here asks or waits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

#: What the engine calls a task that ended badly, and an update that it gave up.
_ENDED_BADLY = ("failed", "rejected")
_GIVEN_UP = ("paused", "rollback_started", "rollback_paused", "rollback_completed")

#: After how many tasks that ended badly, and none that runs, a new service counts as failed.
_ENOUGH = 3


class Outcome(NamedTuple):
    """Where a service stands: ``state`` is ``done``, ``waiting`` or ``failed``. ``task`` is one that ended badly."""

    service: str
    state: str
    why: str = ""
    task: str = ""


def outcomes(
    before: Mapping[str, Mapping[str, Any]],
    services: Iterable[Mapping[str, Any]],
    tasks: Sequence[Mapping[str, Any]],
    known: Iterable[str] = (),
    early: Collection[str] = (),
) -> list[Outcome]:
    """Where each service stands since it was as ``before``, by name. ``known`` are the tasks that there were then,
    ``early`` those of :func:`too_early`."""
    past = set(known)
    found = []
    for service in services:
        mine = [task for task in tasks if task["service"] == service["id"]]
        fresh = [task for task in mine if task["id"] not in past]
        found.append(_outcome(before.get(service["name"]), service, mine, fresh, early))
    return found


def too_early(
    found: Iterable[Outcome],
    services: Iterable[Mapping[str, Any]],
    tasks: Iterable[Mapping[str, Any]],
    needs: Mapping[str, Collection[str]],
) -> set[str]:
    """The tasks that ended badly while a service that theirs ``needs`` was not done: a swarm starts services in no
    order, so these say nothing of their own."""
    missing = {outcome.service for outcome in found if outcome.state != "done"}
    held = {service["id"] for service in services if missing.intersection(needs.get(service["name"], ()))}
    return {task["id"] for task in tasks if task["service"] in held and task["state"] in _ENDED_BADLY}


def _outcome(
    before: Mapping[str, Any] | None,
    service: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    fresh: Sequence[Mapping[str, Any]],
    early: Collection[str],
) -> Outcome:
    name, update = service["name"], service["update"]
    began = bool(update["StartedAt"]) and (before is None or update["StartedAt"] != before["update"]["StartedAt"])
    bad = sorted((task for task in fresh if task["state"] in _ENDED_BADLY), key=lambda task: str(task["since"]))
    last = bad[-1] if bad else None
    blamed = str(last["id"]) if last else ""
    if began and update["State"] in _GIVEN_UP:
        why = "the engine rolled it back" if update["State"] != "paused" else "the engine gave its update up"
        return Outcome(name, "failed", _with(why, update["Message"], last), blamed)
    wanted = [task for task in tasks if task["desired"] == "running"]
    running = [task for task in wanted if task["state"] == "running"]
    if last and not running and sum(task["id"] not in early for task in bad) >= _ENOUGH:
        return Outcome(name, "failed", _with("none of its tasks stays up", "", last), blamed)
    if began and update["State"] == "updating":
        return Outcome(name, "waiting", "its tasks are being replaced", blamed)
    old = [task for task in wanted if (task["tasks"], task["forced"]) != (service["tasks"], service["forced"])]
    if old:
        return Outcome(name, "waiting", "a task of the release before still runs", blamed)
    if len(running) < service["desired"] or len(running) != len(wanted):
        said = next((task["error"] for task in wanted if task["error"]), "") or (last["error"] if last else "")
        why = "%d of %d tasks run" % (len(running), service["desired"])
        return Outcome(name, "waiting", "%s: %s" % (why, said) if said else why, blamed)
    return Outcome(name, "done")


def _with(why: str, message: str, task: Mapping[str, Any] | None) -> str:
    """A reason with what the engine said of it, each once."""
    said = [part for part in (message, str(task["error"]) if task else "") if part]
    return ": ".join([why, *dict.fromkeys(said)])
