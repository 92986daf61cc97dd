# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one environment's machine looks like beside what is wanted. Looks only; runs on the targets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..core.directory import DesiredFile, digest
from ..docker.containers import is_well, labels_of, name_of, started
from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.labels import CONFIG_HASH, INPUT, ONE_OFF, RELEASE, SERVICE
from ..edge.door import Door
from ..host.firewall import Firewall
from ..source.checkout import Checkout
from ..state.deployed import load_state
from ..state.home import Home
from ..state.registry import state_directory
from .containers import Containers
from .copied import read_source
from .front_door import FrontDoor
from .interrupted import unfinished_files, unfinished_releases, unknown_containers
from .keys import refuse_other_keys
from .overlap import Overlap
from .paths import paths_problem
from .service import Service
from .store import files_digest, new_name
from .traffic import is_steered, unknown_signs


@dataclass(frozen=True)
class Comparison:
    """One environment as it was found, and as it is wanted. A second look makes a new comparison."""

    engine: Engine
    tree: Home
    checkout: Checkout | None
    params: dict[str, Any]
    #: What the last deployment left.
    state: dict[str, Any]
    containers: Containers
    #: The ids of the images that are wanted, as far as the machine has them.
    images: dict[str, str]
    #: The files that are wanted.
    files: list[DesiredFile]
    #: What this release is called if it is a new one.
    release: str
    #: The services that may run with other files than those that are wanted.
    misled: frozenset[str]
    gone_files: list[str]
    #: The checkout, where it stands on another commit or branch than it should.
    outdated_checkout: Checkout | None
    #: The firewall's guard. None where none is wanted or in place: only a guard needs root and iptables.
    firewall: Firewall | None
    #: What it does at the machine's front door.
    door: FrontDoor
    changed_files: list[DesiredFile] = field(default_factory=list)

    @classmethod
    def look(cls, engine: Engine, tree: Home, checkout: Checkout | None, params: dict[str, Any]) -> Comparison:
        """Look at the machine, once."""
        services, state = params["services"], load_state(tree)
        files = params["release_files"] if "release_files" in params else _wanted_files(tree, params)
        problem = paths_problem([wanted.path for wanted in files], params["compose_file"])
        if problem:
            raise EngineError(problem)
        containers = Containers.look(engine)
        seen = cls(
            engine=engine,
            tree=tree,
            checkout=checkout,
            params=params,
            state=state,
            containers=containers,
            images=engine.image_ids([service.image for service in services if service.image]),
            files=files,
            release=new_name(files),
            misled=misled(tree, containers, services, files),
            gone_files=_gone_files(tree, state, files),
            outdated_checkout=_outdated(checkout, params["commit"]),
            firewall=_firewall(engine, params, state),
            door=FrontDoor(Door(engine, state_directory(params["state_directory"])), params["prefix"]),
        )
        named = seen._with_releases()
        return replace(seen, files=named, changed_files=[wanted for wanted in named if tree.differs(wanted)])

    @property
    def services(self) -> list[Service]:
        """The services that are wanted."""
        found: list[Service] = self.params["services"]
        return found

    # ---- what differs ---------------------------------------------------------------------------------------------

    @cached_property
    def digests(self) -> dict[str, str]:
        """A digest of the wanted files of each service."""
        return {service.name: self._digest_of(service.files) for service in self.services}

    @cached_property
    def settings(self) -> dict[str, str]:
        """A digest of the wanted settings of each service."""
        return {service.name: self._digest_of(service.env_files) for service in self.services}

    @cached_property
    def stale(self) -> list[Service]:
        """Services whose files changed since they last took them."""
        applied = self.state.get("applied", {})
        return [
            service
            for service in self.services
            if applied.get(service.name) != self.digests[service.name] or service.name in self.misled
        ]

    @cached_property
    def overlap(self) -> Overlap:
        """What files of passwords hold besides what is wanted while containers are replaced."""
        return Overlap.of(self.tree, str(self.state.get("release", "")), self.services, self.files)

    def reads_at_start(self, service: Service) -> bool:
        """Whether a service has to start anew to take its files that change."""
        changing = {wanted.path for wanted in self.changed_files}
        return bool(service.files) and (not service.on_change or bool(changing & set(service.start_files)))

    @cached_property
    def changed(self) -> list[Service]:
        """Services whose containers were made from another definition, other settings or another image."""
        return [service for service in self.services if self._is_changed(service)]

    @cached_property
    def broken(self) -> list[Service]:
        """Services that do not run as recorded."""
        return [service for service in self.services if not self._runs_as_recorded(service)]

    @cached_property
    def orphans(self) -> list[dict[str, Any]]:
        """Containers of services that are gone."""
        keys = {service.key for service in self.services}
        return [
            container
            for container in self.containers
            if labels_of(container).get(ONE_OFF) != "True" and labels_of(container).get(SERVICE) not in keys
        ]

    @cached_property
    def abandoned(self) -> list[dict[str, Any]]:
        """Containers that a killed run of a service that is gone left."""
        return unknown_containers(self.containers, self.params["prefix"], self.services)

    @property
    def interrupted(self) -> bool:
        """Whether a run ended after it had brought its files into force, and before everything ran them."""
        return bool(self.state) and self.state.get("digest") != files_digest(self.files)

    @cached_property
    def never_served(self) -> bool:
        """Whether all that runs was started by first deployments that were killed: no user depends on it."""
        made_for = {labels_of(container).get(RELEASE, "") for container in self.containers}
        return bool(made_for) and not self.state and made_for <= set(unfinished_releases(self.tree))

    def leftovers(self) -> list[str]:
        """The containers that only a deployment needs while it works, and that are there now."""
        names = [name for service in self.services for name in (service.stand_in, service.preparing)]
        steered = [
            service.stand_in for service in self.services if not service.domains and is_steered(self.tree, service)
        ]
        found = [name for name in names if name in steered or self.containers.named(name)]
        return found + [name_of(container) for container in self.abandoned] + unknown_signs(self.tree, self.services)

    def in_the_way_of(self, service: Service) -> list[dict[str, Any]]:
        """Containers of services that are gone which have the name that this service's container shall have."""
        return [orphan for orphan in self.orphans if name_of(orphan) in service.container_names]

    # ---- data -----------------------------------------------------------------------------------------------------

    def volumes_made(self) -> list[str]:
        """When each of the environment's volumes was made: a new one has to be filled anew."""
        names = [*self.params["volumes"], *(self.params.get("adopted") or ())]
        volumes = inspect_objects(self.engine, "volume", names)
        return sorted("%s %s" % (volume["Name"], volume.get("CreatedAt", "")) for volume in volumes)

    def has_data(self) -> bool:
        """Whether there may be data that a backup could hold: volumes and containers may do so without a state."""
        return bool(self.state or self.containers or self.volumes_made())

    def unprepared(self) -> list[tuple[Service, str]]:
        """Services that have to be prepared again although their image is the same, and why."""
        found = []
        for service in (service for service in self.services if service.prepare):
            prepared = self.state.get("prepared", {}).get(service.name)
            if prepared == "":
                found.append((service, "its data was restored"))
            elif prepared is None and not (self.state and self.containers.of_service(service)):
                continue  # it is new, and so is its image
            elif (prepared or "").rpartition("-")[2] != commands_digest(service):
                found.append((service, "what prepares it changed"))
        return found

    # ---- looking --------------------------------------------------------------------------------------------------

    def _digest_of(self, paths: Iterable[str]) -> str:
        content = [(wanted.path, digest(wanted.content)) for wanted in self.files if wanted.path in paths]
        return digest(json.dumps(sorted(content)).encode())

    def _with_releases(self) -> list[DesiredFile]:
        """The files, with a Compose file that says for which release each service's containers were made, or will be.

        A container whose service did not change keeps its label: another one would recreate it at each deployment.
        """
        known = {service.name: self._made_for(service) for service in self.services}
        # A container that was removed by hand is made again for its own release if that is wanted unchanged.
        recorded = self.state.get("made_for", {})
        missing = [service.name for service in self.services if not self.containers.of_service(service)]
        again = {name: recorded.get(name, "") for name in missing}
        files = self.files
        for made_for in ({**known, **again}, known):
            files = [self._labelled(wanted, made_for) for wanted in self.files]
            if files_digest(files) == self.state.get("digest"):
                break
        return files

    def _made_for(self, service: Service) -> str:
        """The release that all containers of a service that did not change were made for."""
        found = {labels_of(container).get(RELEASE, "") for container in self.containers.of_service(service)}
        return found.pop() if len(found) == 1 and service not in self.changed else ""

    def _labelled(self, wanted: DesiredFile, made_for: dict[str, str]) -> DesiredFile:
        if wanted.path != self.engine.compose_file:
            return wanted
        content = wanted.content
        for service in self.services:
            content = content.replace(service.release.encode(), (made_for[service.name] or self.release).encode())
        return DesiredFile(wanted.path, content, wanted.mode, wanted.sensitive, wanted.source)

    def _is_changed(self, service: Service) -> bool:
        made_with = self.state.get("settings", {}).get(service.name)
        settings = made_with is not None and made_with != self.settings[service.name]
        return any(
            settings
            or labels_of(container).get(INPUT, service.input) != service.input
            or not self._has_image(container, service)
            for container in self.containers.of_service(service)
        )

    def _runs_as_recorded(self, service: Service) -> bool:
        recorded = self.state.get("hashes", {}).get(service.name)
        found = self.containers.of_service(service)
        return len(found) == service.replicas and all(
            labels_of(container).get(CONFIG_HASH) == recorded
            and (service.replicas > 1 or name_of(container) == service.container)
            and self._has_image(container, service)
            and is_well(container, service.one_shot)
            for container in found
        )

    def _has_image(self, container: dict[str, Any], service: Service) -> bool:
        """Whether a container was made from what the image's name means now, where the machine knows it."""
        found = container.get("Image")
        return bool(found == self.images.get(service.image, found))


