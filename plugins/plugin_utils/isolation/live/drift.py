# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was changed by hand since the last deployment. It is told, and a deployment puts it right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Environment, Finding, Severity, Where
from ..stack import INPUT_LABEL
from .registered import ONE_OFF, PREFIX


def deployed_containers(prefix: str, observation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the registry keeps of an environment's containers, to know later what was changed by hand."""
    return {
        each["name"]: {
            "input": each["labels"].get(INPUT_LABEL, ""),
            "image": each["image"],
            "networks": sorted(each["networks"]),
        }
        for each in observation["containers"]
        if each["labels"].get(PREFIX) == prefix
        and each["labels"].get(ONE_OFF) != "True"
        and INPUT_LABEL in each["labels"]
    }


def drift(environment: Environment, observation: Mapping[str, Any]) -> list[Finding]:
    """Files and containers in force that are not what the last deployment of this environment left."""
    entry = observation["registry"].get(environment.prefix) or {}
    when = entry.get("deployed") or "an unknown time"
    return [
        Finding(
            "drift",
            Severity.LOW,
            (environment.prefix,),
            resource,
            f"{what} since the deployment of {when}; a deployment puts it back",
            "put the change into the inventory if it is wanted (--check --diff shows it)",
            (Where(item="seen on the machine"),),
            environment.machine,
        )
        for resource, what in (*_files(environment, entry, observation), *_containers(environment, entry, observation))
    ]


def _files(
    environment: Environment, entry: Mapping[str, Any], observation: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    if entry.get("key") != observation["key"]:
        return  # digests under another key say nothing
    recorded = entry.get("files") or {}
    found = observation["files"].get(environment.directory) or {}
    for path in sorted(recorded):
        if found.get(path) != recorded[path]:
            what = "was changed by hand" if path in found else "was removed by hand"
            yield f"{environment.directory}/{path}", f"{path} {what}"


def _containers(
    environment: Environment, entry: Mapping[str, Any], observation: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    recorded: Mapping[str, Any] = entry.get("containers") or {}
    found = {each["name"]: each for each in observation["containers"]}
    now = deployed_containers(environment.prefix, observation)
    strays = sorted(set(now) - set(recorded))
    for name, was in sorted(recorded.items()):
        if name not in now:
            renamed = [other for other in strays if now[other] == was]
            what = f"was renamed to {renamed[0]} by hand" if renamed else "was removed by hand"
            yield f"container {name}", f"container {name} {what}"
            continue
        if not found[name]["running"] and found[name]["condition"] != "exited (0)":
            yield f"container {name}", f"container {name} was stopped, or ended ({found[name]['condition']}),"
        for what, word in (("input", "definition"), ("image", "image"), ("networks", "networks")):
            if now[name][what] != was[what]:
                yield f"container {name}", f"container {name} was given other {word} by hand"
