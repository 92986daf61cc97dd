# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images: what one environment builds, tags or deletes is never what another runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..facts.compose_calls import docker_calls, tasks
from ..facts.ownership import called, foreign_owner_of_path, owner_of_name, sharers
from ..model import WORLD, Environment, Fleet, Severity, Where
from ..naming import normalise_image
from ..readers.ansible.tasks import is_true
from ..readers.shell.docker_call import DockerCall
from ..readers.workflow import Workflow
from ..wording import listing
from . import Hit, Judgement, owners, places, rule, worded
from .dockerfiles import builds

#: A tag that is a commit: it never moves, so all who use it get the same image.
_COMMIT = re.compile(r":(?:sha-)?[0-9a-f]{7,40}\Z")
_LISTS_ALL = re.compile(r"docker\s+(?:images|image\s+ls)\b")
#: A value that a workflow fills in, unknown here.
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
_WORD = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Tagging:
    """A script or workflow of an environment that moves an image's tag."""

    environment: Environment
    reference: str
    pushed: bool
    where: Where


@rule("shared-image", "IM-01", "IM-02", severity=Severity.CRITICAL)
def shared_image(fleet: Fleet) -> Judgement:
    """Two environments build one image name, or one runs what another builds."""
    for machine, reference, claims in fleet.collisions("image"):
        yield Hit(
            owners(claims),
            reference,
            f"{listing(owners(claims))} build the same image name, {reference}: the last build takes the name, and "
            "the next start of the other, whatever causes it, runs the wrong code.",
            "Give each image a name with its prefix and the commit, such as 'image: "
            f"{claims[-1].owner}_web:<commit>'. Without 'image:' the project makes the name, so give each its own "
            "project name.",
            places(claims),
            machine,
        )
    for use in fleet.references("image-use"):
        environment = fleet.by_prefix[use.owner]
        name = normalise_image(use.target)
        maker = _maker(fleet, environment, name)
        if maker:
            yield Hit(
                (environment.prefix, maker),
                name,
                f"{environment.prefix} runs {name}, which {maker} builds: what {maker} builds or deletes changes "
                f"what {environment.prefix} runs after its next start.",
                f"Build {environment.prefix}'s own image, or name the one it runs by digest (@sha256:…).",
                (use.where,),
                environment.machine,
            )


@rule("shared-image-tag", "IM-07", "IM-08", severity=Severity.HIGH)
def shared_image_tag(fleet: Fleet) -> Judgement:
    """Scripts or workflows of two environments move one tag."""
    by_tag: dict[tuple[str, str], dict[str, Where]] = {}
    for tagging in _taggings(fleet):
        scope = WORLD if tagging.pushed else tagging.environment.machine
        name = normalise_image(tagging.reference)
        by_tag.setdefault((scope, name), {}).setdefault(tagging.environment.prefix, tagging.where)
    for (scope, name), prefixes in by_tag.items():
        if scope != WORLD and not any(_runs(fleet.by_prefix[prefix], name) for prefix in prefixes):
            continue  # a build for a look at it, which nothing here runs
        once = len(set(prefixes.values())) == 1 and _by_one_workflow(fleet, prefixes)
        if len(prefixes) > 1 and not once and not _COMMIT.search(name):
            yield Hit(
                tuple(prefixes),
                name,
                f"{listing(prefixes)} move the same tag, {name}: a rollback, a pull or a restart of one starts the "
                "code of the other.",
                "Put the environment or the commit into the tag, such as NAME:staging-COMMIT or NAME:staging-previous.",
                tuple(prefixes.values()),
                "" if scope == WORLD else scope,
            )


@rule("image-deletion", "IM-06", severity=Severity.HIGH, of_machine=True)
def image_deletion(fleet: Fleet) -> Judgement:
    """A script of an environment deletes images of the whole machine."""
    for environment, what, where, severity in _deletions(fleet):
        named = environment.name or environment.prefix
        yield Hit(
            (environment.prefix,),
            what,
            f"{environment.prefix} runs `{what}` on {environment.machine}: it deletes the images of every "
            "environment whose containers are being replaced, and every image that a rollback would need.",
            "Delete by label"
            + worded(fleet, [environment.prefix], f": --filter label=io.bulkhead.environment={named}", " of the build")
            + ", or name the images.",
            (where,),
            environment.machine,
            severity=severity,
        )


@rule("foreign-build", "IM-10", severity=Severity.HIGH)
def foreign_build(fleet: Fleet) -> Judgement:
    """An image is built from another environment's directory or image."""
    for environment, what, owner, where in (*_foreign_contexts(fleet), *_foreign_bases(fleet)):
        yield Hit(
            (environment.prefix, owner),
            what,
            f"{environment.prefix} builds from {what.removeprefix('FROM ')} of {owner}: what {owner} checks out or "
            f"builds there ends up in {environment.prefix}.",
            f"Build from {environment.prefix}'s own checkout and base image.",
            (where,),
            environment.machine,
        )


def _maker(fleet: Fleet, environment: Environment, name: str) -> str:
    """The other environment that builds an image or whose prefix its name begins with; none for a digest."""
    makers = owners(fleet.claims("image").get((environment.machine, name), ()))
    if "@" in name or environment.prefix in makers:
        return ""
    if makers and not _COMMIT.search(name):
        return makers[0]
    named = owner_of_name(fleet, name.rpartition("/")[2].partition(":")[0])
    return named if named != environment.prefix else ""


