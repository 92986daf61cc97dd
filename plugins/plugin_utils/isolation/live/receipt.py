# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receipt: what a run changed, and proof that no bystander changed."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....module_utils.core.steps import Step, sentence
from ....module_utils.docker.labels import ONE_OFF, PREFIX, PROBE, PROJECT, WORKING_DIRECTORY
from .. import naming
from ..wording import number

#: What may not change of a bystander's container while another environment is deployed.
_FIXED = ("name", "image", "mounts", "networks", "ports")

#: From here on, the kernel assigns ports itself (ip_local_port_range).
_EPHEMERAL = 32768

Observation = Mapping[str, Any]


@dataclass(frozen=True)
class BystanderComparison:
    """What changed outside the target. ``changes`` fail the run; ``notes`` do not: a restart by policy, a stranger, a
    bystander's own deployment."""

    bystanders: tuple[str, ...]
    containers: int
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Difference:
    """A difference between two observations. A reason in ``expected`` makes it a note instead of a change."""

    owner: str
    text: str
    expected: str = ""


def compare(before: Observation, after: Observation, target: str, fleet: Collection[str] = ()) -> BystanderComparison:
    """Compare two observations of everything that is not the target's.

    Bystanders are the registered environments and those of the ``fleet`` that were observed. A change while a
    bystander's own lock is held comes from its own deployment. Locks of strangers cannot be observed.
    """
    seen = (_prefixes(before) | _prefixes(after)) & set(fleet)
    known = {*before["registry"], *after["registry"], *seen} - {target}
    busy = {prefix for prefix in known if is_busy(before, after, prefix)}
    again = before["generation"] != after["generation"]
    notes = ["the machine or its engine restarted during this run"] if again else []
    found = (
        *_containers(before, after, target, again),
        *_objects("networks", before, after, target),
        *_objects("volumes", before, after, target),
        *_sockets(before, after, target),
        *_files(before, after, known),
        *_guards(before, after, known),
        *_routes(before, after, known),
    )
    changes, more = sorted_out(found, known, busy)
    notes += more
    counted = [container for container in after["containers"] if _owner(container["labels"]) in known]
    return BystanderComparison(tuple(sorted(known)), len(counted), tuple(changes), tuple(notes))


def sorted_out(
    differences: Iterable[Difference], known: Collection[str], busy: Collection[str]
) -> tuple[list[str], list[str]]:
    """What fails a run, and what it only notes: what was expected, what a bystander's own deployment did, strangers."""
    changes: list[str] = []
    notes: list[str] = []
    for difference in differences:
        if difference.expected:
            notes.append(f"{difference.text} ({difference.expected})")
        elif difference.owner in busy:
            notes.append(f"{difference.text} ({difference.owner} is being deployed itself)")
        elif difference.owner in known:
            changes.append(difference.text)
        else:
            notes.append(f"{difference.text} (no environment registered here)")
    return changes, notes


def is_busy(before: Observation, after: Observation, prefix: str) -> bool:
    """Whether an environment was itself deployed in between: its lock is held, or was taken since."""
    held = prefix in before["locks"] or prefix in after["locks"]
    return held or before["deployments"].get(prefix) != after["deployments"].get(prefix)


def _prefixes(observation: Observation) -> set[str]:
    return {container["labels"][PREFIX] for container in observation["containers"] if container["labels"].get(PREFIX)}


def _owner(labels: Mapping[str, str]) -> str:
    return labels.get(PREFIX) or labels.get(PROJECT) or ""


def _of_others(observation: Observation, kind: str, key: str, target: str) -> dict[str, Mapping[str, Any]]:
    return {
        item[key]: item
        for item in observation[kind]
        if _owner(item["labels"]) != target and (PROBE not in item["labels"] or PREFIX in item["labels"])
    }


