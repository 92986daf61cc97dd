# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release of a stack as a manager takes it: images by digest, jobs that run before, and the form that is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from itertools import count
from typing import Any

from ...module_utils.docker.labels import DATA
from ..declaration.settings import plain
from .render import Release
from .swarm_files import with_versions
from .writers import dump_stack

#: What a job does not have of its service: what makes it a server, and its names, to which requests would come.
_OF_A_SERVER = ("healthcheck", "ports", "hostname", "stop_grace_period", "stop_signal")


def images(release: Release) -> list[str]:
    """The images of a stack, each once."""
    found = (str(service.get("image") or "") for service in release.stack.compose["services"].values())
    return sorted({image for image in found if image})


def sources(release: Release) -> list[dict[str, Any]]:
    """The files of a stack that only the manager has."""
    return [asdict(file) for file in release.brought if file.source and not file.content]


def pinned(release: Release, pins: Mapping[str, str], versions: Mapping[str, str]) -> Release:
    """A release whose images are named by their digests, and whose files by their versions."""
    compose = with_versions(release.stack.compose, versions)
    compose["services"] = {
        key: {**service, "image": pins.get(str(service.get("image")), service.get("image"))}
        for key, service in compose["services"].items()
    }
    return replace(release, stack=replace(release.stack, compose=compose))


def foundation(release: Release) -> list[str]:
    """The services that the application needs itself: they neither run it, nor wait for it, nor publish ports."""
    stack = release.stack
    found = {service.key for service in stack.services if service.application or service.rolling or service.prepare}
    found |= {key for key, definition in stack.compose["services"].items() if definition.get("ports")}
    while True:
        more = {key for key, waits in stack.waits.items() if key not in found and found & set(waits)}
        if not more:
            return [service.key for service in stack.services if service.key not in found]
        found |= more


def shipped(release: Release) -> dict[str, Any]:
    """What a manager needs to bring a release into force and to keep it. Images must be pinned."""
    compose = release.stack.compose
    settings = release.file(".env").content
    first = foundation(release)
    kept = _dumped(release, kept_form(compose))
    return {
        "text": release.file(release.compose_file).content,
        "kept_text": kept,
        "foundation": first,
        "waits": {key: list(waits) for key, waits in release.stack.waits.items() if waits},
        "foundation_text": _dumped(release, _with_services(compose, {key: compose["services"][key] for key in first})),
        "jobs": list(_jobs(release)),
        "files": [asdict(file) for file in release.files if file.path != release.compose_file],
        "settings": settings,
        "definitions": {key: _digest(service, settings) for key, service in compose["services"].items()},
        "digest": hashlib.sha256(f"{kept}\0{settings}".encode("utf-8", "surrogatepass")).hexdigest(),
        "images": {key: str(service.get("image") or "") for key, service in compose["services"].items()},
        **{
            section: sorted(
                str((entry or {}).get("name") or f"{compose['name']}_{key}")
                for key, entry in (compose.get(section) or {}).items()
                if not (entry or {}).get("external")
            )
            for section in ("configs", "networks", "secrets")
        },
    }


def kept_form(compose: Mapping[str, Any]) -> dict[str, Any]:
    """A stack that can be deployed again without its files: configs and secrets are those that the swarm has."""
    found = dict(compose)
    for section in ("configs", "secrets"):
        if found.get(section):
            found[section] = {
                key: {"name": entry["name"], "external": True} if entry.get("file") else entry
                for key, entry in found[section].items()
            }
    return found


def _jobs(release: Release) -> Iterator[dict[str, Any]]:
    """The commands that run before the release gets requests, each as a stack of its own with that one job."""
    compose = release.stack.compose
    names = (name for name in map("prepare-{}".format, count(1)) if name not in compose["services"])
    for service in release.stack.services:
        for command, key in zip(service.prepare, names, strict=False):  # there is always another name
            job = _job(compose["services"][service.key], command)
            yield {
                "service": service.key,
                "key": key,
                "command": list(command),
                "text": _dumped(release, _with_services(compose, {key: job})),
            }


def _job(definition: Mapping[str, Any], command: tuple[str, ...]) -> dict[str, Any]:
    """One task that runs a command as its service would, and ends."""
    job = {key: value for key, value in definition.items() if key not in _OF_A_SERVER}
    networks = definition.get("networks")
    if isinstance(networks, Mapping):
        job["networks"] = [*networks]
    deploy = definition.get("deploy") or {}
    stays = {key: deploy[key] for key in ("endpoint_mode", "labels", "placement", "resources") if key in deploy}
    # Compose's own dollar: the command is data, and has none of its own meaning here.
    job["command"] = [word.replace("$", "$$") for word in command]
    job["deploy"] = {**stays, "mode": "replicated-job", "replicas": 1, "restart_policy": {"condition": "none"}}
    return job


def _with_services(compose: Mapping[str, Any], services: Mapping[str, Any]) -> dict[str, Any]:
    return {**compose, "services": dict(services)}


def _dumped(release: Release, compose: Mapping[str, Any]) -> str:
    return dump_stack(compose, release.heading)


def _digest(service: Mapping[str, Any], settings: str) -> str:
    """A digest of all that a service is made of; it changes with the settings where it reads them."""
    text = json.dumps(plain(service), sort_keys=True) + (settings if service.get("env_file") else "")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def data_label(release: Release, prefix: str) -> str:
    """The label of the node that has the volumes of a stack; empty where no service has one."""
    label = f"{DATA}{prefix}"
    return label if any(is_pinned(service, label) for service in release.stack.compose["services"].values()) else ""


def is_pinned(definition: Mapping[str, Any], label: str) -> bool:
    """Whether a service runs only on the node with a label."""
    placement = (definition.get("deploy") or {}).get("placement") or {}
    return any(str(constraint).startswith(f"node.labels.{label} ") for constraint in placement.get("constraints") or ())
