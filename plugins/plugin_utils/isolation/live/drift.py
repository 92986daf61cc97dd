# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drift: manual changes since the last deployment. They are reported, and the next deployment reverts them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import INPUT, ONE_OFF, PREFIX
from .. import naming
from ..model import Environment, Finding, Severity, Where
from ..wording import some
from .health import once

#: What is kept of a container and compared, and the word for it in messages.
_KEPT = {
    "input": "definition",
    "image": "image",
    "networks": "networks",
    "mounts": "mounts",
    "ports": "ports",
    "settings": "settings",
    "limits": "limits",
}

#: What stays the same when a container is renamed.
_SAME = ("input", "image", "mounts")


def deployed_containers(prefix: str, observation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the registry keeps of an environment's containers, by container name, to detect drift later."""
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
    """A container's names in a network, except its own name and its id."""
    own = container["name"]
    return [name for name in network["aliases"] if name != own and not container["id"].startswith(name)]


def deployed_guard(prefix: str, observation: Mapping[str, Any]) -> dict[str, str]:
    """What the registry keeps of an environment's guard in the firewall; empty if it has none."""
    guards: Mapping[str, Any] = observation.get("guards") or {}
    return dict(guards.get(naming.firewall_chain(prefix)) or {})


def drift(environment: Environment, observation: Mapping[str, Any]) -> list[Finding]:
    """Find deployed files, containers and firewall rules that differ from what the last deployment left."""
    entry = observation["registry"].get(environment.prefix) or {}
    when = entry.get("deployed") or "an unknown time"
    return [
        Finding(
            "drift",
            Severity.LOW,
            (environment.prefix,),
            resource,
            f"{what} since the deployment of {when}; the next deployment reverts this.",
            "To keep the change, make it in the inventory ('--check --diff' shows it).",
            (Where(item="seen on the machine"),),
            environment.machine,
        )
        for resource, what in (
            *_files(environment, entry, observation),
            *_containers(environment, entry, observation),
            *_guard(environment, entry, observation),
            *_route(environment, entry, observation),
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
        yield f"firewall chain {chain}", f"The guard in the firewall (chain {chain}) {how}, by hand or by a reboot,"


def _route(
    environment: Environment, entry: Mapping[str, Any], observation: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    routes = (observation.get("door") or {}).get("routes")
    if routes is None or not any(claim["namespace"] == "route" for claim in entry.get("claims") or ()):
        return
    on_disk, _space, live = str(routes.get(environment.prefix, "none none")).partition(" ")
    if on_disk != live or on_disk == "none":
        how = "was damaged" if on_disk == "damaged" else "is gone" if "none" in (on_disk, live) else "was changed"
        yield f"route {environment.prefix}", f"the route at the machine's front door {how}"


def differences(environment: Environment, observation: Mapping[str, Any]) -> list[dict[str, str]]:
    """Each changed container as deployed and as it is now, in the form of Ansible's ``diff``."""
    entry = observation["registry"].get(environment.prefix) or {}
    recorded: Mapping[str, Any] = entry.get("containers") or {}
    now = deployed_containers(environment.prefix, observation)
    diffs = []
    for name, was in sorted(recorded.items()):
        before = {what: was.get(what) for what in _KEPT if what in was}
        after = {what: now[name][what] for what in before} if name in now else {}
        if before != after:
            diffs.append(
                {
                    "before_header": f"container {name}, deployed {entry.get('deployed') or 'at an unknown time'}",
                    "after_header": f"container {name}, as it is",
                    "before": "".join(f"{line}\n" for line in _lines(before, {})),
                    "after": "".join(f"{line}\n" for line in _lines(after, before)),
                }
            )
    return diffs


def to_mend(environment: Environment, observation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Drift that Compose does not see, since the container's definition is unchanged: limits and networks.

    Returned by container name, in the form that the module ``converge`` takes.
    """
    recorded: Mapping[str, Any] = (observation["registry"].get(environment.prefix) or {}).get("containers") or {}
    now = deployed_containers(environment.prefix, observation)
    mends = {}
    for name, was in recorded.items():
        current = now.get(name, was)
        mend: dict[str, Any] = {}
        if current.get("limits") != was.get("limits"):
            mend["limits"] = was["limits"]
        lost = {network: names for network, names in was["networks"].items() if network not in current["networks"]}
        added = [network for network in current["networks"] if network not in was["networks"]]
        if lost or added:
            mend |= {"connect": lost, "disconnect": added}
        if mend and current["input"] == was["input"]:
            mends[name] = mend
    return mends


def as_diff(diffs: Iterable[Mapping[str, str]]) -> str:
    """Render :func:`differences` as one unified diff."""
    lines: list[str] = []
    for diff in diffs:
        before, after = diff["before"].splitlines(), diff["after"].splitlines()
        lines += difflib.unified_diff(before, after, diff["before_header"], diff["after_header"], lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _lines(container: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[str]:
    """A container as lines. Settings appear by name only, marked if their value differs from ``before``."""
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
            yield from (f"port {port['address'] or '*'}:{port['port']}" for port in value)
        elif what == "limits":
            yield from (f"limit {name}: {number or 'none'}" for name, number in value.items())
        else:
            yield f"{_KEPT[what]} {value}"


def _files(
    environment: Environment, entry: Mapping[str, Any], observation: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    if entry.get("key") != observation["key"]:
        return  # digests made with different keys cannot be compared
    recorded = entry.get("files") or {}
    digests = observation["files"].get(environment.directory) or {}
    for path in sorted(recorded):
        if digests.get(path) != recorded[path]:
            what = "was changed by hand" if path in digests else "was removed by hand"
            yield f"{environment.directory}/{path}", f"{path} {what}"


def _containers(
    environment: Environment, entry: Mapping[str, Any], observation: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    recorded: Mapping[str, Any] = entry.get("containers") or {}
    services: Mapping[str, Any] = entry.get("services") or {}
    observed = {container["name"]: container for container in observation["containers"]}
    now = deployed_containers(environment.prefix, observation)
    strays = sorted(set(now) - set(recorded))
    for name, was in sorted(recorded.items()):
        if name not in now:
            renamed = [other for other in strays if all(now[other][what] == was[what] for what in _SAME if what in was)]
            what = f"was renamed to {renamed[0]} by hand" if renamed else "was removed by hand"
            yield f"container {name}", f"Container {name} {what}"
            continue
        condition = observed[name]["condition"]
        if condition == "paused":
            yield f"container {name}", f"Container {name} was paused by hand"
        elif not observed[name]["running"] and not (condition == "exited (0)" and once(observed[name], services)):
            yield f"container {name}", f"Container {name} was stopped, or exited by itself ({condition}),"
        for what, word in _KEPT.items():
            if what in was and now[name][what] != was[what]:
                yield f"container {name}", f"Container {name} had its {word} changed by hand"
