# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the image of one commit, or promote it from another environment. Runs on the targets.

The build is described as JSON on the standard input of ``docker buildx bake``: build arguments are neither arguments
nor environment of a program on the machine, so no name among them (``DOCKER_CONFIG``, ``LD_PRELOAD``) means anything to
it, and no other user sees their values.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..core.errors import last_lines
from ..docker.engine import TIMED_OUT, Engine, EngineError, engine_info, inspect_objects
from ..docker.labels import BUILD_INPUTS, COMMIT, PREFIX
from ..source.checkout import Checkout
from .build_files import build_files
from .builder import Builder, Settings, Unavailable, check_room
from .dockerfile import foreign_frontend, frontend, images_of, unclear
from .promotion import Promotion
from .record import ImageRecord, claimed_labels
from .transfer import copy

_TARGET = "image"

_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

#: Arguments that BuildKit gives to every step and leaves out of its cache's keys.
_PROXIES = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"}
#: Separates cache mounts in an engine that several environments share.
_CACHE_NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS"


# ---- the description: pure -------------------------------------------------------------------------------------------


def definition(params: dict[str, Any], image: str, labels: dict[str, Any], shared: bool) -> str:
    """The build, for ``docker buildx bake``. ``shared`` says that other environments build in the same engine: then
    nothing is taken from its cache of layers."""
    target: dict[str, Any] = {
        "context": params["context"],
        "dockerfile": params["dockerfile"],
        "tags": [image],
        "labels": labels,
        "args": params["arguments"],
        "output": ["type=docker"],
    }
    if params["target"]:
        target["target"] = params["target"]
    if params["ca_bundle"]:
        target["secret"] = ["id=ca-bundle,src=%s" % params["ca_bundle"]]
    if shared:
        target["no-cache"] = True
        target["args"] = dict(params["arguments"], **{_CACHE_NAMESPACE: params["prefix"]})
    return json.dumps({"target": {_TARGET: _literal(target)}})