def _containers(before: Observation, after: Observation, target: str, again: bool) -> Iterator[Difference]:
    then, now = (_of_others(observation, "containers", "id", target) for observation in (before, after))
    for identity, was in then.items():
        owner, name = _owner(was["labels"]), was["name"]
        one_off = "a one-off container" if was["labels"].get(ONE_OFF) == "True" else ""
        current = now.get(identity)
        if current is None:
            yield Difference(owner, f"container {name} is gone", one_off)
            continue
        for what in _FIXED:
            if _fixed(was, what) != _fixed(current, what):
                text = f"was renamed to {current['name']}" if what == "name" else f"changed its {what}"
                yield Difference(owner, f"container {name} {text}", one_off)
        if was["running"] and not current["running"]:
            yield Difference(owner, f"container {name} stopped", one_off)
        elif was["running"] != current["running"]:
            yield Difference(owner, f"container {name} was started", one_off)
        elif (was["condition"] == "paused") != (current["condition"] == "paused"):
            how = "was unpaused" if was["condition"] == "paused" else "was paused"
            yield Difference(owner, f"container {name} {how}", one_off)
        elif was["started"] != current["started"]:
            by_policy = "by the engine's own policy" if current["restarts"] > was["restarts"] else one_off
            by_engine = "with the engine" if again and was["policy"] not in ("", "no") else by_policy
            yield Difference(owner, f"container {name} was restarted", by_engine)
        elif was.get("run") and current.get("run") != was["run"]:
            unasked = "" if current.get("run") else "its socket could not be read"
            what = "could not be compared" if unasked else "was restarted inside, by hand or by a crash"
            yield Difference(owner, f"Redis in container {name} {what}", one_off or unasked)
    for identity, current in now.items():
        if identity not in then:
            one_off = "a one-off container" if current["labels"].get(ONE_OFF) == "True" else ""
            yield Difference(_owner(current["labels"]), f"container {current['name']} is new", one_off)


def _fixed(container: Mapping[str, Any], what: str) -> Any:
    """A property that a restart does not change; of networks only the ids, as addresses change with each start."""
    return {name: item["id"] for name, item in container[what].items()} if what == "networks" else container[what]


def _objects(kind: str, before: Observation, after: Observation, target: str) -> Iterator[Difference]:
    word = kind[:-1]
    then, now = (_of_others(observation, kind, "name", target) for observation in (before, after))
    for name, was in then.items():
        owner = _owner(was["labels"])
        if name not in now:
            yield Difference(owner, f"{word} {name} is gone")
        elif now[name]["id" if kind == "networks" else "created"] != was["id" if kind == "networks" else "created"]:
            yield Difference(owner, f"{word} {name} was recreated")
        elif kind == "volumes" and was["database"] and now[name]["database"] != was["database"]:
            yield Difference(owner, f"volume {name} holds another database cluster")
    for name in now.keys() - then.keys():
        yield Difference(_owner(now[name]["labels"]), f"{word} {name} is new")


def _sockets(before: Observation, after: Observation, target: str) -> Iterator[Difference]:
    """Listening sockets that are gone: others' published ports, and fixed ports of the machine."""
    owners = {
        port["port"]: _owner(container["labels"])
        for container in before["containers"]
        if container["running"]
        for port in container["ports"]
    }
    then, now = ({(socket["address"], socket["port"]) for socket in seen["sockets"]} for seen in (before, after))
    for address, port in sorted(then - now):
        owner = owners.get(port, "")
        if owner != target and (owner or port < _EPHEMERAL):
            yield Difference(owner, f"nothing listens on {address or '*'}:{port} any more")


def _files(before: Observation, after: Observation, known: set[str]) -> Iterator[Difference]:
    if before["key"] != after["key"]:
        return  # digests made with different keys cannot be compared
    for directory, prefix in sorted(_directories(before, after).items()):
        then, now = before["files"].get(directory), after["files"].get(directory)
        if prefix not in known or then is None or now is None:
            continue
        for path in sorted({*then, *now}):
            if then.get(path) != now.get(path):
                what = "is gone" if path not in now else "is new" if path not in then else "changed"
                yield Difference(prefix, f"file {directory}/{path} {what}")


def _guards(before: Observation, after: Observation, known: set[str]) -> Iterator[Difference]:
    """Bystanders' guards in the firewall, if both observations could read it."""
    then, now = before.get("guards"), after.get("guards")
    if then is None or now is None:
        return
    for prefix in sorted(known):
        chain = naming.firewall_chain(prefix)
        if then.get(chain) != now.get(chain):
            what = "is new" if chain not in then else "is gone" if chain not in now else "changed"
            yield Difference(prefix, f"the guard of {prefix} in the firewall {what}")