def misled(tree: Home, containers: Containers, services: Iterable[Service], files: list[DesiredFile]) -> frozenset[str]:
    """The services that may run with other files than these, which stand on disk now: a killed run's or a person's."""
    return frozenset(service.name for service in services if _may_have_read_others(tree, containers, service, files))


def _may_have_read_others(tree: Home, containers: Containers, service: Service, files: list[DesiredFile]) -> bool:
    """A service with ``on_change`` may have taken them at any time; any other reads them when it starts."""
    for wanted in files:
        found = tree.read(wanted.path) if wanted.path in service.files else None
        status = tree.status(wanted.path)
        if found is None or found == wanted.content or status is None:
            continue
        since = status.st_mtime
        if service.on_change or any(started(container) >= since for container in containers.of_service(service)):
            return True
    return False


def commands_digest(service: Service) -> str:
    """A digest of the commands that prepare a service."""
    return digest(json.dumps(service.prepare).encode())[:8]


def _wanted_files(home: Home, params: dict[str, Any]) -> list[DesiredFile]:
    """The files that are wanted, those copied from the machine included."""
    found = []
    for file in params["files"]:
        content = file["content"].encode("utf-8", "surrogateescape")
        if file["source"]:
            content = read_source(file["source"], home)
            if content is None:
                raise EngineError(
                    "%s does not exist on this machine (it is wanted as %s)" % (file["source"], file["path"])
                )
        found.append(DesiredFile(file["path"], content, file["mode"], file["secret"], file["source"]))
    refuse_other_keys(found, home.directory)
    return found


def _gone_files(tree: Home, state: dict[str, Any], files: list[DesiredFile]) -> list[str]:
    """The files that an earlier deployment or a killed run wrote and that are no longer wanted."""
    kept = {wanted.path for wanted in files}
    # Nothing behind a link is ever removed.
    gone = [path for path in state.get("files", ()) if path not in kept and tree.holds(path)]
    gone += [path for path in unfinished_files(tree) if path not in kept and path not in gone]
    return [path for path in gone if tree.read(path) is not None]


def _outdated(checkout: Checkout | None, commit: str) -> Checkout | None:
    if not checkout or not commit:
        return None
    stands = (checkout.head(), checkout.current_branch())
    return None if stands == (commit, checkout.branch) else checkout


def _firewall(engine: Engine, params: dict[str, Any], state: dict[str, Any]) -> Firewall | None:
    wanted = params.get("firewall")
    if not wanted and state.get("firewall") is None:
        return None
    ports = params["firewall_ports"] if wanted else None
    where = (engine, params["prefix"], params["firewall_chain"], params["networks"], ports)
    # What was guarded once stays so: a guard that cannot be set up any more fails the run.
    optional = wanted == "auto" and state.get("firewall") is None
    return Firewall(*where, state_directory(params["state_directory"]), optional)
