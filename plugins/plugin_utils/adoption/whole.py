# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole of it: from what was seen on a machine to the files of an inventory and the guide beside them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..isolation.model import Finding
from ..isolation.redaction import redact
from ..isolation.report import text as report
from ..isolation.wording import UNPRINTABLE, number
from ..secrets import fingerprints
from . import moving
from .conflicts import conflicts
from .data import KeptData
from .grouping import environments
from .model import Container, FoundStack, Handmade, is_below
from .services import stack_of
from .settings import is_django, settings_of
from .web import application, web_of
from .written import Planned, everyone, hosts, source_of, variables, vault

#: The guide beside the inventory. Ansible reads no file of this ending as an inventory.
GUIDE = "adoption.md"

#: A tab would manipulate a page of Markdown.
_UNPRINTABLE = re.compile(rf"[\t{UNPRINTABLE}]")


@dataclass(frozen=True)
class Adoption:
    """What a machine runs, and what would be made of it. ``said`` are sentences on what belongs to no environment."""

    machine: str
    planned: tuple[Planned, ...]
    findings: tuple[Finding, ...]
    said: tuple[str, ...]
    moves: Mapping[str, tuple[moving.MoveStep, ...]]

    def files(self, connection: Mapping[str, Any]) -> dict[str, str]:
        """The files of the inventory that are no secret, by their paths in it."""
        alone = len({plan.own.project for plan in self.planned}) == 1
        found = {"hosts.yml": hosts(self.planned, connection), "group_vars/all/main.yml": everyone(self.planned)}
        for plan in self.planned:
            found[f"group_vars/{plan.own.group}/main.yml"] = variables(plan, alone)
        return found

    def secrets(self) -> dict[str, tuple[str, str]]:
        """Of each group with secrets: the plain text of its vault file, and its fingerprints file."""
        salt = fingerprints.new_salt()
        return {
            plan.own.group: (
                vault(plan.settings),
                fingerprints.written(fingerprints.fingerprints(plan.settings.secret, salt), salt),
            )
            for plan in self.planned
            if plan.settings.secret
        }

    @property
    def lines(self) -> list[str]:
        """What was found, in lines for the screen. No line has a value of a secret."""
        return [clean(line) for line in self._lines()]

    def _lines(self) -> Iterator[str]:
        for plan in self.planned:
            own = plan.own
            yield (
                f"{own.group}: {own.prefix}, {number(len(own.containers), 'container')} of the Compose project "
                f"{own.compose_project} in {own.directory or 'an unknown directory'}"
            )
            yield f"  domains: {', '.join(plan.web.domains) or 'none was found'}"
            for key, name in plan.stack.kept.items():
                yield f"  takes over the volume {name} as {key}"
            for here, there in plan.stack.copied.items():
                yield f"  copies {here} to {there}"
            if plan.stack.dumped:
                yield f"  moves its database as a copy: {plan.stack.dumped}"
            if plan.settings.secret:
                yield f"  secrets for its vault: {', '.join(sorted(plan.settings.secret))}"
            if plan.settings.made:
                yield (
                    f"  of these new, because the old one is unknown, shared or can be guessed: "
                    f"{', '.join(plan.settings.made)}"
                )
            yield f"  nothing answers for at most {moving.seconds(plan)} s while it moves"
        if self.findings:
            yield "What the environments share now, and how to mend it:"
            yield from redact(report.text(self.findings, stopping=self.findings)).splitlines()
        not_kept = [*self.said, *(sentence for plan in self.planned for sentence in plan.own.said)]
        if not_kept:
            yield "What was not taken over, or has to be decided:"
            yield from (f"  - {redact(sentence)}" for sentence in not_kept)

    def guide(self, proved: str) -> str:
        """The guide: conflicts, what was not taken over, and each environment's move. ``proved`` is what the plan says
        of the inventory."""
        said = [*self.said, *(sentence for plan in self.planned for sentence in plan.own.said)]
        text = [
            f"# Moving what runs on {self.machine} under Bulkhead",
            "",
            "Written by aiia.bulkhead.adopt from what it saw. Looking changed nothing on the server. Move one "
            "environment",
            "at a time, the least important first: its move shows how long the next one takes.",
            "",
            "## What the plan says of this inventory",
            "",
            "```text",
            redact(proved),
            "```",
            "",
            "## What the environments share now",
            "",
            *(
                ["```text", redact(report.text(self.findings, stopping=self.findings)), "```"]
                if self.findings
                else ["Nothing that the rules know."]
            ),
            "",
            "## What was not taken over, or has to be decided",
            "",
            *([f"- {redact(sentence)}" for sentence in said] or ["Nothing was left out."]),
            "",
            *(moving.written(plan, self.moves[plan.own.prefix]) for plan in self.planned),
        ]
        return clean("\n".join(text))