def _runs(environment: Environment, name: str) -> bool:
    """Whether an environment may run an image: one of its services does, or its Compose files are not known."""
    images = [str(service.get("image") or "") for _project, _name, service in environment.services()]
    return not images or any(image and normalise_image(image) == name for image in images)


def _taggings(fleet: Fleet) -> Iterator[Tagging]:
    """Yield tags that scripts and workflows move. In a shared file, only the named environment moves its tag."""
    for environment in fleet.environments:
        for tagging in (*_tagged_by_commands(environment), *_tagged_by_workflows(environment)):
            tag = tagging.reference.rpartition(":")[2]
            words = _WORD.findall(tag)
            literal = "$" not in tagging.reference and "{{" not in tagging.reference
            if literal and not any(called(fleet, environment, word) for word in words):
                yield tagging


def _tagged_by_commands(environment: Environment) -> Iterator[Tagging]:
    for call, reference in docker_calls(environment, everywhere=True):
        verb = call.verb[-1:] if not call.compose else ()
        if call.compose and call.verb == ("push",):
            yield from _pushed_by_compose(environment, call, reference.where)
        if verb == ("tag",) and len(call.arguments) == 2:
            yield Tagging(environment, call.arguments[1], False, reference.where)
        elif verb == ("push",) and call.arguments:
            yield Tagging(environment, call.arguments[0], True, reference.where)
        elif verb == ("build",):
            for name in (*call.values.get("-t", ()), *call.values.get("--tag", ())):
                yield Tagging(environment, name, call.has("--push"), reference.where)


def _by_one_workflow(fleet: Fleet, prefixes: Mapping[str, Where]) -> bool:
    """Whether one step of a common workflow builds the image once for all of them, to be promoted."""
    place = next(iter(prefixes.values()))
    documents = (document for prefix in prefixes for document in fleet.by_prefix[prefix].documents)
    return set(prefixes) <= sharers(fleet, place) and any(
        document.kind == "workflow" and document.path == place.file for document in documents
    )


def _pushed_by_compose(environment: Environment, call: DockerCall, where: Where) -> Iterator[Tagging]:
    """Yield what ``docker compose push`` pushes: the images of the services that are built."""
    for _project, name, service in environment.services():
        image = str(service.get("image") or "")
        if image and service.get("build") is not None and (not call.arguments or name in call.arguments):
            yield Tagging(environment, image if ":" in image.rpartition("/")[2] else f"{image}:latest", True, where)


def _tagged_by_workflows(environment: Environment) -> Iterator[Tagging]:
    """Yield what ``docker/build-push-action`` pushes."""
    for document in environment.documents:
        for job in document.data.jobs if isinstance(document.data, Workflow) else ():
            for step in job.steps:
                if "build-push-action" in step.uses:
                    for name in re.split(r"[\s,]+", _EXPRESSION.sub("$", step.inputs.get("tags", ""))):
                        if name:
                            yield Tagging(environment, name, True, step.where)


def _deletions(fleet: Fleet) -> Iterator[tuple[Environment, str, Where, Severity | None]]:
    for environment in fleet.environments:
        for call, reference in docker_calls(environment):
            text = " ".join(map(str, reference.attributes.get("argv") or ()))
            if call.compose and "all" in call.values.get("--rmi", ()):
                yield environment, text, reference.where, None
            elif call.verb == ("image", "prune") and call.has("-a", "--all"):
                if not any(condition.startswith("label=") for condition in call.filters):
                    yield environment, text, reference.where, Severity.LOW if _only_old(call.filters) else None
            elif call.verb in (("rmi",), ("image", "rm")) and _LISTS_ALL.search(text) and "label=" not in text:
                yield environment, text, reference.where, None
        for task in tasks(environment):
            if task.module == "docker_prune" and is_true(task.arguments.get("images")):
                yield environment, "docker_prune: images: true", task.place("images"), None


def _only_old(filters: tuple[str, ...]) -> bool:
    return any(condition.startswith("until=") for condition in filters)


def _foreign_contexts(fleet: Fleet) -> Iterator[tuple[Environment, str, str, Where]]:
    for environment in fleet.environments:
        for project, name, service in environment.services():
            build = service.get("build") or {}
            extra = build.get("additional_contexts") or {}
            more = extra.values() if isinstance(extra, Mapping) else ()
            for path in map(str, filter(None, (build.get("context"), build.get("dockerfile"), *more))):
                owner = foreign_owner_of_path(fleet, environment, path)
                if owner:
                    yield environment, path, owner, project.where("services", name, "build", "context")


def _foreign_bases(fleet: Fleet) -> Iterator[tuple[Environment, str, str, Where]]:
    built = fleet.claims("image")
    for build in fleet.derived(builds):
        for instruction in build.instructions:
            base = instruction.words()[0] if instruction.name == "FROM" and instruction.words() else ""
            makers = owners(built.get((build.environment.machine, normalise_image(base)), ())) if base else ()
            if makers and build.environment.prefix not in makers:
                yield build.environment, f"FROM {base}", makers[0], instruction.where