def _literal(value: Any) -> Any:
    """A value in which bake finds nothing to evaluate."""
    if isinstance(value, dict):
        return {_literal(str(key)): _literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return value if isinstance(value, bool) else str(value).replace("${", "$${").replace("%{", "%%{")


def check_arguments(arguments: dict[str, Any]) -> None:
    """Raise EngineError for the name of a build argument that no Dockerfile can use."""
    for name in arguments:
        if not _ARGUMENT.match(str(name)):
            raise EngineError("bulkhead_build_arguments: %r is not a name for a build argument" % str(name))


def refuse_in_shared_engine(arguments: dict[str, Any], dockerfile: str, why: str) -> None:
    """Raise EngineError for what would reach other environments through an engine that they share."""
    remedy = "The image would be built in the machine's own engine, which other environments share: %s" % why
    for name in sorted(arguments):
        if name.lower() in _PROXIES or name.upper().startswith("BUILDKIT_"):
            raise EngineError(
                "bulkhead_build_arguments: %s is not allowed here, because it changes other environments' builds. %s"
                % (name, remedy)
            )
    line = frontend(dockerfile)
    if line:
        raise EngineError(
            "bulkhead_build_dockerfile: the line %r is not allowed here, because it runs another program as the "
            "builder. Remove it: the engine has a frontend. %s" % (line[:80], remedy)
        )
    doubt = unclear(dockerfile, arguments)
    if doubt:
        raise EngineError(
            "bulkhead_build_dockerfile: %s, so that it cannot be seen which images it reads. Write it plainly. %s"
            % (doubt, remedy)
        )


def refuse_frontend(arguments: dict[str, Any], dockerfile: str) -> None:
    """Raise EngineError for a frontend that is not Docker's own: it may leave the limits of the build."""
    line = foreign_frontend(dockerfile)
    if not line and "BUILDKIT_SYNTAX" in map(str.upper, arguments):
        line = "BUILDKIT_SYNTAX"
    if line:
        raise EngineError(
            "bulkhead_build_dockerfile: %r chooses a builder that is not Docker's own (docker/dockerfile). Remove it"
            % line[:80]
        )


# ---- building --------------------------------------------------------------------------------------------------------


def build(engine: Engine, checkout: Checkout, params: dict[str, Any], commit: str, image: str) -> str:
    """Build the image of the commit. Returns why it was built in the machine's own engine; empty if it was built in an
    engine of the environment's own.

    Raises EngineError, with the last lines of the build as its detail.
    """
    labels = dict(params["labels"], **params["run_labels"])
    labels.update({COMMIT: commit, BUILD_INPUTS: params["inputs"]})
    arguments = {str(key): str(value) for key, value in params["arguments"].items()}
    check_arguments(arguments)
    arguments.setdefault("BULKHEAD_COMMIT", commit)
    params = dict(params, arguments=arguments)
    with build_files(checkout, params, commit) as files:
        params = dict(params, context=files.context, dockerfile=files.dockerfile, ca_bundle=files.ca_bundle)
        why = _built(engine, params, commit, image, labels)
        _keep_record(engine, params, commit, image, labels, files.tree)
        return why


def _built(engine: Engine, params: dict[str, Any], commit: str, image: str, labels: dict[str, Any]) -> str:
    """Build where an engine of the environment's own can be had, and else in the machine's: returns why."""
    with open(params["dockerfile"], encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    bases = _bases(engine, params["prefix"], images_of(text, params["arguments"]))
    why = "bulkhead_build_engine is shared"
    if params["engine"] != "shared":
        settings = Settings(params["memory"], params["cpus"], params["disk"], tuple(params["egress"]))
        builder = Builder(engine, params["state_directory"], params["prefix"], settings)
        try:
            refuse_frontend(params["arguments"], text)
            builder.check()
            with builder.started() as own:
                # Engines copy no digests: the build engine looks for such a name in its registry.
                _provide(engine, own, {name: bases[name] for name in bases if "@" not in name})
                _bake(own, definition(params, image, labels, False), commit, params["timeout"])
                _hand_over(own, engine, image, builder.data)
            return ""
        except Unavailable as error:
            if params["engine"] == "own":
                why = "no build engine of its own can run on this machine (bulkhead_build_engine): %s" % error.message
                raise EngineError(why, error.detail) from error  # pylint: disable=bad-exception-cause
            why = error.message
    refuse_in_shared_engine(params["arguments"], text, why)
    _bake(engine, definition(params, image, labels, True), commit, params["timeout"])
    return why


def _bake(engine: Engine, described: str, commit: str, limit: int) -> None:
    command = ("buildx", "bake", "--builder", "default", "--progress", "plain", "--file", "-", _TARGET)
    code, output, errors = engine.docker(*command, data=described, limit=limit, telling="building")
    if code == 0:
        return
    engine.check_reachable(errors)
    late = " within %d s (bulkhead_build_timeout)" % limit if limit and code in TIMED_OUT else ""
    raise EngineError(
        "the image of commit %s could not be built%s" % (commit[:12], late),
        last_lines("%s\n%s" % (output, errors), 20),
    )


def _bases(engine: Engine, prefix: str, names: list[str]) -> dict[str, str]:
    """The images of this machine that the build starts from, by name, with their ids.

    Raises EngineError for one that was built for another environment.
    """
    found = engine.image_ids(names)
    for image in inspect_objects(engine, "image", sorted(set(found.values()))):
        owner = ((image.get("Config") or {}).get("Labels") or {}).get(PREFIX, prefix)
        if owner != prefix:
            name = next(name for name, identity in found.items() if identity == image["Id"])
            raise EngineError(
                "bulkhead_build_dockerfile: the Dockerfile starts from or copies from %s, the image of environment %s. "
                "Build from an image that belongs to no environment" % (name, owner)
            )
    return found


def _provide(engine: Engine, own: Engine, bases: dict[str, str]) -> None:
    """Give the build engine the images of the machine that it needs, and take from it all others."""
    present = own.image_ids(list(bases))
    wanted = {name for name, identity in bases.items() if present.get(name) == identity}
    listed = own.docker_ok("image", "ls", "--quiet", "--no-trunc").split()
    surplus = sorted(set(listed) - {present[name] for name in wanted})
    if surplus:
        own.docker_ok("image", "rm", "--force", *surplus)
    missing = sorted(set(bases) - wanted)
    if missing:
        copy(engine, own, missing)


def _hand_over(own: Engine, engine: Engine, image: str, data: str) -> None:
    """Copy the built image to the machine's engine. The build engine, with its files in ``data``, keeps the layers in
    its cache alone.

    Raises EngineError if the machine's disk would be full with it.
    """
    size = sum(int(built.get("Size") or 0) for built in inspect_objects(own, "image", [image]))
    check_room(engine_info(engine).get("DockerRootDir") or "", size)
    copy(own, engine, [image], data)
    own.docker("image", "rm", "--force", image)


def _keep_record(
    engine: Engine, params: dict[str, Any], commit: str, image: str, labels: dict[str, Any], tree: str
) -> None:
    """Write down what the image was built from. Raises EngineError, and removes it, if it claims labels of ours."""
    for built in inspect_objects(engine, "image", [image]):
        claimed = claimed_labels(built, labels)
        if claimed:
            engine.docker("image", "rm", image)
            raise EngineError(
                "the Dockerfile of commit %s, or its base image, sets the label %s. Bulkhead knows by it what belongs "
                "to whom: remove it" % (commit[:12], ", ".join(claimed))
            )
        record = ImageRecord(params["state_directory"], params["prefix"])
        record.write(engine, built["Id"], commit=commit, tree=tree, inputs=params["inputs"])


def promote_image(
    engine: Engine, checkout: Checkout, params: dict[str, Any], commit: str, image: str, check: bool = False
) -> str:
    """Tag the image that another environment proved with our name; with ``check`` only judge it.

    Returns the proof; empty if the image that has our name is accepted already. Raises EngineError if there is none.
    """

    promotion = Promotion(engine, params["prefix"], params["state_directory"], params["promotion"])
    present = promotion.image(image)
    if present.id and (present.id in promotion.accepted or not promotion.problem(present)):
        return ""
    tree = checkout.remote_tree(commit) if check else checkout.tree(commit)
    return promotion.promote(tree, params["inputs"], image, check)
