# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one environment's machine looks like beside what is wanted. Looks only; runs on the targets."""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.directory import DesiredFile, Tree, digest, read
from ..core.layout import sign_of
from ..docker.containers import is_well, labels_of, name_of, started
from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.labels import CONFIG_HASH, INPUT, ONE_OFF, RELEASE, SERVICE
from ..host.firewall import Firewall
from ..source.checkout import Checkout
from ..state.deployed import load_state
from .interrupted import unfinished_files, unknown_containers, unknown_signs
from .service import Service
from .store import files_digest, new_name


class Comparison:
    """One environment as it is and as it shall be.

    ``stale`` are services whose files changed since they last took them, ``broken`` those that do not run as recorded,
    ``changed`` those whose containers were made from something else, ``orphans`` containers of services that are gone,
    ``abandoned`` those that a killed run of such a service left.
    ``interrupted`` says that a run ended after it had brought its files into force, and before everything ran them.
    """

    def __init__(self, engine: Engine, tree: Tree, checkout: Checkout | None, params: dict[str, Any]) -> None:
        self.engine = engine
        self.tree = tree
        self.checkout = checkout
        self.params = params
        self.services: list[Service] = params["services"]
        self.state = load_state(tree)
        self.files = params["release_files"] if "release_files" in params else self._wanted_files()
        self.refresh()
        self.before = {container["Id"]: container.get("RestartCount", 0) for container in self.containers}
        self.ran_before = {labels_of(container).get(SERVICE) for container in self.containers}
        self.changed_files = [wanted for wanted in self.files if tree.differs(wanted)]
        kept = {wanted.path for wanted in self.files}
        # The owner can write the state, and this may run as root: nothing outside the directory is ever removed.
        gone = [path for path in self.state.get("files", ()) if path not in kept and tree.holds(path)]
        gone += [path for path in unfinished_files(tree) if path not in kept and path not in gone]
        self.gone_files = [path for path in gone if read(tree.path(path)) is not None]
        self.digests = {service.name: self._digest_of(service.files) for service in self.services}
        self.settings = {service.name: self._digest_of(service.env_files) for service in self.services}
        applied = self.state.get("applied", {})
        self.stale = [
            service
            for service in self.services
            if applied.get(service.name) != self.digests[service.name] or self.may_have_read_others(service, self.files)
        ]
        self.images = engine.image_ids([service.image for service in self.services if service.image])
        self.changed = [service for service in self.services if self._is_changed(service)]
        #: What this release is called if it is a new one.
        self.release = new_name(self.files)
        self._name_releases()
        self.broken = [service for service in self.services if not self._runs_as_recorded(service)]
        self.interrupted = bool(self.state) and self.state.get("digest") != files_digest(self.files)
        #: What services were prepared for, by this run too.
        self.prepared: dict[str, str] = dict(self.state.get("prepared", {}))
        keys = {service.key for service in self.services}
        self.orphans = [
            container
            for container in self.containers
            if labels_of(container).get(ONE_OFF) != "True" and labels_of(container).get(SERVICE) not in keys
        ]
        self.abandoned = unknown_containers(self.containers, params["prefix"], self.services)
        self.outdated_checkout = self._outdated_checkout()
        self.firewall = self._firewall()

    def refresh(self) -> None:
        """Look at the project's containers again."""
        self.containers: list[dict[str, Any]] = self.engine.project_containers()

    def of_service(self, service: Service) -> list[dict[str, Any]]:
        """The containers of a service, without one-off ones."""
        return [
            container
            for container in self.containers
            if labels_of(container).get(SERVICE) == service.key and labels_of(container).get(ONE_OFF) != "True"
        ]

    def named(self, name: str) -> dict[str, Any] | None:
        """The project's container of a name, one-off ones included."""
        return next((container for container in self.containers if name_of(container) == name), None)

    def stand_in(self, service: Service) -> dict[str, Any] | None:
        """The container that stands in for a service while that is replaced."""
        return self.named(service.stand_in)

    def leftovers(self) -> list[str]:
        """The containers that only a deployment needs while it works, and that are there now."""
        names = [name for service in self.services for name in (service.stand_in, service.preparing)]
        steered = [service.stand_in for service in self.services if self.is_steered(service)]
        found = [name for name in names if name in steered or self.named(name)]
        return found + [name_of(each) for each in self.abandoned] + unknown_signs(self.tree, self.services)

    def is_steered(self, service: Service) -> bool:
        """Whether requests go to a service's stand-in."""
        return os.path.exists(self.tree.path(sign_of(service.name)))

    def volumes_made(self) -> list[str]:
        """When each of the environment's volumes was made: a new one has to be filled anew."""
        found = inspect_objects(self.engine, "volume", self.params["volumes"])
        return sorted("%s %s" % (each["Name"], each.get("CreatedAt", "")) for each in found)

    def has_data(self) -> bool:
        """Whether there may be data that a backup could hold: volumes and containers may do so without a state."""
        return bool(self.state or self.containers or self.volumes_made())

    def unprepared(self) -> list[tuple[Service, str]]:
        """Services that have to be prepared again although their image is the same, and why."""
        found = []
        for service in (service for service in self.services if service.prepare):
            prepared = self.prepared.get(service.name)
            if prepared == "":
                found.append((service, "its data was restored"))
            elif prepared is None and not (self.state and self.of_service(service)):
                continue  # it is new, and so is its image
            elif (prepared or "").rpartition("-")[2] != commands_digest(service):
                found.append((service, "what prepares it changed"))
        return found

    def in_the_way_of(self, service: Service) -> list[dict[str, Any]]:
        """Containers of services that are gone which have the name that this service's container shall have."""
        return [orphan for orphan in self.orphans if name_of(orphan) in service.container_names]

    def moves(self, service: Service) -> bool:
        """Whether a service that is replaced without a gap changes the port that nginx sends requests to."""
        wanted = {_port(each) for each in service.expose}
        exposed = [(each.get("Config") or {}).get("ExposedPorts") for each in self.of_service(service)]
        return bool(service.rolling) and any(wanted - set(map(_port, each or wanted)) for each in exposed)

    def _wanted_files(self) -> list[DesiredFile]:
        """The files as they shall be, those copied from the machine included."""
        found = []
        for file in self.params["files"]:
            content = file["content"].encode("utf-8", "surrogateescape")
            if file["source"]:
                content = read(os.path.realpath(file["source"]))
                if content is None:
                    raise EngineError(
                        "%s does not exist on this machine (it is wanted as %s)" % (file["source"], file["path"])
                    )
            found.append(DesiredFile(file["path"], content, file["mode"], file["secret"], file["source"]))
        return found

    def _digest_of(self, paths: list[str]) -> str:
        content = [(wanted.path, digest(wanted.content)) for wanted in self.files if wanted.path in paths]
        return digest(json.dumps(sorted(content)).encode())

    def _name_releases(self) -> None:
        """Say in the Compose file for which release each service's containers were made, or will be.

        A container whose service did not change keeps its label: another one would recreate it at each deployment.
        """
        compose_file = next((file for file in self.files if file.path == self.engine.compose_file), None)
        if compose_file is None:
            return
        template, known = compose_file.content, {}
        for service in self.services:
            found = {labels_of(each).get(RELEASE, "") for each in self.of_service(service)}
            known[service.name] = found.pop() if len(found) == 1 and service not in self.changed else ""
        # A container that somebody removed is made again for its release, where that is wanted as it was.
        recorded = self.state.get("made_for", {})
        again = {
            service.name: recorded.get(service.name, "") for service in self.services if not self.of_service(service)
        }
        for made_for in (dict(known, **again), known):
            compose_file.content = template
            for service in self.services:
                label = made_for[service.name] or self.release
                compose_file.content = compose_file.content.replace(service.release.encode(), label.encode())
            if files_digest(self.files) == self.state.get("digest"):
                break
        self.changed_files = [wanted for wanted in self.files if self.tree.differs(wanted)]

    def _is_changed(self, service: Service) -> bool:
        """Whether a service's containers were made from another definition, other settings or another image."""
        made_with = self.state.get("settings", {}).get(service.name)
        settings = made_with is not None and made_with != self.settings[service.name]
        return any(
            settings
            or labels_of(each).get(INPUT, service.input) != service.input
            or each.get("Image") != self.images.get(service.image, each.get("Image"))
            for each in self.of_service(service)
        )

    def _runs_as_recorded(self, service: Service) -> bool:
        recorded = self.state.get("hashes", {}).get(service.name)
        found = self.of_service(service)
        return len(found) == service.replicas and all(
            labels_of(each).get(CONFIG_HASH) == recorded
            and (service.replicas > 1 or name_of(each) == service.container)
            and each.get("Image") == self.images.get(service.image, each.get("Image"))
            and is_well(each, service.one_shot)
            for each in found
        )

    def may_have_read_others(self, service: Service, files: list[DesiredFile]) -> bool:
        """Whether a service may run with other files than these, which stand on disk now: a killed run's or a person's.

        One that is told of changed files may have been told of those. Any other reads them when it starts.
        """
        for wanted in files:
            path = self.tree.path(wanted.path)
            found = read(path) if wanted.path in service.files else None
            if found is None or found == wanted.content:
                continue
            since = os.lstat(path).st_mtime
            if service.on_change or any(started(each) >= since for each in self.of_service(service)):
                return True
        return False

    def _outdated_checkout(self) -> Checkout | None:
        """The checkout, where it stands on another commit or branch than it should."""
        checkout = self.checkout
        if not checkout or not self.params["commit"]:
            return None
        stands = (checkout.head(), checkout.current_branch())
        return None if stands == (self.params["commit"], checkout.branch) else checkout

    def _firewall(self) -> Firewall | None:
        """The guard; None where none is wanted and none was put up, so that nobody else needs root or iptables."""
        wanted = self.params.get("firewall")
        if not wanted and self.state.get("firewall") is None:
            return None
        ports = self.params["firewall_ports"] if wanted else None
        chain, networks = self.params["firewall_chain"], self.params["networks"]
        return Firewall(self.engine, self.params["prefix"], chain, networks, ports)


def commands_digest(service: Service) -> str:
    """Which commands prepare a service for its image, in one number."""
    return digest(json.dumps(service.prepare).encode())[:8]


def _port(text: str) -> str:
    """A port as the engine writes it; Compose leaves the protocol out."""
    return text if "/" in text else "%s/tcp" % text
