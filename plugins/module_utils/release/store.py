# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases that an environment keeps on its machine, each whole enough to be returned to. Runs on the targets.

``releases/<id>/`` holds the files of a release, and ``release.json``, its manifest: what a deployment must know beside
the files. Both are root's, in the state directory, for a return to a release starts what they say. The manifest is
written once the release is in force, so that a directory without one is what a failed or killed run left. It also says
which release this one followed: after a rollback that is not the next older one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from ..core.directory import DesiredFile, digest
from ..core.layout import RELEASES
from ..docker.engine import Engine, EngineError
from ..docker.labels import PREFIX
from ..docker.reference import PULLED
from ..state.deployed import load_state, read_json
from ..state.home import Home
from .copied import read_source
from .service import Service

MANIFEST = "release.json"

#: What a manifest calls the release that was in force before.
FOLLOWS = "follows"

#: How much of an image's id people read.
_SHORT = len("sha256:") + 12

#: What ``bulkhead_release`` says to mean the one before the one in force.
PREVIOUS = "previous"

#: Arguments of the module ``converge`` that belong to a release and not to a run.
OF_A_RELEASE = (
    "commit",
    "compose_file",
    "firewall_ports",
    "networks",
    "ports",
    "services",
    "volumes",
)


def files_digest(files: list[DesiredFile]) -> str:
    """A digest of files: path, content and mode."""
    return digest(json.dumps([(file.path, digest(file.content), file.mode) for file in files]).encode())


def new_name(files: list[DesiredFile]) -> str:
    """What a release is called: when it was made, and a part of the digest of its files."""
    return "%s-%s" % (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), files_digest(files)[:8])


