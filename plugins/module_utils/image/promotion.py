# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images an environment accepts: those that were healthy in another one for long enough.

The proof is what the other environment's machine shows (``evidence``): the registry entry that a verified deployment
wrote there, and containers that run that very image now and are healthy. Runs on the machine of the environment that
accepts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..core.errors import last_lines
from ..core.timestamps import text
from ..docker.engine import Engine, EngineError
from ..docker.labels import BUILD_INPUTS, TREE
from ..state.registry import Registry, state_directory
from .evidence import deployed_images

#: A name that says which image is meant wherever it is read; tag and the default registry's name do not count.
_BY_DIGEST = re.compile(r"(?:(?:index\.)?docker\.io/)?(?:library/)?(.+?)(?::[\w.-]+)?@(sha256:[0-9a-f]{64})\Z")


class Image(NamedTuple):
    """An image as the environment that is being deployed has it. ``id`` is empty where it is not on its machine."""

    name: str
    id: str
    digests: tuple[str, ...] = ()


class Since(NamedTuple):
    """Since when an image is known to be healthy, in seconds, and what was at that moment."""

    moment: float
    what: str


# ---- the judgement: nothing but the evidence -------------------------------------------------------------------------


def running(evidence: dict[str, Any], image: Image) -> list[dict[str, Any]]:
    """The containers that run this very image: the same id, or a digest that both registries' names have. Two engines
    may keep the same image under other ids."""
    return [
        container
        for container in evidence["containers"]
        if (image.id and container["image"] == image.id) or set(container["digests"]) & set(image.digests)
    ]


def since(containers: list[dict[str, Any]]) -> Since:
    """Since when all of these are healthy, as far as it can be seen: the latest of what began it anew."""
    return max(
        found
        for container in containers
        for found in (
            Since(container["started"], "%s was started" % container["name"]),
            Since(container["verified"], "the deployment of %s was verified" % container["name"]),
            Since(container["failed"], "a health check of %s failed" % container["name"]),
        )
    )


def period(evidence: dict[str, Any], containers: list[dict[str, Any]]) -> str:
    """Since when these are healthy, and how long that is on their machine's clock."""
    began = since(containers).moment
    return "%s (%d minutes)" % (text(began), (evidence["now"] - began) / 60)


