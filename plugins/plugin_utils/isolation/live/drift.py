# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was changed by hand since the last deployment. It is told, and a deployment puts it right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import INPUT, ONE_OFF, PREFIX
from .. import naming
from ..model import Environment, Finding, Severity, Where
from ..wording import some
from .health import once

#: What of a container is kept and compared, and the word for it.
_KEPT = {
    "input": "definition",
    "image": "image",
    "networks": "networks",
    "mounts": "mounts",
    "ports": "ports",
    "settings": "settings",
    "limits": "limits",
}

#: What a container keeps that is given another name.
_SAME = ("input", "image", "mounts")


def deployed_containers(prefix: str, observation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the registry keeps of an environment's containers, to know later what was changed by hand."""
    return {
        container["name"]: {
            "input": container["labels"].get(INPUT, ""),
            "networks": {name: _aliases(container, network) for name, network in sorted(container["networks"].items())},
            **{what: container[what] for what in _KEPT if what not in ("input", "networks")},
        }
        for container in observation["containers"]
        if container["labels"].get(PREFIX) == prefix
        and container["labels"].get(ONE_OFF) != "True"
        and INPUT in container["labels"]
    }


def _aliases(container: Mapping[str, Any], network: Mapping[str, Any]) -> list[str]:
    """The names of a container in a network, without its own and its id."""
    own = container["name"]
    return [name for name in network["aliases"] if name != own and not container["id"].startswith(name)]


def deployed_guard(prefix: str, observation: Mapping[str, Any]) -> dict[str, str]:
    """What the registry keeps of an environment's guard in the firewall; empty where there is none."""
    guards: Mapping[str, Any] = observation.get("guards") or {}
    return dict(guards.get(naming.firewall_chain(prefix)) or {})


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
        for resource, what in (
            *_files(environment, entry, observation),
            *_containers(environment, entry, observation),
            *_guard(environment, entry, observation),
        )
    ]


def _guard(
    environment: Environment, entry: Mapping[str, Any], observation: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    recorded, chain = entry.get("guard") or {}, naming.firewall_chain(environment.prefix)
    if not recorded or observation.get("guards") is None:
        return
    now = deployed_guard(environment.prefix, observation)
    if now != recorded:
        how = "was changed" if set(now) >= set(recorded) else "is gone"
        yield f"firewall chain {chain}", f"the guard in the firewall (chain {chain}) {how}, by hand or by a reboot,"


def differences(environment: Environment, observation: Mapping[str, Any]) -> list[dict[str, str]]:
    """Each changed container as the last deployment left it and as it is: two texts, as a diff takes them."""
    entry = observation["registry"].get(environment.prefix) or {}
    recorded: Mapping[str, Any] = entry.get("containers") or {}
    now = deployed_containers(environment.prefix, observation)
    found = []
    for name, was in sorted(recorded.items()):
        whole = {what: was.get(what) for what in _KEPT if what in was}
        there = {what: now[name][what] for what in whole} if name in now else {}
        if whole != there:
            found.append(
                {
                    "before_header": f"container {name}, deployed {entry.get('deployed') or 'at an unknown time'}",
                    "after_header": f"container {name}, as it is",
                    "before": "".join(f"{line}\n" for line in _lines(whole, {})),
                    "after": "".join(f"{line}\n" for line in _lines(there, whole)),
                }
            )
    return found


def to_mend(environment: Environment, observation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What Compose would not put back, since the container's definition is the old one: its limits, and the networks
    that it was connected to or disconnected from. As the module ``converge`` takes it."""
    recorded: Mapping[str, Any] = (observation["registry"].get(environment.prefix) or {}).get("containers") or {}
    now = deployed_containers(environment.prefix, observation)
    found = {}
    for name, was in recorded.items():
        there = now.get(name, was)
        wanted: dict[str, Any] = {}
        if there.get("limits") != was.get("limits"):
            wanted["limits"] = was["limits"]
        lost = {key: names for key, names in was["networks"].items() if key not in there["networks"]}
        strange = [key for key in there["networks"] if key not in was["networks"]]
        if lost or strange:
            wanted |= {"connect": lost, "disconnect": strange}
        if wanted and there["input"] == was["input"]:
            found[name] = wanted
    return found


def as_diff(shown: Iterable[Mapping[str, str]]) -> str:
    """The differences for the screen."""
    lines: list[str] = []
    for each in shown:
        before, after = each["before"].splitlines(), each["after"].splitlines()
        lines += difflib.unified_diff(before, after, each["before_header"], each["after_header"], lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _lines(container: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[str]:
    """A container in lines. Settings are told by name, and that they have another value than ``before``."""
    values = before.get("settings") or {}
    for what, value in container.items():
        if what == "settings":
            for name, digest in value.items():
                differs = values.get(name, digest) != digest
                yield f"setting {name}{' (another value, which is not shown)' if differs else ''}"
        elif what == "networks":
            for name, aliases in value.items():
                yield f"network {name}{f', called {some(aliases)}' if aliases else ''}"
        elif what == "mounts":
            for target, kind, source, writable in value:
                yield f"mount {target}: {kind} {source}{'' if writable else ', read-only'}"
        elif what == "ports":
            yield from (f"port {each['address'] or '*'}:{each['port']}" for each in value)
        elif what == "limits":
            yield from (f"limit {name}: {number or 'none'}" for name, number in value.items())
        else:
            yield f"{_KEPT[what]} {value}"


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
    services: Mapping[str, Any] = entry.get("services") or {}
    found = {container["name"]: container for container in observation["containers"]}
    now = deployed_containers(environment.prefix, observation)
    strays = sorted(set(now) - set(recorded))
    for name, was in sorted(recorded.items()):
        if name not in now:
            renamed = [other for other in strays if all(now[other][what] == was[what] for what in _SAME if what in was)]
            what = f"was renamed to {renamed[0]} by hand" if renamed else "was removed by hand"
            yield f"container {name}", f"container {name} {what}"
            continue
        condition = found[name]["condition"]
        if condition == "paused":
            yield f"container {name}", f"container {name} was paused by hand"
        elif not found[name]["running"] and not (condition == "exited (0)" and once(found[name], services)):
            yield f"container {name}", f"container {name} was stopped, or ended ({condition}),"
        for what, word in _KEPT.items():
            if what in was and now[name][what] != was[what]:
                yield f"container {name}", f"container {name} was given other {word} by hand"
