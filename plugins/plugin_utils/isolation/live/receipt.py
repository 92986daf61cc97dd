# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receipt: what a deployment changed, and that no bystander changed."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .registered import PREFIX, PROJECT

_ONE_OFF = "com.docker.compose.oneoff"

#: What may not change of a bystander's container while another environment is deployed.
_FIXED = ("image", "mounts", "networks", "ports")


@dataclass(frozen=True)
class Comparison:
    """``changes`` fail the run. ``notes`` are told: a restart by policy, a stranger, a bystander's own deployment."""

    bystanders: tuple[str, ...]
    containers: int
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def compare(before: Mapping[str, Any], after: Mapping[str, Any], target: str) -> Comparison:
    """Compare two observations. Everything that is not the target's is a bystander's or a stranger's.

    A bystander is what carries a prefix or is registered. What changes under a bystander's own lock is its own doing.
    """
    known = ({*before["registry"], *after["registry"]} | _prefixes(before) | _prefixes(after)) - {target}
    busy = {*before.get("locks", ()), *after.get("locks", ())} - {target}
    busy |= {prefix for prefix in known if _deployed(before, prefix) != _deployed(after, prefix)}
    changes: list[str] = []
    notes: list[str] = []

    def tell(owner: str, text: str) -> None:
        if owner in busy:
            notes.append(f"{text} ({owner} is being deployed itself)")
        elif owner in known:
            changes.append(text)
        else:
            notes.append(f"{text} (not an environment of Bulkhead)")

    _containers(before, after, target, tell, notes)
    for kind in ("networks", "volumes"):
        _objects(kind, before, after, target, tell)
    _sockets(before, after, target, notes)
    _files(before, after, known, tell)
    counted = [each for each in after["containers"] if _owner(each["labels"]) in known]
    return Comparison(tuple(sorted(known)), len(counted), tuple(changes), tuple(notes))


def _prefixes(observation: Mapping[str, Any]) -> set[str]:
    return {each["labels"][PREFIX] for each in observation["containers"] if each["labels"].get(PREFIX)}


def _deployed(observation: Mapping[str, Any], prefix: str) -> Any:
    return (observation["registry"].get(prefix) or {}).get("deployed")


def _owner(labels: Mapping[str, str]) -> str:
    return labels.get(PREFIX) or labels.get(PROJECT) or ""


def _containers(before: Mapping[str, Any], after: Mapping[str, Any], target: str, tell: Any, notes: list[str]) -> None:
    then = {each["id"]: each for each in before["containers"] if _owner(each["labels"]) != target}
    now = {each["id"]: each for each in after["containers"] if _owner(each["labels"]) != target}
    for identity, was in then.items():
        owner, name = _owner(was["labels"]), was["name"]
        one_off = was["labels"].get(_ONE_OFF) == "True"
        current = now.get(identity)
        if current is None:
            notes.append(f"one-off container {name} ended") if one_off else tell(owner, f"container {name} is gone")
            continue
        changed = [what for what in _FIXED if was[what] != current[what]]
        if changed and (was["running"] or was["name"] != current["name"]):
            tell(owner, f"container {name} has other {', '.join(changed)}")
        if was["running"] and not current["running"]:
            tell(owner, f"container {name} stopped")
        elif was["started"] != current["started"]:
            if current["restarts"] > was["restarts"]:
                notes.append(f"container {name} was restarted by the engine's own policy")
            else:
                tell(owner, f"container {name} was restarted")
    for identity, current in now.items():
        if identity in then:
            continue
        if current["labels"].get(_ONE_OFF) == "True":
            notes.append(f"one-off container {current['name']} began")
        else:
            tell(_owner(current["labels"]), f"container {current['name']} is new")


def _objects(kind: str, before: Mapping[str, Any], after: Mapping[str, Any], target: str, tell: Any) -> None:
    word = kind[:-1]
    key = "id" if kind == "networks" else "created"
    then = {each["name"]: each for each in before[kind] if _owner(each["labels"]) != target}
    now = {each["name"]: each for each in after[kind] if _owner(each["labels"]) != target}
    for name, was in then.items():
        if name not in now:
            tell(_owner(was["labels"]), f"{word} {name} is gone")
        elif now[name][key] != was[key]:
            tell(_owner(was["labels"]), f"{word} {name} was made anew")
    for name in now.keys() - then.keys():
        tell(_owner(now[name]["labels"]), f"{word} {name} is new")


def _sockets(before: Mapping[str, Any], after: Mapping[str, Any], target: str, notes: list[str]) -> None:
    """Ports come and go with containers, which are told above; a socket that is left over is only noted."""
    of_containers = {port["port"] for each in (*before["containers"], *after["containers"]) for port in each["ports"]}
    then = {(each["address"], each["port"]) for each in before["sockets"]}
    now = {(each["address"], each["port"]) for each in after["sockets"]}
    for address, port in sorted(then - now):
        if port not in of_containers and port < 32768:
            notes.append(f"nobody listens on {address or '*'}:{port} any more")


def _files(before: Mapping[str, Any], after: Mapping[str, Any], known: set[str], tell: Any) -> None:
    for prefix in sorted(known):
        directory = str((before["registry"].get(prefix) or {}).get("directory") or "")
        then, now = before["files"].get(directory), after["files"].get(directory)
        if then is None or now is None:
            continue
        for path in sorted({*then, *now}):
            if then.get(path) != now.get(path):
                what = "is gone" if path not in now else "is new" if path not in then else "changed"
                tell(prefix, f"file {directory}/{path} {what}")


def as_text(receipt: Mapping[str, Any]) -> str:
    """The receipt for a person: ten lines at most."""
    probed, proved = receipt["probed"], receipt["proved"]
    changes, notes = receipt["bystander_changes"], receipt["notes"]
    names = receipt["bystanders"]
    lines = [
        f"receipt of {receipt['prefix']}, {receipt['finished']}",
        f"  proved    {len(proved['environments'])} environments, {proved['claims']} claims, none shared",
        f"  commit    {receipt['commit'] or 'none'}",
        f"  release   {receipt['release'] or 'none'}",
        f"  changed   {_few(receipt['changed']) or 'nothing'}",
        f"  probed    from {probed['containers']} containers: {probed['names']} names and {probed['addresses']} "
        "addresses of "
        f"others; {probed['requests']} requests",
    ]
    if changes:
        lines.append(f"  BYSTANDERS CHANGED: {_few(changes)}")
    elif names:
        counted = f"{receipt['bystander_containers']} containers, to the id and start time"
        lines.append(f"  unchanged {_few(names)} ({counted})")
    else:
        lines.append("  unchanged no other environment is on this machine")
    lines += [f"  note      {_few(notes)}"] if notes else []
    lines.append(f"  kept in   {receipt['path']}" if receipt.get("path") else "  kept      nowhere")
    return "\n".join(lines)


def _few(items: Any, count: int = 4) -> str:
    shown = "; ".join(textwrap.shorten(str(item), 90, placeholder=" …") for item in items[:count])
    return f"{shown} and {len(items) - count} more" if len(items) > count else shown
