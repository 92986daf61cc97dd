# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove one environment: everything that is its own, and nothing else. Runs on the targets.

Nothing is removed by pattern, prefix or prune. Each thing is found by its exact labels or by what a deployment noted,
listed, and removed by its id or full name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any

from ..backup import manifest
from ..backup.create import LOCK
from ..backup.job import CERTIFICATES
from ..backup.recovery import JOURNAL
from ..backup.schedule import Schedule
from ..backup.sources import backup_directory
from ..certificates.store import Store
from ..core.errors import Failure, last_lines
from ..core.steps import Step
from ..docker.containers import belongs_to, is_own, labels_of, name_of
from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.labels import PREFIX, PROJECT
from ..edge.door import Door
from ..edge.places import sockets
from ..host.firewall import Firewall
from ..host.firewall_rules import FirewallError
from ..image.builder import Builder, Settings
from ..image.record import ImageRecord
from ..source.checkout import Checkout
from ..state.deployed import load_state
from ..state.home import Home
from ..state.registry import state_directory
from .owned_files import Belongings

#: The label of a volume that has no name but its id.
_ANONYMOUS = "com.docker.volume.anonymous"


def surprises(goes: Iterable[Step], expected: Iterable[Step]) -> list[Step]:
    """What is removed and was not listed, or was listed and is gone. Order means nothing: the engine lists images of
    the same second in any."""
    return sorted(set(goes) ^ set(expected), key=lambda step: (step.kind, step.target))


class Thing:
    """Something that is the environment's own: what it is, its name for people, and what the engine knows it by."""

    def __init__(self, kind: str, name: str, identity: str = "") -> None:
        self.kind = kind
        self.name = name
        self.identity = identity or name

    @property
    def text(self) -> str:
        """Its name with what it is."""
        return "%s %s" % (self.kind, self.name)

    @property
    def removal(self) -> Step:
        """What is done to it."""
        return Step("remove", self.name, self.kind)


