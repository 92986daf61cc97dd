# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine itself: whether it is the right one, has room, and runs anything else that endangers an environment."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import PREFIX, WORKING_DIRECTORY
from ..declared import is_routed
from ..facts.ownership import inside
from ..model import Claim, Environment, Finding, Severity, Where
from ..redaction import redact
from ..wording import some
from .capacity import capacity
from .encryption import encryption
from .ownership import real_path
from .registered import is_there

#: The port on which a Docker engine listens without authentication.
_OPEN_ENGINE = 2375

_LOOPBACK = ("127.", "::1")

#: The first major version of the engine that drops packets from outside to ports on loopback.
_LOOPBACK_SAFE = 28

_PRUNE = re.compile(r"\bdocker\b.*\bprune\b")


def machine(environment: Environment, observation: Mapping[str, Any]) -> list[Finding]:
    """Every finding about the machine that concerns this environment."""
    return [
        *_identity(environment, observation),
        *_other_directory(environment, observation),
        *_maintenance(environment, observation),
        *_front_door(environment, observation),
        *capacity(environment, observation),
        *encryption(environment, observation),
        *_open_engine(environment, observation),
        *_privileged_owner(environment, observation),
        *_parents(environment, observation),
        *_registry(environment, observation),
        *_unregistered(environment, observation),
        *_moved_checkouts(environment, observation),
        *_shared_checkout(environment, observation),
        *_engine(environment, observation),
        *_limits(environment, observation),
        *_schedules(environment, observation),
    ]


def _finding(
    environment: Environment, rule: str, severity: Severity, resource: str, message: str, fix: str, *hazards: str
) -> Finding:
    where = (Where(item="seen on the machine"),)
    return Finding(rule, severity, (environment.prefix,), resource, message, fix, where, environment.machine, hazards)