def clean(text: str) -> str:
    """A text without what could manipulate a terminal: names and paths are whatever their owners wrote."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def refusal(seen: Mapping[str, Any], docker_host: str) -> str:
    """Why nothing of a machine can be adopted; empty if it can."""
    if not seen["engine"]["rootless"]:
        return ""
    return (
        f"the engine at {docker_host} runs rootless, as a user of its own: its volumes belong to that user, and no "
        "firewall of the machine guards its containers. It cannot be adopted as it is. Write an inventory with "
        "ansible-playbook aiia.bulkhead.new, and move the data with a dump. Nothing was written"
    )


def adoption(seen: Mapping[str, Any], machine: str, inventory: str, homes: str = "/srv") -> Adoption:
    """What would be made of a machine. ``inventory`` is where the files are going to be written, ``homes`` where on the
    machine the environments get their directories."""
    found, said = environments(seen)
    for own in found:
        own.homes = homes
    volumes = {volume["name"]: volume for volume in seen["volumes"]}
    planned = tuple(_planned(own, found, seen, volumes) for own in found)
    said += list(_left(seen, found, volumes))
    moves = {
        plan.own.prefix: tuple(
            moving.steps(plan, seen["networks"], sorted(_shared_networks(plan.own, seen["containers"])), inventory)
        )
        for plan in planned
    }
    return Adoption(machine, planned, tuple(conflicts(found, seen["files"], machine)), tuple(said), moves)


def _planned(
    own: Handmade, found: Sequence[Handmade], seen: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]
) -> Planned:
    web = web_of(own, seen["files"])
    container = application(own, web)
    django = is_django(container)
    settings = settings_of(own, container, django)
    claimed = {name: other.prefix for other in found if other is not own for name in _volumes_of(other.containers)}
    found_stack = FoundStack(app_port=web.target[1] if own.part("nginx") else 0)
    stack = stack_of(own, container, django, settings, KeptData(own, found_stack, volumes, claimed))
    for path in (web.certificate, web.key):
        # The old directory is the way back, and may carry the name of what another environment still runs as.
        if path and own.directory and is_below(path, own.directory):
            stack.copied[path] = posixpath.join(own.home, posixpath.relpath(path, own.directory))
    builds = _build(own, container, seen["files"])
    source = source_of(own, seen["checkouts"], builds, container.image if container else {})
    if own.part("nginx") and not (web.certificate and web.key):
        own.say(
            f"No certificate of {own.prefix} was found on the machine, and Bulkhead's nginx answers with TLS: set "
            "bulkhead_tls_certificate_path and bulkhead_tls_key_path, or bulkhead_acme."
        )
    for container in own.containers:
        if not container.seen["running"]:
            own.say(f"{container.name} of {own.prefix} does not run now ({container.seen['condition']}).")
    return Planned(own, web, stack, settings, django, source)


def _build(own: Handmade, container: Container | None, files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How the Compose file builds the application's image; empty where it does not, or cannot be read."""
    texts = {file["path"]: file for file in files if file["kind"] == "compose"}
    build: Any = {}
    for path in own.files:
        file = texts.get(path)
        if file is None or file["problem"]:
            own.say(
                f"The Compose file {path} of {own.prefix} could not be read "
                f"({file['problem'] if file else 'it was not found'}): "
                "everything here is from the containers themselves."
            )
            continue
        try:
            services = (yaml.safe_load(file["text"]) or {}).get("services") or {}
            given = services.get(container.service, {}).get("build") if container else None
            running = {other.service for other in own.containers}
            for name in services:
                if name not in running:
                    own.say(
                        f"The service {name} of {path} has no container. It was left out; if {own.prefix} needs it, "
                        "add it to bulkhead_services."
                    )
        except (yaml.YAMLError, AttributeError, RecursionError, ValueError):
            own.say(f"The Compose file {path} of {own.prefix} is not YAML with services: it was left out.")
            continue
        build = given or build
    return {"context": build} if isinstance(build, str) else dict(build) if isinstance(build, Mapping) else {}


def _left(
    seen: Mapping[str, Any], found: Sequence[Handmade], volumes: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Sentences on what is on the machine and in no environment."""
    used = {name for own in found for name in _volumes_of(own.containers)}
    for name, volume in volumes.items():
        project = volume["labels"].get("com.docker.compose.project", "")
        if name not in used and volume["holds"] and any(own.compose_project == project for own in found):
            kind = "PostgreSQL" if "postgresql" in volume["holds"] else "Redis"
            yield (
                f"The volume {name} holds data of {kind} and no container mounts it. It was left out: if an "
                "environment lost "
                "its server to another one of the same project, this is where its data is."
            )
    for item in seen["schedules"]:
        yield (
            f"{item['path']} runs Docker on a schedule, for example: {item['lines'][0]}. It knows nothing of Bulkhead: "
            "replace backups by bulkhead_backup_schedule and renewals by bulkhead_acme, and remove it before the move."
        )
    for file in seen["files"]:
        if file["problem"] and file["kind"] in ("env", "machine-nginx") and "no such file" not in file["problem"]:
            yield f"{file['path']} could not be read: {file['problem']}."
    if seen["managed"]:
        yield f"Bulkhead deploys {', '.join(seen['managed'])} on this machine already; that was not looked at."
    if seen["left_out"]:
        yield (
            f"The machine has {seen['left_out']} containers more than are looked at; name projects in "
            f"bulkhead_adopt_projects."
        )
    if seen["files_left_out"]:
        yield f"{seen['files_left_out']} files more were not read; name projects in bulkhead_adopt_projects."


def _volumes_of(containers: Iterable[Container]) -> set[str]:
    return {
        mount["source"] for container in containers for mount in container.seen["mounts"] if mount["type"] == "volume"
    }


def _shared_networks(own: Handmade, containers: Iterable[Mapping[str, Any]]) -> set[str]:
    """Networks on which containers of others are as well."""
    names = {container.name for container in own.containers}
    return {name for other in containers if other["name"] not in names for name in other["networks"]}