def problem(evidence: dict[str, Any], minutes: int, image: Image) -> str:
    """What speaks against an image; empty where nothing does."""
    source, what = evidence["prefix"], "%s (%s)" % (image.name, short(image.id)) if image.id else image.name
    if not evidence["registered"]:
        return "%s is not registered on its machine, so nothing is known of %s: deploy it there first" % (source, what)
    found = running(evidence, image)
    if not found:
        return _not_running(evidence, image, what)
    if not all(each["image"] in evidence["deployed"] for each in found):
        return "no deployment of %s that was verified left %s there" % (source, what)
    for each in found:
        if not each["well"]:
            return "%s is not well in %s: %s is %s" % (what, source, each["name"], each["condition"])
        if each["failing"]:
            return "%s is not well in %s: the last health check of %s failed" % (what, source, each["name"])
    if not any(each["condition"] == "healthy" for each in found):
        return "%s has no health check in %s, so nobody knows how it is: give its service a healthcheck" % (
            what,
            source,
        )
    began = since(found)
    lacking = minutes * 60 - (evidence["now"] - began.moment)
    if lacking > 0:
        return "%s is healthy in %s since %s only (%s): wait %d minutes more" % (
            what,
            source,
            period(evidence, found),
            began.what,
            -(-lacking // 60),
        )
    return ""


def _not_running(evidence: dict[str, Any], image: Image, what: str) -> str:
    """Why no container runs an image, and what helps."""
    source = evidence["prefix"]
    same_name = [container for container in evidence["containers"] if container["reference"] == image.name]
    here = "" if image.id or image.digests else " is not on this machine"
    if not same_name:
        return "%s%s does not run in %s: deploy it there first" % (what, here and "%s, and it" % here, source)
    there = same_name[0]
    names = (
        "name it by its digest, %s" % there["digests"][0]
        if there["digests"]
        else ("push it to a registry from there and name it by its digest")
    )
    seen = "%s, so it cannot be compared with the one" % here if here else " is another image than the one"
    return "%s%s that runs in %s under that name (%s): %s, or copy that one here (docker save, docker load)" % (
        what,
        seen,
        source,
        short(there["image"]),
        names,
    )


def of_tree(evidence: dict[str, Any], tree: str, inputs: str) -> tuple[list[dict[str, Any]], str]:
    """The containers that run the image of these very files; where there are none, why."""
    source = evidence["prefix"]
    found = [container for container in evidence["containers"] if container["tree"] == tree]
    if not found:
        return [], (
            "%s runs no image that was built from these files (git tree %s): deploy a commit with the same files there "
            "first" % (source, tree[:12])
        )
    matching = [each for each in found if each["inputs"] == inputs]
    if not matching:
        return [], (
            "the image of these files in %s was built otherwise (bulkhead_source_repository, bulkhead_build_*): give "
            "both environments the same" % source
        )
    return [each for each in matching if each["image"] == matching[0]["image"]], ""


def short(identity: str) -> str:
    """A digest as people read it."""
    return identity[: len("sha256:") + 12]


def by_digest(name: str) -> str:
    """A name that has a digest, as engines keep it; empty for every other name."""
    found = _BY_DIGEST.match(name)
    return "%s@%s" % found.groups() if found else ""


# ---- the images of this machine --------------------------------------------------------------------------------------


class Promotion:
    """Judges the images of one environment. ``params`` are the other one's ``evidence`` and for how many ``minutes`` it
    must have been healthy."""

    def __init__(self, engine: Engine, prefix: str, state: str, params: dict[str, Any]) -> None:
        self.engine = engine
        self.evidence: dict[str, Any] = params["evidence"]
        self.minutes: int = params["minutes"]
        #: What is in force here was accepted, or was here before anything was demanded.
        self.accepted = deployed_images(Registry(state_directory(state)).entries().get(prefix, {}))

    def require(self, names: Iterable[str]) -> list[str]:
        """Raise EngineError with everything that speaks against these images; else what vouches for each new one."""
        notes, problems = [], []
        for name in sorted(set(names)):
            image = self.image(name)
            if image.id in self.accepted:
                continue
            found = self.problem(image)
            if found:
                problems.append(found)
            else:
                notes.append(self._note("%s%s" % (name, " (%s)" % short(image.id) if image.id else ""), image))
        self._refuse(problems)
        return notes

    def problem(self, image: Image) -> str:
        """What speaks against an image; empty where nothing does."""
        return problem(self.evidence, self.minutes, image)

    def _note(self, what: str, image: Image) -> str:
        healthy = period(self.evidence, running(self.evidence, image))
        return "%s was healthy in %s since %s" % (what, self.evidence["prefix"], healthy)

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            raise EngineError(
                "only images that were healthy in %s for %d minutes are accepted (bulkhead_promotion_from, "
                "bulkhead_promotion_minutes): %s. Nothing was changed"
                % (self.evidence["prefix"], self.minutes, "; ".join(problems))
            )

    def image(self, name: str) -> Image:
        """An image of this machine by its name, id or digest. A digest says which one it is also where it is not here:
        Compose fetches that one and no other."""
        code, output, errors = self.engine.docker("image", "inspect", "--format", "{{json .}}", name)
        if code == 0:
            found = json.loads(output)
            return Image(name, found["Id"], tuple(found.get("RepoDigests") or ()))
        if "no such image" not in errors.lower():
            self.engine.check_reachable(errors)
            raise EngineError("image %s cannot be looked at" % name, last_lines(errors, 3))
        digest = by_digest(name)
        return Image(name, "", (digest,) if digest else ())

    def promote(self, tree: str, inputs: str, name: str, check: bool = False) -> str:
        """Give the image of these files our name: the one in force here, else the other environment's. Returns what
        vouches for it. Raises EngineError where something speaks against it. ``check`` only judges."""
        identity = self._in_force(tree, inputs)
        note = "%s is the image that is in force here already" % name
        if not identity:
            identity, note = self._elsewhere(tree, inputs, name)
        if not check:
            self.engine.docker_ok("image", "tag", identity, name)
        return note

    def _elsewhere(self, tree: str, inputs: str, name: str) -> tuple[str, str]:
        """The image of these files that the other environment runs, as it is called here, and what vouches for it."""
        containers, missing = of_tree(self.evidence, tree, inputs)
        if missing:
            self._refuse([missing])
        there = Image(name, containers[0]["image"], tuple(containers[0]["digests"]))
        here = next((found for found in map(self.image, [there.id, *there.digests]) if found.id), None)
        problems = [self.problem(there), "" if here else self._not_here(containers[0])]
        self._refuse([problem for problem in problems if problem])
        return (here.id if here else ""), self._note("%s is the image that" % name, there)

    def _not_here(self, container: dict[str, Any]) -> str:
        return (
            "%s (%s), the image of these files in %s, is not on this machine, and one that is built here would be "
            "another: copy it from there (docker save %s, and docker load here), or push it to a registry from there "
            "and pull it here by its digest"
            % (container["reference"], short(container["image"]), self.evidence["prefix"], container["reference"])
        )

    def _in_force(self, tree: str, inputs: str) -> str:
        """The image of these very files that is in force here already, under another commit's name; else empty."""
        for identity in sorted(self.accepted):
            code, output, _errors = self.engine.docker(
                "image", "inspect", "--format", "{{json .Config.Labels}}", identity
            )
            labels = json.loads(output) if code == 0 else None
            if labels and (labels.get(TREE), labels.get(BUILD_INPUTS)) == (tree, inputs):
                return identity
        return ""
