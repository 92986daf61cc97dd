# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Privilege: no container may control the engine, the kernel, or another environment's processes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ..facts.server_owner import resolver
from ..model import ComposeProject, Environment, Fleet, Severity
from ..wording import listing
from . import Hit, Judgement, rule

_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock")
_POWERS = frozenset(
    (
        "ALL",
        "SYS_ADMIN",
        "NET_ADMIN",
        "SYS_PTRACE",
        "SYS_MODULE",
        "SYS_RAWIO",
        "DAC_READ_SEARCH",
        "BPF",
        "SYS_BOOT",
        "SYS_TIME",
    )
)
_PROXIES = ("socket-proxy", "socketproxy")


@rule("docker-socket", "HP-01", severity=Severity.CRITICAL, of_machine=True)
def docker_socket(fleet: Fleet) -> Judgement:
    """A container can command the engine that runs every environment."""
    for environment, project, name, service in _services(fleet):
        ways = [
            (str(mount.get("source")), project.where("services", name, "volumes", index))
            for index, mount in enumerate(service.get("volumes") or ())
            # A mount of / is judged as a whole, by another rule.
            if mount.get("type") == "bind"
            and mount.get("source") != "/"
            and _holds_socket(str(mount.get("source") or ""))
        ]
        if service.get("use_api_socket"):
            ways.append(("use_api_socket", project.where("services", name, "use_api_socket")))
        filtered = any(word in str(service.get("image")) for word in _PROXIES)
        for way, where in ways:
            yield Hit(
                (environment.prefix,),
                f"{name}: {way}",
                f"{name} of {environment.prefix} gets the engine's socket ({way}): with it, read-only or not, it can "
                f"stop, change and read every container on {environment.machine}.",
                "Remove it. An agent that needs the engine belongs to the machine, not to an environment, behind a "
                "proxy that allows only the calls it needs.",
                (where,),
                environment.machine,
                severity=Severity.MEDIUM if filtered else None,
            )


@rule("privileged-container", "HP-03", severity=Severity.HIGH, of_machine=True)
def privileged_container(fleet: Fleet) -> Judgement:
    """A container has powers over the machine's kernel or devices."""
    for environment, project, name, service in _services(fleet):
        for item, power in _powers(service):
            yield Hit(
                (environment.prefix,),
                f"{name}: {power}",
                f"{name} of {environment.prefix} runs with {power}: it can leave its container and reach everything "
                f"else on {environment.machine}.",
                f"Remove {item}, or grant only the one capability that is needed, if it gives no power over the "
                "machine.",
                (project.where("services", name, item),),
                environment.machine,
            )


@rule("host-pid", "HP-04", severity=Severity.HIGH, of_machine=True)
def host_pid(fleet: Fleet) -> Judgement:
    """A container sees the processes of others, with their environments and files."""
    yield from _joined(fleet, "pid", "it can read every process's environment, secrets included, and kill it")


@rule("host-ipc", "HP-05", severity=Severity.HIGH, of_machine=True)
def host_ipc(fleet: Fleet) -> Judgement:
    """A container shares memory segments with others."""
    yield from _joined(fleet, "ipc", "it can read and delete the shared memory of other databases")


@rule("host-namespace", "HP-06", severity=Severity.MEDIUM, of_machine=True)
def host_namespace(fleet: Fleet) -> Judgement:
    """A container changes the machine's name, users or resource groups, or shares a resource group."""
    parents: dict[tuple[str, str], list[tuple[Environment, ComposeProject, str]]] = {}
    for environment, project, name, service in _services(fleet):
        for item in ("uts", "cgroup", "userns_mode"):
            if service.get(item) == "host":
                yield Hit(
                    (environment.prefix,),
                    f"{name}: {item}: host",
                    f"{name} of {environment.prefix} uses the machine's own {item} namespace: what it changes there "
                    f"changes for every environment on {environment.machine}.",
                    f"Remove '{item}: host'.",
                    (project.where("services", name, item),),
                    environment.machine,
                )
        if service.get("cgroup_parent"):
            key = (environment.machine, str(service["cgroup_parent"]))
            parents.setdefault(key, []).append((environment, project, name))
    for (machine, parent), members in parents.items():
        owners = tuple(dict.fromkeys(environment.prefix for environment, _project, _name in members))
        if len(owners) > 1:
            yield Hit(
                owners,
                f"cgroup_parent {parent}",
                f"{listing(owners)} put containers into the same cgroup_parent, {parent}: a limit set for one also "
                "limits the other, and both draw on one budget.",
                "Give each environment its own cgroup_parent.",
                tuple(project.where("services", name, "cgroup_parent") for _unused, project, name in members),
                machine,
            )


def _services(fleet: Fleet) -> Iterator[tuple[Environment, ComposeProject, str, Mapping[str, Any]]]:
    for environment in fleet.environments:
        for project, name, service in environment.services():
            yield environment, project, name, service


def _holds_socket(source: str) -> bool:
    """Whether a path is the engine's socket or a directory above it."""
    path = posixpath.normpath(source) if source else ""
    return path in _SOCKETS or any(socket.startswith(f"{path.rstrip('/')}/") for socket in _SOCKETS if path)


def _powers(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what gives a service control over the machine: (key, its description)."""
    if service.get("privileged") is True:
        yield "privileged", "privileged: true"
    for capability in service.get("cap_add") or ():
        if str(capability).upper().removeprefix("CAP_") in _POWERS:
            yield "cap_add", f"the capability {capability}"
    for option in service.get("security_opt") or ():
        kind, _unused, profile = str(option).replace("=", ":").partition(":")
        if profile == "unconfined" and kind in ("apparmor", "seccomp", "systempaths"):
            yield "security_opt", f"{kind} unconfined"
    for device in service.get("devices") or ():
        source = str(device.get("source") if isinstance(device, Mapping) else device).partition(":")[0]
        if source:
            yield "devices", f"the machine's device {source}"


def _joined(fleet: Fleet, item: str, effect: str) -> Iterator[Hit]:
    """Yield services that join a namespace of the machine or of a container of another environment."""
    for environment, project, name, service in _services(fleet):
        mode = str(service.get(item) or "")
        target = mode.partition(":")[2] if mode.startswith("container:") else ""
        others = resolver(fleet).container_owners(target) if target else ()
        if mode != "host" and (not target or environment.prefix in others):
            continue
        whose = f"the {item} namespace of {target or 'the machine'}"
        if others:
            whose += f", a container of {others[0]}"
        yield Hit(
            (environment.prefix, *others[:1]),
            f"{name}: {item}: {mode}",
            f"{name} of {environment.prefix} runs in {whose}: {effect}.",
            f"Remove '{item}: {mode}', or join one of the environment's own services with '{item}: service:NAME'.",
            (project.where("services", name, item),),
            environment.machine,
        )
