# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of a stack: sent to the registry from where they were built, and named by their digests from then on.

A login goes to the registry in the request that needs it. It is in no argument, and in no file but the one that the
client reads for ``docker stack deploy``, in a private directory that is gone afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..core.errors import Failure, last_lines
from ..core.steps import Step
from ..docker.containers import name_of
from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.labels import PREFIX
from ..docker.reference import ImageReference, parse
from ..docker.registries import Registries, shown


class StackImages:
    """The images of one stack, seen from one node. ``user`` and ``password`` are for the registry ``server`` only."""

    def __init__(self, engine: Engine, server: str, user: str, password: str) -> None:
        self._engine = engine
        self._known = Registries(engine, user, password, variable="")
        self._anybody = Registries(engine, variable="")
        self._server = server

    def _at(self, image: ImageReference) -> Registries:
        return self._known if image.registry == self._server else self._anybody

    def send(self, reference: str, check: bool) -> tuple[str, list[Step]]:
        """Send an image that was built here to its registry, unless it is there. Returns the pinned name, which is only
        the reference where nothing was sent yet."""
        image = parse(reference)
        found = next(iter(inspect_objects(self._engine, "image", [reference])), {})
        sent = _digests(found, image.name)
        if sent:
            with suppress(Failure):  # the registry lost it
                digest = self._at(image).digest(image)
                if digest in sent:
                    return _pinned(image, digest), []
        step = Step("push", reference, "image")
        if check:
            return reference, [step]
        return _pinned(image, self._at(image).push(image)), [step]

    def resolve(self, references: Sequence[str], before: Mapping[str, str]) -> dict[str, str]:
        """Each reference with the digest that it means. What the release ``before`` had pinned stays as it was."""
        found = {}
        for reference in references:
            try:
                image = parse(reference)
            except ValueError as error:
                raise EngineError("%s. Correct the image of that service in bulkhead_services" % error) from error
            if image.digest:
                found[reference] = reference
            elif before.get(reference):
                found[reference] = before[reference]
            else:
                found[reference] = _pinned(image, self._at(image).digest(image))
        return found

    def fetch(self, pinned: Sequence[str]) -> list[Step]:
        """Have this node's engine fetch what it lacks. Raises EngineError for the first that it cannot have."""
        steps = []
        for reference in pinned:
            image = parse(reference)
            exact = "%s@%s" % (image.name, image.digest)
            if not inspect_objects(self._engine, "image", [exact]):
                self._at(image).pull(image, image.digest)
                steps.append(Step("pull", reference, "image", detail=reference))
        return steps


def remove_unneeded_images(
    engine: Engine, prefix: str, repository: str, kept: Sequence[str], limit: float = 0
) -> list[str]:
    """Remove from this node the images of an environment's own repository that no kept release runs and no container
    has. Returns why one stays that should not.

    A container that has ended still has its image for a while. With a ``limit`` in seconds this waits for that; without
    one, such an image stays until the next time.

    Only what carries the environment's own label, and only by the names that it has in that repository: the engine
    keeps an image that has others.
    """
    listing = ("image", "ls", "--quiet", "--no-trunc", "--filter", "label=%s=%s" % (PREFIX, prefix), repository)
    identities = sorted(set(engine.docker_ok(*listing).split()))
    if not identities:
        return []
    used = _in_use(engine, identities, limit)
    digests = {parse(reference).digest for reference in kept}
    said = ["%s: container %s has it" % (identity[:19], name) for identity, name in used.items()] if limit else []
    for image in inspect_objects(engine, "image", identities):
        if image["Id"] in used or digests.intersection(_digests(image, repository)):
            continue
        tags = [name for name in image.get("RepoTags") or () if name.rpartition(":")[0] == repository]
        pins = [name for name in image.get("RepoDigests") or () if name.partition("@")[0] == repository]
        if tags or pins:
            code, _output, errors = engine.docker("image", "rm", *(tags or pins))  # with its last tag, its digest goes
            if code != 0:
                said.append(last_lines(errors, 1))
    return said


def _in_use(engine: Engine, identities: Sequence[str], limit: float) -> dict[str, str]:
    """Those of some images that a container has, each with its name, at the latest after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while True:
        containers = engine.inspect(engine.docker_ok("ps", "--all", "--quiet", "--no-trunc").split())
        used = {one["Image"]: name_of(one) for one in containers if one.get("Image") in identities}
        if not used or time.monotonic() >= deadline:
            return used
        time.sleep(0.5)


def _pinned(image: ImageReference, digest: str) -> str:
    return shown(image._replace(digest=digest))


def _digests(found: Mapping[str, Any], repository: str) -> list[str]:
    """The digests that an image has in a repository of its registry, as far as this engine knows."""
    pairs = [str(name).partition("@") for name in found.get("RepoDigests") or ()]
    return [digest for name, _at, digest in pairs if name == repository]