class Destruction:
    """What to remove of one environment: ``goes`` is removed, ``stays`` is kept on purpose, ``left`` is not its own."""

    def __init__(self, engine: Engine, tree: Home, checkout: Checkout | None, params: dict[str, Any]) -> None:
        self.engine = engine
        self.tree = tree
        self.checkout = checkout
        self.params = params
        self.prefix: str = params["prefix"]
        self.state_directory = state_directory(params["state_directory"])
        self.certificates = Store(self.prefix, params["state_directory"])
        own = (engine, self.prefix, params["state_directory"])
        self.schedules = [Schedule(*own), Schedule(*own, CERTIFICATES)]
        self.builder = Builder(engine, params["state_directory"], self.prefix, Settings())
        self.door = Door(engine, self.state_directory)
        self.survey()

    def survey(self) -> None:
        """Look at what is there."""
        self.goes: list[Thing] = []
        self.stays: list[str] = []
        self.left: list[str] = []
        everyone = self.engine.inspect(self.engine.docker_ok("ps", "--all", "--quiet", "--no-trunc").split())
        own = [container for container in everyone if self._is_ours(container)]
        self.others = [container for container in everyone if container not in own]
        self._schedules()
        self.goes += [Thing("container", name_of(container), container["Id"]) for container in own]
        if os.path.isdir(self.certificates.folder):
            self.goes.append(Thing("certificates", self.certificates.folder))
        self._strangers()
        if self.door.has(self.prefix):
            self.goes.insert(0, Thing("route", self.prefix))
        self._firewall()
        self._networks()
        self._volumes(own)
        self._images()
        if os.path.isdir(self.builder.folder):
            self.goes.append(Thing("build cache", self.builder.folder))
        self._backups()
        self._files()
        record = ImageRecord(self.params["state_directory"], self.prefix).path
        if os.path.isfile(record):
            self.goes.append(Thing("file", record))
        entry = os.path.join(self.state_directory, "environments", self.prefix)
        if os.path.isdir(entry):
            self.goes.append(Thing("registry entry", entry))

    def _is_ours(self, container: dict[str, Any]) -> bool:
        ours = is_own(container, self.prefix, self.tree.directory)
        return ours and labels_of(container).get(PROJECT) == self.engine.project

    def _strangers(self) -> None:
        for other in self.others:
            labels = labels_of(other)
            if labels.get(PROJECT) == self.engine.project or labels.get(PREFIX) == self.prefix:
                self.left.append(
                    "container %s of %s: no deployment from %s made it"
                    % (name_of(other), belongs_to(labels), self.tree.directory)
                )

    def _schedules(self) -> None:
        for schedule in self.schedules:
            self.goes += [Thing("schedule", step.target) for step in schedule.bring({}, change=False)]
        backups = self.schedules[0].folder
        self.goes += [Thing("schedule", backups)] if os.path.isdir(backups) else []

    def _firewall(self) -> None:
        guarded = load_state(self.tree).get("firewall") is not None
        if os.geteuid() != 0 and not guarded:
            return
        try:
            planned = self._guard().plan()
        except FirewallError:
            if guarded:
                raise
            return
        if planned:
            self.goes.append(Thing("firewall chain", self.params["firewall_chain"]))

    def _guard(self) -> Firewall:
        return Firewall(self.engine, self.prefix, self.params["firewall_chain"], [], None, self.state_directory)

    def _labelled(self, kind: str) -> list[dict[str, Any]]:
        """The networks or volumes that carry the environment's label and are of its Compose project."""
        listing = self.engine.docker_ok(kind, "ls", "--quiet", "--filter", "label=%s=%s" % (PREFIX, self.prefix))
        found = []
        for item in inspect_objects(self.engine, kind, listing.split()):
            labels = item.get("Labels") or {}
            if labels.get(PROJECT) == self.engine.project:
                found.append(item)
            else:
                self.left.append("%s %s: it belongs to %s" % (kind, item["Name"], belongs_to(labels)))
        return found

    def _networks(self) -> None:
        for network in self._labelled("network"):
            guests = [name_of(other) for other in self.others if network["Id"] in _networks_of(other)]
            if guests:
                self.left.append("network %s: %s is attached to it" % (network["Name"], " and ".join(guests)))
            else:
                self.goes.append(Thing("network", network["Name"], network["Id"]))

    def _volumes(self, own: list[dict[str, Any]]) -> None:
        nameless = {name for container in own for name in _volumes_of(container)}
        found = self._labelled("volume")
        known = {volume["Name"] for volume in found}
        found += [
            volume
            for volume in inspect_objects(self.engine, "volume", sorted(nameless - known))
            if _ANONYMOUS in (volume.get("Labels") or {})
        ]
        for name in (volume["Name"] for volume in found):
            users = [name_of(other) for other in self.others if name in _volumes_of(other)]
            if not self.params["volumes"]:
                self.stays.append("volume %s" % name)
            elif users:
                self.left.append("volume %s: %s uses it" % (name, " and ".join(users)))
            else:
                self.goes.append(Thing("volume", name))

    def _images(self) -> None:
        """Images by the names of the environment's own repository, and nameless ones that were built for it."""
        repository = self.params["image_repository"]
        used: dict[str, list[str]] = {}
        for other in self.others:
            used.setdefault(other.get("Image", ""), []).append(name_of(other))
        listing = self.engine.docker_ok("image", "ls", "--quiet", "--no-trunc", repository).split()
        label = "label=%s=%s" % (PREFIX, self.prefix)
        nameless = ("image", "ls", "--quiet", "--no-trunc", "--filter", label, "--filter", "dangling=true")
        listing += self.engine.docker_ok(*nameless).split()
        for image in inspect_objects(self.engine, "image", list(dict.fromkeys(listing))):
            tags = image.get("RepoTags") or []
            names = [tag for tag in tags if tag.rpartition(":")[0] == repository] if tags else [image["Id"]]
            # An image that another container runs may lose a name as long as it keeps another one.
            if used.get(image["Id"]) and len(names) == max(1, len(tags)):
                self.left.append("image %s: %s runs it" % (names[0], " and ".join(used[image["Id"]])))
            else:
                self.goes += [Thing("image", name) for name in sorted(names)]

    def _backups(self) -> None:
        folder = self._backup_directory()
        names = [backup["name"] for backup in manifest.complete_backups(folder, self.prefix)]
        if not self.params["backups"]:
            self.stays += ["backup %s" % os.path.join(folder, name) for name in names]
            return
        if not os.path.isdir(folder):
            return
        there = sorted(os.listdir(folder))
        # What killed runs left is removed, as the next backup would do.
        own = names + [name for name in there if name.startswith(manifest.PARTIAL)]
        self.goes += [Thing("backup", os.path.join(folder, name)) for name in own]
        beside = [name for name in there if name in (LOCK, JOURNAL)]
        strange = [name for name in there if name not in (*own, *beside)]
        if not strange and not self.params["backup_directory"]:
            self.goes.append(Thing("backup directory", folder))
            return
        self.goes += [Thing("file", os.path.join(folder, name)) for name in beside]
        self.left += ["%s: not a backup of %s" % (os.path.join(folder, name), self.prefix) for name in strange]
        if not strange:
            self.left.append("%s: it may have been there before any backup (bulkhead_backup_directory)" % folder)

    def _backup_directory(self) -> str:
        return backup_directory(dict(self.params, directory=self.params["backup_directory"]))

    def _files(self) -> None:
        found = Belongings(self.tree, load_state(self.tree).get("files") or (), self.params["mounts"], self.checkout)
        for path in found.own:
            whole = self.tree.path(path) if path else self.tree.directory
            folder = self.tree.is_folder(path)
            self.goes.append(Thing("directory" if folder else "file", whole + ("/" if folder else ""), whole))
        self.left += ["%s: %s" % (self.tree.path(path), reason) for path, reason in found.left]

    # ---- removing ------------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Remove what was surveyed, each thing by its id or full name. Raises EngineError with what is left."""
        stopping = [thing.identity for thing in self.goes if thing.kind == "container"]
        if stopping:
            # Volumes may be kept: what writes to them has to end properly.
            self.engine.docker("stop", *stopping)
        problems = self._remove_all()
        self.survey()
        still = [thing.text for thing in self.goes if thing.kind != "registry entry"]
        if problems or still:
            raise EngineError(
                "could not remove: %s. Files and the registry entry are kept until that is gone; then run this again"
                % "; ".join(problems or still)
            )

    def _remove_all(self) -> list[str]:
        problems: list[str] = []
        for thing in self.goes:
            if problems and thing.kind in ("file", "directory", "backup directory"):
                continue  # the next run needs what they say
            try:
                self._removal(thing.kind)(thing)
            except (Failure, OSError) as error:
                detail = last_lines(getattr(error, "detail", ""), 2)
                problems.append("%s (%s)" % (thing.text, detail or str(error)))
        return problems

    def _removal(self, kind: str) -> Callable[[Thing], Any]:
        engine = self.engine
        return {
            "route": lambda thing: self._withdraw(thing.identity),
            "schedule": self._unschedule,
            "certificates": lambda _thing: self.certificates.remove(),
            "container": lambda thing: engine.docker_ok("rm", "--force", thing.identity),
            "firewall chain": lambda _thing: self._guard().apply(None),
            "network": lambda thing: engine.docker_ok("network", "rm", thing.identity),
            "volume": lambda thing: engine.docker_ok("volume", "rm", thing.identity),
            "image": lambda thing: engine.docker_ok("image", "rm", thing.identity),
            "build cache": lambda _thing: self.builder.remove(),
            "backup": lambda thing: manifest.remove(*os.path.split(thing.identity)),
            "backup directory": lambda thing: shutil.rmtree(thing.identity),
            "file": self._remove_file,
            "directory": self._remove_directory,
            # The step that writes the receipt removes it: as long as anything is left the environment stays registered.
            "registry entry": lambda _thing: None,
        }[kind]

    def _withdraw(self, prefix: str) -> None:
        """Take the route away, and then the sockets that it led to."""
        self.door.withdraw(prefix)
        folder = os.path.join(sockets(self.state_directory), prefix)
        if os.path.isdir(folder):
            shutil.rmtree(folder)

    def _unschedule(self, thing: Thing) -> None:
        if thing.identity == self.schedules[0].folder:
            shutil.rmtree(thing.identity)
            return
        for schedule in self.schedules:  # all of its files at once: a timer is stopped before its file is removed
            if thing.identity in [step.target for step in schedule.bring({}, change=False)]:
                schedule.remove()

    def _remove_directory(self, thing: Thing) -> None:
        """Remove what deployments filled with its content; any other directory has to be empty by now."""
        relative = os.path.relpath(thing.identity, self.tree.directory)
        if relative == "code" or relative.startswith(".bulkhead" + os.sep):
            self.tree.remove_all(relative)
        else:
            self.tree.remove_empty("" if relative == "." else relative)

    def _remove_file(self, thing: Thing) -> None:
        """Remove a file of the environment's directory, or one beside its backups, where only root can write."""
        relative = os.path.relpath(thing.identity, self.tree.directory)
        if relative.split(os.sep, 1)[0] == "..":
            os.unlink(thing.identity)
        else:
            self.tree.unlink(relative)


def _networks_of(container: dict[str, Any]) -> set[str]:
    attached = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return {(network or {}).get("NetworkID", "") for network in attached.values()} - {""}


def _volumes_of(container: dict[str, Any]) -> set[str]:
    return {mount.get("Name", "") for mount in container.get("Mounts") or () if mount.get("Type") == "volume"}
