# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accept only images that were healthy in another environment for long enough.

The proof is the other environment's ``evidence``: the registry entry of a verified deployment, the record of what its
images were built from, and healthy containers that run that very image now. Runs on the machine that accepts them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..core.errors import last_lines
from ..core.timestamps import text
from ..core.words import number
from ..docker.engine import Engine, EngineError
from ..docker.reference import PULLED
from ..state.registry import Registry, state_directory
from .evidence import deployed_images
from .record import INPUTS, TREE, VOUCHED, ImageRecord

#: A name with a digest, split into the parts by which engines list it: without the tag and the default registry.
_BY_DIGEST = re.compile(r"(?:(?:index\.)?docker\.io/)?(?:library/)?(.+?)(?::[\w.-]+)?@(sha256:[0-9a-f]{64})\Z")


class Image(NamedTuple):
    """An image of the environment that is being deployed. ``id`` is empty if it is not on its machine."""

    name: str
    id: str
    digests: tuple[str, ...] = ()


class HealthySince(NamedTuple):
    """Since when an image has been healthy, in seconds since the epoch, and what happened then."""

    moment: float
    event: str


# ---- the judgement: pure, from the evidence --------------------------------------------------------------------------


def running(evidence: dict[str, Any], image: Image) -> list[dict[str, Any]]:
    """The containers that run this very image: they have its id, or a digest in common, because two engines may have
    different ids for one image."""
    return [
        container
        for container in evidence["containers"]
        if (image.id and container["image"] == image.id) or set(container["digests"]) & set(image.digests)
    ]


def healthy_since(containers: list[dict[str, Any]]) -> HealthySince:
    """Since when all of these containers have been healthy: the last start, verification or failed health check."""
    return max(
        candidate
        for container in containers
        for candidate in (
            HealthySince(container["started"], "%s was started" % container["name"]),
            HealthySince(container["verified"], "the deployment of %s was verified" % container["name"]),
            HealthySince(container["failed"], "a health check of %s failed" % container["name"]),
        )
    )


def period(evidence: dict[str, Any], containers: list[dict[str, Any]]) -> str:
    """Since when these containers have been healthy, and for how many minutes by their machine's clock."""
    began = healthy_since(containers).moment
    return "%s (%s)" % (text(began), number(int((evidence["now"] - began) / 60), "minute"))


