# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images an environment accepts: those that were healthy in another one of this machine for long enough.

The proof is what the machine itself shows: the other environment's registry entry, which a verified deployment wrote,
and its containers, which run that very image now, are healthy, and were not started again since. Runs on the targets.
"""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.containers import (
    ONE_OFF,
    condition,
    is_well,
    labels_of,
    name_of,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.failure import last_lines
from ansible_collections.aiia.bulkhead.plugins.module_utils.registry import Registry, state_directory
from ansible_collections.aiia.bulkhead.plugins.module_utils.services import PREFIX, is_own

#: The label of an image with the git tree that it was built from: two commits with the same files have the same one.
TREE = "io.bulkhead.tree"


class Promotion:
    """Judges images. ``params`` says which environment vouches (``prefix``, ``project``, ``directory``,
    ``state_directory``) and for how many ``minutes``."""

    def __init__(
        self, engine: Engine, prefix: str, state: str, params: dict[str, Any], now: Callable[[], float] = time.time
    ) -> None:
        self.engine = engine
        self.prefix = prefix
        self.params = params
        self.source: str = params["prefix"]
        self._now = now
        entries = Registry(state_directory(params["state_directory"])).entries()
        self.entry = entries.get(self.source, {})
        own = Registry(state_directory(state)).entries().get(prefix, {})
        #: What is in force here was accepted, or was here before anything was demanded.
        self.accepted = _images_of(own)
        self.containers = [
            each
            for each in engine.containers(
                "com.docker.compose.project=%s" % params["project"], "%s=%s" % (PREFIX, self.source)
            )
            if is_own(each, self.source, params["directory"]) and labels_of(each).get(ONE_OFF) != "True"
        ]

    def require(self, names: Iterable[str]) -> list[str]:
        """Raise EngineError with everything that speaks against these images; else what vouches for each new one."""
        notes, problems = [], []
        for name in sorted(set(names)):
            identity = self.identity(name)
            if identity in self.accepted:
                continue
            problem = self.problem(name, identity)
            if problem:
                problems.append(problem)
            else:
                notes.append(
                    "%s (%s) was healthy in %s since %s" % (name, short(identity), self.source, self.since(identity))
                )
        self._refuse(problems)
        return notes

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            raise EngineError(
                "only images that were healthy in %s for %d minutes are accepted (bulkhead_promotion_from, "
                "bulkhead_promotion_minutes): %s. Nothing was changed"
                % (self.source, self.params["minutes"], "; ".join(problems))
            )

    def identity(self, name: str) -> str:
        """The id of an image by its name or digest; empty where this machine does not have it."""
        code, output, errors = self.engine.docker("image", "inspect", "--format", "{{.Id}}", name)
        if code != 0 and "no such image" not in errors.lower():
            self.engine.check_reachable(errors)
            raise EngineError("image %s cannot be looked at" % name, last_lines(errors, 3))
        return output.strip() if code == 0 else ""

    def problem(self, name: str, identity: str) -> str:
        """What speaks against an image; empty where nothing does."""
        if not self.entry or "damaged" in self.entry:
            return "%s is not registered on this machine, so nothing is known of %s: deploy it there first" % (
                self.source,
                name,
            )
        if not identity:
            return "%s is not on this machine, so %s cannot have run it: deploy it there first" % (name, self.source)
        what = "%s (%s)" % (name, short(identity))
        running = self._running(identity)
        if not running:
            return "%s does not run in %s: deploy it there first" % (what, self.source)
        if identity not in _images_of(self.entry):
            return "no deployment of %s that was verified left %s there" % (self.source, what)
        sick = [each for each in running if not is_well(each)]
        if sick:
            return "%s is not well in %s: %s is %s" % (what, self.source, name_of(sick[0]), condition(sick[0]))
        if not any(condition(each) == "healthy" for each in running):
            return "%s has no health check in %s, so nobody knows how it is: give its service a healthcheck" % (
                what,
                self.source,
            )
        lacking = self.params["minutes"] * 60 - (self._now() - self._started(running))
        if lacking > 0:
            return "%s is healthy in %s since %s only: wait %d minutes more" % (
                what,
                self.source,
                self.since(identity),
                -(-lacking // 60),
            )
        return ""

    def _running(self, identity: str) -> list[dict[str, Any]]:
        return [each for each in self.containers if each.get("Image") == identity]

    @staticmethod
    def _started(running: list[dict[str, Any]]) -> float:
        return max(_seconds((each.get("State") or {}).get("StartedAt", "")) for each in running)

    def since(self, identity: str) -> str:
        """Since when all containers of an image run, in words."""
        began = self._started(self._running(identity))
        return "%s (%d minutes)" % (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)), (self._now() - began) / 60)

    def of_tree(self, tree: str, inputs: str) -> str:
        """The image that the other environment runs of these very files. Raises EngineError where there is none."""
        found = [each for each in self.containers if labels_of(each).get(TREE) == tree]
        if not found:
            self._refuse(
                [
                    "%s runs no image that was built from these files (git tree %s): deploy a commit with the same "
                    "files there first" % (self.source, tree[:12])
                ]
            )
        # A container has the labels of its image, except those that Compose gave it.
        matching = [each for each in found if labels_of(each).get("io.bulkhead.inputs") == inputs]
        if not matching:
            self._refuse(
                [
                    "the image of these files in %s was built otherwise (bulkhead_source_repository, "
                    "bulkhead_build_*): give both environments the same" % self.source
                ]
            )
        return str(matching[0]["Image"])

    def in_force(self, tree: str, inputs: str) -> str:
        """The image of these very files that is in force here already, under another commit's name; else empty."""
        for identity in sorted(self.accepted):
            code, output, _errors = self.engine.docker(
                "image", "inspect", "--format", "{{json .Config.Labels}}", identity
            )
            labels = json.loads(output) if code == 0 else None
            if labels and (labels.get(TREE), labels.get("io.bulkhead.inputs")) == (tree, inputs):
                return identity
        return ""

    def promote(self, tree: str, inputs: str, image: str) -> str:
        """Give the image of these files our name: the one in force here, else the other environment's. Returns what
        vouches for it. Raises EngineError where something speaks against it."""
        identity = self.in_force(tree, inputs)
        if identity:
            self.engine.docker_ok("image", "tag", identity, image)
            return "%s is the image that is in force here already" % image
        identity = self.of_tree(tree, inputs)
        problem = self.problem(image, identity)
        self._refuse([problem] if problem else [])
        self.engine.docker_ok("image", "tag", identity, image)
        return "%s is the image that was healthy in %s since %s" % (image, self.source, self.since(identity))


def short(identity: str) -> str:
    """A digest as people read it."""
    return identity[: len("sha256:") + 12]


def _images_of(entry: dict[str, Any]) -> set[str]:
    """The ids of the images that a registry entry says were deployed."""
    return {each.get("image", "") for each in (entry.get("containers") or {}).values()} - {""}


def _seconds(moment: str) -> float:
    """A moment as the engine writes it, in seconds since the epoch."""
    return float(calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")))