class Releases:
    """The kept releases of one environment."""

    def __init__(self, home: Home) -> None:
        self.home = home

    @staticmethod
    def path(name: str) -> str:
        """Where a release is, below what root keeps of the environment."""
        return os.path.join(RELEASES, name)

    def directory(self, name: str) -> str:
        """The absolute path of a release."""
        return self.home.kept.path(self.path(name))

    def names(self) -> list[str]:
        """Everything that is in the directory of releases, the oldest first."""
        return self.home.kept.names(RELEASES)

    def kept(self) -> list[str]:
        """The releases that were in force once, the oldest first."""
        return [name for name in self.names() if self.manifest(name)]

    def manifest(self, name: str) -> dict[str, Any]:
        """What is known of a release; empty where it never was in force or is not there."""
        if not name or os.path.basename(name) != name:
            return {}
        return read_json(self.home.kept, os.path.join(self.path(name), MANIFEST))

    def services(self, name: str) -> list[Service]:
        """The services of a kept release; none where it is not kept."""
        return [Service.from_dict(service) for service in self.manifest(name).get("services", ())]

    def resolve(self, wanted: str, current: str) -> str:
        """The name of a kept release. Raises EngineError, with those that there are, for any other."""
        kept = self.kept()
        if wanted == PREVIOUS:
            earlier = current if self._holds_others(current) else self.manifest(current).get(FOLLOWS, "")
            if earlier in kept:
                return earlier
            raise EngineError(
                "there is no release before %s to return to; kept releases: %s" % (current or "the first", _list(kept))
            )
        if wanted in kept:
            return wanted
        raise EngineError("there is no release %s (bulkhead_release); kept releases: %s" % (wanted, _list(kept)))

    def files(self, name: str) -> list[DesiredFile]:
        """The files of a kept release. Raises EngineError where one was removed or changed."""
        found = []
        for file in self.manifest(name)["files"]:
            # A file of the machine, such as a certificate, is taken as it is today.
            content = read_source(file["source"], self.home) if file["source"] else None
            if content is not None:
                found.append(DesiredFile(file["path"], content, file["mode"], file["secret"], file["source"]))
                continue
            content = self.home.kept.read(os.path.join(self.path(name), file["path"]))
            if content is None or digest(content) != file["digest"]:
                raise EngineError(
                    "release %s cannot be returned to: its file %s was %s. Choose another release"
                    % (name, file["path"], "removed" if content is None else "changed by hand")
                )
            found.append(DesiredFile(file["path"], content, file["mode"], file["secret"], file["source"]))
        return found

    def whole(self, name: str) -> list[DesiredFile] | None:
        """The files of a release that can be returned to; None of any other."""
        try:
            return self.files(name) if self.manifest(name) else None
        except EngineError:
            return None

    def is_whole(self, name: str) -> bool:
        """Whether a release can be returned to."""
        return self.whole(name) is not None

    def is_same(self, name: str, params: dict[str, Any]) -> bool:
        """Whether a kept release was made from the same arguments; what its files say is another question."""
        manifest = self.manifest(name)
        if not manifest:
            return False
        # What an older version did not keep of a service has its default.
        kept = dict(manifest, services=_plain([service.as_dict() for service in self.services(name)]))
        return all(kept.get(key) == value for key, value in _of_a_release(params).items())

    def _holds_others(self, current: str) -> bool:
        """Whether files of another release stand where those of the one in force stood: a killed run's."""
        # What is copied from the machine is today's, whichever release is in force.
        todays = {file["path"] for file in self.manifest(current).get("files", ()) if file["source"]}
        for name in self.names() if self.manifest(current) else ():
            for relative, brought in self.staged(name):
                stands = relative not in todays and self.home.read(relative) == brought
                if stands and brought != self.home.kept.read(os.path.join(self.path(current), relative)):
                    return True
        return False

    def staged(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The files that a release was written aside with: where they go, below the directory, and what is in them."""
        aside = self.path(name)
        for path in self.home.kept.walk(aside):
            relative, content = os.path.relpath(path, aside), self.home.kept.read(path)
            if relative != MANIFEST and content is not None:
                yield relative, content

    def stage(self, name: str, files: list[DesiredFile], services: list[Service]) -> str:
        """Write a release aside, with the directories that its services mount. Returns its name."""
        folder = self.path(name)
        try:
            for wanted in files:
                self.home.kept.write(wanted, folder)
            for source in mount_sources(services):
                self.home.kept.make_directory(os.path.join(folder, source))
        except Exception:
            self.remove(name)
            raise
        return name

    def make_mounts(self, services: list[Service]) -> None:
        """Make the directories that services mount: the engine would make them as root's."""
        for source in mount_sources(services):
            self.home.make_directory(source)

    def complete(
        self,
        name: str,
        files: list[DesiredFile],
        params: dict[str, Any],
        images: dict[str, str],
        before: str = "",
        about: dict[str, str] | None = None,
    ) -> None:
        """The release is in force, ``before`` was until now: keep what it takes to return to it, and ``about`` it what
        people ask. One that is returned to follows what it followed, and is still by whom it was."""
        earlier = self.manifest(name)
        manifest = dict(
            _of_a_release(params),
            release=name,
            follows=earlier.get(FOLLOWS, "") if earlier else before,
            images=images,
            about=earlier.get("about", {}) if earlier else about or {},
            environment=params.get("environment") or {},
            files=[
                {
                    "path": file.path,
                    "digest": digest(file.content),
                    "mode": file.mode,
                    "secret": file.sensitive,
                    "source": file.source,
                }
                for file in files
            ],
        )
        text = json.dumps(manifest, indent=1, sort_keys=True).encode()
        self.home.kept.write(DesiredFile(os.path.join(self.path(name), MANIFEST), text, 0o600))

    def remove(self, name: str) -> None:
        """Remove a release's directory."""
        self.home.kept.remove(self.path(name))

    def prune(self, keep: int, current: str) -> None:
        """Keep the release in force, those before it, and then the newest. Remove the rest."""
        line = self.line(current)
        kept = (line + [name for name in reversed(self.kept()) if name not in line])[: max(1, keep)]
        for name in self.names():
            if name not in kept:
                self.remove(name)

    def line(self, name: str) -> list[str]:
        """A release, the one that it followed, and so on, as far as they are kept."""
        found: list[str] = []
        while name not in found and self.manifest(name):
            found.append(name)
            name = self.manifest(name).get(FOLLOWS, "")
        return found

    def missing_images(self, name: str, present: dict[str, str]) -> list[str]:
        """The images of a release that this machine does not have."""
        return sorted(image for image in self.manifest(name).get("images", {}) if image not in present)

    def moved_images(self, name: str, now: dict[str, str], own: str = "") -> list[str]:
        """What is to be said of images of a release that have the same name ``now`` and are others; not of those of the
        environment's ``own`` repository, whose names say what they were built from."""
        manifest = self.manifest(name)
        found = []
        for image, before in sorted(manifest.get("images", {}).items()):
            ours = own and image.rpartition(":")[0] == own
            if before and now.get(image, before) != before and not ours:
                services = [service.name for service in self.services(name) if service.image == image]
                ids = (before[:_SHORT], now[image][:_SHORT])
                found.append(
                    "%s ran image %s as %s, and that name now means %s" % (" and ".join(services), image, *ids)
                )
        return found

    def prune_images(self, engine: Engine, repository: str) -> None:
        """Remove the images of this environment's own repository that no kept release runs.

        Only by whole name, and only if the image carries our label or was pulled by us, as its tag says. Docker keeps
        an image that a container uses.
        """
        wanted = {image for name in self.kept() for image in self.manifest(name).get("images", {})}
        listing = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
        code, output, _errors = engine.docker(*listing, "--filter", "label=%s" % PREFIX, repository)
        built = output.split() if code == 0 else []
        code, output, _errors = engine.docker(*listing, repository)
        pulled = [image for image in output.split() if image.endswith("-%s" % PULLED)] if code == 0 else []
        for image in (*built, *pulled):
            if image.rpartition(":")[0] == repository and image not in wanted and not image.endswith(":<none>"):
                engine.docker("image", "rm", image)


def _of_a_release(params: dict[str, Any]) -> dict[str, Any]:
    """The arguments that belong to a release, as its manifest has them."""
    kept = {key: params[key] for key in OF_A_RELEASE if key in params}
    kept["services"] = [service.as_dict() for service in params["services"]]
    found: dict[str, Any] = _plain(kept)
    return found


def _plain(value: Any) -> Any:
    """A value as JSON brings it back."""
    return json.loads(json.dumps(value))


def _list(names: list[str]) -> str:
    return ", ".join(reversed(names)) or "none"


def mount_sources(services: list[Service]) -> list[str]:
    """The directories that services mount, below the environment's own."""
    return [mount.split(":")[0][2:] for service in services for mount in service.mounts]


def deployed_commits(home: Home) -> list[str]:
    """The commits of the release in force and of those that are kept."""
    releases = Releases(home)
    manifests = [releases.manifest(name) for name in releases.kept()]
    return [str(kept["commit"]) for kept in (load_state(home), *manifests) if kept.get("commit")]