def _routes(before: Observation, after: Observation, known: set[str]) -> Iterator[Difference]:
    """Bystanders' routes at the front door, on disk and in the running door, if both observations could read them."""
    then, now = ((observation.get("door") or {}).get("routes") for observation in (before, after))
    if then is None or now is None:
        return
    for prefix in sorted(known):
        if then.get(prefix) != now.get(prefix):
            what = "is new" if prefix not in then else "is gone" if prefix not in now else "changed"
            yield Difference(prefix, f"the route of {prefix} at the front door {what}")


def _directories(*observations: Observation) -> dict[str, str]:
    """The prefix that owns each directory, by the registry or else by the labels of containers."""
    owners = {}
    for seen in observations:
        for container in seen["containers"]:
            if container["labels"].get(PREFIX) and container["labels"].get(WORKING_DIRECTORY):
                owners[container["labels"][WORKING_DIRECTORY]] = container["labels"][PREFIX]
        for prefix, entry in seen["registry"].items():
            if entry.get("directory"):
                owners[entry["directory"]] = prefix
    return owners


def as_text(receipt: Mapping[str, Any]) -> str:
    """The receipt for a person: ten lines at most. Of a job that is no deployment, ``what`` says which it was."""
    probed, proved, what = receipt.get("probed"), receipt["proved"], receipt.get("what", "")
    changes, notes = receipt["bystander_changes"], receipt["notes"]
    names = receipt["bystanders"]
    failed = receipt.get("outcome") == "failed"
    what = f"FAILED in {receipt['step']}" if failed else what
    lines = [
        f"receipt of {receipt['prefix']}, {f'{what}, ' if what else ''}{receipt['finished']}",
        f"  proved    {number(len(proved['environments']), 'environment')}, {number(proved['claims'], 'claim')}, "
        "none shared",
    ]
    if failed:
        lines.append(f"  failed    {textwrap.shorten(receipt['error'], 160, placeholder=' …')}")
    permitted = [f"{name}={str(value).lower()}" for name, value in (receipt.get("permissions") or {}).items()]
    lines += [f"  permitted {', '.join(permitted)} (-e)"] if permitted else []
    lines += [f"  {name:<10}{receipt[name] or 'none'}" for name in ("commit", "release") if name in receipt]
    if receipt["changed"] or not failed:
        lines.append(f"  changed   {_few(_shown(receipt['changed'])) or 'nothing'}")
    if "tried" in receipt:
        lines += [
            f"  tried     {_few(_shown(receipt['tried'] or ())) or 'nothing on the machine'}",
            f"  put back  {textwrap.shorten(receipt['put_back'], 160, placeholder=' …') or 'nothing had to be'}",
        ]
    if probed:
        lines.append(
            f"  probed    from {number(probed['containers'], 'container')}: {number(probed['names'], 'name')} and "
            f"{number(probed['addresses'], 'address')} of others; {number(probed['requests'], 'request')}"
        )
    if changes:
        lines.append(f"  BYSTANDERS CHANGED: {_few(changes)}")
    elif names:
        counted = f"{number(receipt['bystander_containers'], 'container')}, to the id and start time"
        lines.append(f"  unchanged {_few(names)} ({counted})")
    else:
        lines.append("  unchanged no other environment is registered on this machine")
    lines += [f"  note      {_few(notes)}"] if notes else []
    lines.append(f"  kept in   {receipt['path']}" if receipt.get("path") else "  kept      nowhere")
    return "\n".join(lines)


def _shown(said: Sequence[Mapping[str, Any] | str]) -> list[str]:
    """Steps for a person: data and containers first, files at the end and counted."""
    steps = [Step.read(step) for step in said]
    files = [sentence(step) for step in steps if step.verb == "write"]
    rest = [sentence(step) for step in steps if step.verb != "write"]
    return [*rest, *(files if len(files) < 2 else [f"write {number(len(files), 'file')}"])]


def _few(items: Any, count: int = 4) -> str:
    shown = "; ".join(textwrap.shorten(str(item), 90, placeholder=" …") for item in items[:count])
    return f"{shown} and {len(items) - count} more" if len(items) > count else shown