def problem(evidence: dict[str, Any], minutes: int, image: Image) -> str:
    """Why an image is not accepted; empty if it is."""
    source, what = evidence["prefix"], "%s (%s)" % (image.name, short(image.id)) if image.id else image.name
    if not evidence["registered"]:
        return "%s is not registered on its machine, so %s is unproved: deploy it there first" % (source, what)
    containers = running(evidence, image)
    if not containers:
        return _not_running(evidence, image, what)
    if not all(container["image"] in evidence["deployed"] for container in containers):
        return "no verified deployment of %s used %s" % (source, what)
    for container in containers:
        name = container["name"]
        if not container["well"]:
            return "%s is not healthy in %s: %s is %s" % (what, source, name, container["condition"])
        if container["failing"]:
            return "%s is not healthy in %s: the last health check of %s failed" % (what, source, name)
    if not any(container["condition"] == "healthy" for container in containers):
        return "%s has no health check in %s, so its health is unknown: give its service a healthcheck" % (what, source)
    began = healthy_since(containers)
    lacking = minutes * 60 - (evidence["now"] - began.moment)
    if lacking > 0:
        since = period(evidence, containers)
        return "%s has been healthy in %s only since %s, when %s: wait %d more minutes" % (
            what, source, since, began.event, -(-lacking // 60),
        )  # fmt: skip
    return ""


def _not_running(evidence: dict[str, Any], image: Image, what: str) -> str:
    """Why no container of the other environment runs an image, and what to do."""
    source = evidence["prefix"]
    same_name = [container for container in evidence["containers"] if container["reference"] == image.name]
    here = "" if image.id or image.digests else " is not on this machine"
    if not same_name:
        return "%s%s does not run in %s: deploy it there first" % (what, here and "%s, and it" % here, source)
    container = same_name[0]
    remedy = (
        "name it by its digest, %s" % container["digests"][0]
        if container["digests"]
        else "push it to a registry from there and name it by its digest"
    )
    difference = "%s, so it cannot be compared with the one" % here if here else " is not the image"
    return "%s%s that runs in %s under that name (%s): %s, or copy that one here (docker save, docker load)" % (
        what, difference, source, short(container["image"]), remedy,
    )  # fmt: skip


def containers_of_tree(evidence: dict[str, Any], tree: str, inputs: str) -> tuple[list[dict[str, Any]], str]:
    """The containers that run an image of these files, or else why there are none."""
    source = evidence["prefix"]
    same_files = [container for container in evidence["containers"] if container["tree"] == tree]
    if not same_files:
        if inputs == PULLED:
            return [], "%s does not run the image with the digest sha256:%s: deploy it there first" % (source, tree)
        return [], _no_such_files(evidence, tree)
    same_inputs = [container for container in same_files if container["inputs"] == inputs]
    if not same_inputs:
        return [], (
            "the image of these files in %s was built with other inputs (bulkhead_source_repository, "
            "bulkhead_build_*): set them alike in both environments" % source
        )
    return [container for container in same_inputs if container["image"] == same_inputs[0]["image"]], ""


def _no_such_files(evidence: dict[str, Any], tree: str) -> str:
    source = evidence["prefix"]
    recorded = [container for container in evidence["containers"] if container["recorded"]]
    if evidence["containers"] and not recorded:
        return (
            "the machine of %s has no record of what the images that run there were built from; earlier versions of "
            "Bulkhead kept none: deploy %s once with this version" % (source, source)
        )
    if recorded and not any(container["tree"] for container in recorded):
        return (
            "what %s runs was not built from exactly the files of a commit, because git changes files at checkout "
            "there (Git LFS, filters, line ends), so it cannot be compared" % source
        )
    return "%s runs no image built from these files (git tree %s): deploy a commit with the same files there first" % (
        source, tree[:12],
    )  # fmt: skip


def short(identity: str) -> str:
    """A digest, shortened for display."""
    return identity[: len("sha256:") + 12]


def by_digest(name: str) -> str:
    """A name with a digest, as engines list it; empty for any other name."""
    match = _BY_DIGEST.match(name)
    return "%s@%s" % match.groups() if match else ""


# ---- the images of this machine --------------------------------------------------------------------------------------


class Promotion:
    """Judges the images of one environment. ``params`` are the other environment's ``evidence``, and for how many
    ``minutes`` an image must have been healthy there."""

    def __init__(self, engine: Engine, prefix: str, state: str, params: dict[str, Any]) -> None:
        self.engine = engine
        self.evidence: dict[str, Any] = params["evidence"]
        self.minutes: int = params["minutes"]
        self.record = ImageRecord(state, prefix)
        #: Images in force here: they were accepted before, or deployed before promotion was required.
        self.accepted = deployed_images(Registry(state_directory(state)).entry(prefix))

    def require(self, names: Iterable[str]) -> list[str]:
        """The proof for each image that is new here. Raises EngineError with all reasons if any is not accepted."""
        notes, problems = [], []
        for name in sorted(set(names)):
            image = self.image(name)
            if image.id in self.accepted:
                continue
            reason = self.problem(image)
            if reason:
                problems.append(reason)
            else:
                notes.append(self._note("%s%s" % (name, " (%s)" % short(image.id) if image.id else ""), image))
        self._refuse(problems)
        return notes

    def problem(self, image: Image) -> str:
        """Why an image is not accepted; empty if it is."""
        return problem(self.evidence, self.minutes, image)

    def _note(self, what: str, image: Image) -> str:
        healthy = period(self.evidence, running(self.evidence, image))
        return "%s was healthy in %s since %s" % (what, self.evidence["prefix"], healthy)

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            raise EngineError(
                "only images that were healthy in %s for %s are accepted (bulkhead_promotion_from, "
                "bulkhead_promotion_minutes): %s. Nothing was changed"
                % (self.evidence["prefix"], number(self.minutes, "minute"), "; ".join(problems))
            )

    def image(self, name: str) -> Image:
        """Look up an image on this machine by name, id or digest. A digest identifies an image even if it is not here,
        because Compose will pull exactly that one."""
        code, output, errors = self.engine.docker("image", "inspect", "--format", "{{json .}}", name)
        if code == 0:
            inspected = json.loads(output)
            return Image(name, inspected["Id"], tuple(inspected.get("RepoDigests") or ()))
        if "no such image" not in errors.lower():
            self.engine.check_reachable(errors)
            raise EngineError("image %s cannot be inspected" % name, last_lines(errors, 3))
        digest = by_digest(name)
        return Image(name, "", (digest,) if digest else ())

    def promote(self, tree: str, inputs: str, name: str, check: bool = False) -> str:
        """Tag the image of these files with our name: the one in force here, or else the other environment's.

        With ``check`` nothing is tagged. Returns the proof. Raises EngineError if the image is not accepted.
        """
        identity = self._in_force(tree, inputs)
        note = "%s is the image that is already in force here" % name
        if not identity:
            identity, note = self._from_source(tree, inputs, name)
        if not check:
            self.engine.docker_ok("image", "tag", identity, name)
            self.record.write(
                self.engine, identity, **{TREE: tree, INPUTS: inputs, VOUCHED: str(self.evidence["prefix"])}
            )
        return note

    def vouched(self, tree: str, inputs: str, name: str) -> str:
        """The proof that the other environment runs an image of this tree, wherever it comes from.

        Raises EngineError if it does not, or not for long enough.
        """
        containers, missing = containers_of_tree(self.evidence, tree, inputs)
        if missing:
            self._refuse([missing])
        there = Image(name, containers[0]["image"], tuple(containers[0]["digests"]))
        self._refuse(list(filter(None, [self.problem(there)])))
        return self._note("%s is the image that" % name, there)

    def _from_source(self, tree: str, inputs: str, name: str) -> tuple[str, str]:
        """The id here of the image of these files that the other environment runs, and the proof for it."""
        containers, missing = containers_of_tree(self.evidence, tree, inputs)
        if missing:
            self._refuse([missing])
        there = Image(name, containers[0]["image"], tuple(containers[0]["digests"]))
        here = next((image for image in map(self.image, [there.id, *there.digests]) if image.id), None)
        problems = [
            self.problem(there),
            self._contradicted(here, tree, inputs) if here else self._not_here(containers[0]),
        ]
        self._refuse([problem for problem in problems if problem])
        return (here.id if here else ""), self._note("%s is the image that" % name, there)

    def _contradicted(self, here: Image, tree: str, inputs: str) -> str:
        """Why an image is not of these files, as this machine itself wrote down; empty if it did not, or it is."""
        known = self.record.on_machine(here.id)
        if not known or any((facts.get(TREE), facts.get(INPUTS)) == (tree, inputs) for facts in known):
            return ""
        return (
            "%s says that %s was built from these files (git tree %s), but this machine built that image itself, from "
            "others (git tree %s): what is said there is not true"
            % (self.evidence["prefix"], short(here.id), tree[:12], str(known[0].get(TREE))[:12])
        )

    def _not_here(self, container: dict[str, Any]) -> str:
        return (
            "%s (%s), the image of these files in %s, is not on this machine, and building it here would make a "
            "different one: copy it from there (docker save %s, then docker load here), or push it to a registry from "
            "there and pull it here by its digest"
            % (container["reference"], short(container["image"]), self.evidence["prefix"], container["reference"])
        )

    def _in_force(self, tree: str, inputs: str) -> str:
        """The id of an image of these files that is in force here under another commit's name; else empty."""
        record = self.record.all()
        for identity in sorted(self.accepted):
            facts = record.get(identity, {})
            if (facts.get(TREE), facts.get(INPUTS)) == (tree, inputs) and self.image(identity).id:
                return identity
        return ""