def _front_door(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    door = observation.get("door")
    if door is None:
        return
    for prefix, problem in sorted(door.get("damaged", {}).items()):
        yield _finding(
            environment,
            "damaged-route",
            Severity.LOW,
            f"route {prefix}",
            f"the front door's route of {prefix} is damaged: {problem}. A front door that starts again takes the route "
            "from its own configuration, and other environments' routes are not affected.",
            f"Deploy {prefix}: that writes the file anew.",
            "PT-01",
        )
    if not is_routed(environment):
        return
    run = "ansible-playbook aiia.bulkhead.edge for this machine"
    if not door["present"]:
        yield _finding(
            environment,
            "absent-front-door",
            Severity.HIGH,
            "front door",
            f"{environment.prefix} has bulkhead_edge: true, but the front door is absent on this machine, so nobody "
            "would reach it",
            f"run {run} first, or let the environment publish its ports (bulkhead_edge: false)",
            "PT-01",
        )
    elif door["routes"] is None:
        yield _finding(
            environment,
            "absent-front-door",
            Severity.HIGH,
            "front door",
            f"the routes of this machine's front door cannot be read: {door['problem']}",
            f"run {run}",
            "PT-01",
        )


def _identity(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    entry = observation["registry"].get(environment.prefix) or {}
    for what, then, now in (
        ("machine", entry.get("machine_id"), observation["machine"]),
        ("Docker engine", entry.get("engine_id"), observation["engine"]["id"]),
    ):
        if then and now and then != now:
            yield _finding(
                environment,
                "other-machine",
                Severity.HIGH,
                what,
                f"This is not the {what} that {environment.prefix} was deployed to: its id is {now[:12]}, and the "
                f"registry has {then[:12]}. The data of {environment.prefix} is elsewhere.",
                f"Check ansible_host and bulkhead_docker_host. If {environment.prefix} has really moved, remove its "
                "entry from the registry on this machine.",
                "CP-21",
            )


def _other_directory(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """The same prefix was deployed here to another directory, probably by another inventory."""
    entry = observation["registry"].get(environment.prefix) or _elsewhere(observation).get(environment.prefix) or {}
    directory, here = str(entry.get("directory") or ""), real_path(observation, environment.directory)
    same = real_path(observation, directory) == here
    # An entry may outlive its environment: then everything that runs by this name was deployed here.
    running = [container["labels"] for container in observation["containers"]]
    origins = [labels.get(WORKING_DIRECTORY, "") for labels in running if labels.get(PREFIX) == environment.prefix]
    gone = bool(origins) and all(real_path(observation, origin) == here for origin in origins)
    if directory and not same and not gone and is_there(entry, observation):
        yield _finding(
            environment,
            "other-directory",
            Severity.CRITICAL,
            directory,
            f"{environment.prefix} was deployed here to {directory} by {entry.get('by') or 'an unknown user'}: "
            f"deploying it to {environment.directory} would take over its containers and volumes.",
            "Give one of the two another bulkhead_prefix. If it is the same environment and has moved, move its "
            "directory on the machine as well.",
            "CP-01",
            "CP-12",
        )


def _elsewhere(observation: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The environments that are registered in other state directories of the machine."""
    found: Mapping[str, Mapping[str, Any]] = observation.get("elsewhere", {})
    return found


def _maintenance(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """The environment is healthy, but answers every request with its maintenance page."""
    if environment.directory in observation["maintenance"]:
        yield _finding(
            environment,
            "in-maintenance",
            Severity.LOW,
            environment.directory,
            f"{environment.prefix} answers every request with its maintenance page, and a deployment does not change "
            "that.",
            "ansible-playbook aiia.bulkhead.maintenance -l <environment> -e bulkhead_maintenance=off",
        )


def _open_engine(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    for socket in observation["sockets"]:
        if socket["port"] == _OPEN_ENGINE and not socket["address"].startswith(_LOOPBACK):
            yield _finding(
                environment,
                "open-engine",
                Severity.CRITICAL,
                f"port {_OPEN_ENGINE}",
                f"Port {_OPEN_ENGINE} is open on {socket['address'] or 'every address'}: if that is the Docker "
                "engine, every container of every environment can become root on this machine.",
                "Let the engine listen on its socket only, or on 2376 with TLS and client certificates.",
                "HP-07",
            )


def _privileged_owner(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    owner = str(environment.variables.get("bulkhead_owner") or "")
    if owner in observation.get("engine_users", ()):
        yield _finding(
            environment,
            "privileged-owner",
            Severity.LOW,
            f"user {owner}",
            f"{owner}, who owns {environment.directory} (bulkhead_owner), is in the group docker: whoever can act as "
            f"{owner} is root on this machine and can reach every environment.",
            f"Take {owner} out of the group docker (gpasswd --delete {owner} docker), or give the environment its "
            "own user.",
            "VP-18",
        )


def _parents(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    own = posixpath.normpath(environment.directory)
    for path in observation["parents"]:
        folder = posixpath.dirname(path)
        if own.startswith(folder.rstrip("/") + "/"):
            yield _finding(
                environment,
                "compose-file-above",
                Severity.LOW,
                path,
                f"{path} lies above {own}: 'docker compose' without -f may use that file instead of the one of "
                f"{environment.prefix}.",
                "Move that file elsewhere; Bulkhead itself always passes -f.",
                "CP-14",
            )


def _registry(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    for prefix, entry in sorted(observation["registry"].items()):
        if "damaged" in entry:
            yield _finding(
                environment,
                "damaged-registry",
                Severity.LOW,
                f"registry entry {prefix}",
                f"The registry entry of {prefix} cannot be used ({entry['damaged']}): {prefix} is judged by what "
                "runs on the machine instead, without its domains and databases.",
                f"Deploy {prefix} again to rewrite its entry.",
            )
        elif "rebuilt" in entry:
            yield _finding(
                environment,
                "rebuilt-registry",
                Severity.LOW,
                f"registry entry {prefix}",
                f"The registry entry of {prefix} was rebuilt from the copy in {entry['directory']}: "
                f"{entry['rebuilt']}.",
                f"Deploy {prefix} again to complete its entry.",
            )


def _unregistered(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Environments that run here without a registry entry."""
    seen = {container["labels"].get(PREFIX, "") for container in observation["containers"]}
    unknown = sorted(seen - {"", environment.prefix, *observation["registry"], *_elsewhere(observation)})
    if unknown:
        yield _finding(
            environment,
            "unregistered-environment",
            Severity.LOW,
            f"environment {unknown[0]}",
            f"Containers of {some(unknown)} run here without a registry entry: they are judged by what runs on the "
            "machine, without domains and databases.",
            "Deploy them again to register them, or set the same bulkhead_state_directory for all users of this "
            "machine.",
        )


def _moved_checkouts(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Others' checkouts that are not at their deployed commit. An environment whose lock is held is being deployed:
    its commit is registered at the end."""
    for prefix in sorted({*observation["registry"]} - {environment.prefix, *observation["locks"]}):
        yield from moved_checkout(environment, prefix, observation)


def moved_checkout(environment: Environment, prefix: str, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """One environment's checkout, if it was moved by hand (pulled, switched) since the last deployment."""
    entry = observation["registry"].get(prefix) or {}
    checkout = observation["checkouts"].get(str(entry.get("directory"))) or {}
    deployed = str(entry.get("commit") or "")
    if deployed and checkout.get("commit") and checkout["commit"] != deployed:
        yield _finding(
            environment,
            "moved-checkout",
            Severity.LOW,
            f"{entry['directory']}/code",
            f"The checkout of {prefix} is at {checkout['commit'][:12]} on {checkout['branch'] or 'no branch'}, but "
            f"{deployed[:12]} was deployed: it was pulled or switched by hand.",
            f"Deploy {prefix} to reset it; builds never use the work tree.",
            "CI-09",
        )


def _shared_checkout(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """An environment's checkout that is a link out of its directory, or shares another environment's repository."""
    own = observation["checkouts"].get(environment.directory) or {}
    real = real_path(observation, environment.directory)
    place = str(own.get("place") or "")
    if place and not inside(place, real):
        yield _finding(
            environment,
            "linked-checkout",
            Severity.HIGH,
            f"{environment.directory}/code",
            f"{environment.directory}/code is a link to {place}, outside the environment's own directory: checking "
            "out a commit here changes files there.",
            "Remove the link; the deployment creates its own checkout.",
            "VP-15",
        )
    for directory, other in sorted(observation["checkouts"].items()):
        if (
            directory != environment.directory
            and own.get("repository")
            and other.get("repository") == own["repository"]
        ):
            yield _finding(
                environment,
                "shared-repository",
                Severity.HIGH,
                own["repository"],
                f"The checkouts in {environment.directory} and {directory} share the git repository "
                f"{own['repository']}: a fetch, checkout or clean-up in one affects the other.",
                f"Remove {environment.directory}/code (a worktree or link); the deployment creates its own checkout.",
                "VP-15",
            )


def _limits(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    for what, (count, most) in sorted(observation["limits"].items()):
        if most > 0 and count * 10 > most * 9:
            yield _finding(
                environment,
                "kernel-limit",
                Severity.MEDIUM,
                what,
                f"{count} of {most} {what} are in use on this machine: every environment on it fails when they run "
                "out.",
                "Find out what uses them, or raise the kernel's limit (sysctl).",
                "HP-12",
            )


def _schedules(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Scheduled jobs that prune whatever is not in use at that moment, of every environment."""
    for schedule in observation["schedules"]:
        for line in schedule["lines"]:
            if _PRUNE.search(line):
                yield _finding(
                    environment,
                    "scheduled-prune",
                    Severity.LOW,
                    schedule["path"],
                    f"{schedule['path']} runs '{redact(line.strip())}': it removes everything that no container uses "
                    "at that moment, including volumes and images of stopped environments.",
                    "Remove that job; Bulkhead removes only its own objects, by exact name.",
                    "OP-01",
                )


def _engine(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    if not observation["engine"]["live_restore"]:
        yield _finding(
            environment,
            "no-live-restore",
            Severity.LOW,
            "Docker engine",
            "The engine has live-restore off: restarting or upgrading it stops the containers of every environment.",
            "Set engine_live_restore: true and run aiia.bulkhead.provision, which reloads the engine without a "
            "restart.",
            "OP-10",
        )
    version = str(observation["engine"]["version"]).partition(".")[0]
    local = [claim.key for claim in environment.claims if claim.namespace == "host-port" and _is_local(claim)]
    if version.isdigit() and int(version) < _LOOPBACK_SAFE and local:
        yield _finding(
            environment,
            "reachable-loopback",
            Severity.LOW,
            f"port {local[0]}",
            f"Docker Engine {observation['engine']['version']} lets other hosts on this machine's network reach "
            f"ports published on loopback ({', '.join(local[:4])}).",
            f"Upgrade the engine to {_LOOPBACK_SAFE} or later.",
            "NW-19",
        )


def _is_local(claim: Claim) -> bool:
    return str(claim.attributes.get("ip") or "").startswith(_LOOPBACK)
