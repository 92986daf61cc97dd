# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the image of one commit, or promote it from another environment. Runs on the targets."""

from __future__ import annotations

import json
from typing import Any

from ..core.errors import last_lines
from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.labels import BUILD_INPUTS, COMMIT
from ..source.checkout import Checkout
from ..state.registry import Registry, state_directory
from .build_files import BuildFiles, build_files
from .evidence import deployed_images
from .promotion import Promotion
from .record import INPUTS, ImageRecord, claimed_labels


def image_is_there(engine: Engine, image: str, params: dict[str, Any]) -> bool:
    """Whether the image exists and was built here from the same inputs.

    Earlier versions kept no record of that. Their image is taken if it is in force here; where another environment may
    take it too, it is built once more.
    """
    code, output, errors = engine.docker("image", "inspect", "--format", "{{json .Id}}", image)
    if code != 0:
        engine.check_reachable(errors)
        return False
    identity = json.loads(output)
    facts = ImageRecord(params["state_directory"], params["prefix"]).facts(identity)
    if facts or params["vouches"]:
        return bool(facts.get(INPUTS) == params["inputs"])
    entries = Registry(state_directory(params["state_directory"])).entries()
    return identity in deployed_images(entries.get(params["prefix"], {}))


def build_command(params: dict[str, Any], files: BuildFiles, image: str, labels: dict[str, Any]) -> list[str]:
    """The arguments of ``docker`` for the build. Values of build arguments are passed in the environment."""
    command = ["buildx", "build", "--load", "--progress", "plain", "--tag", image]
    command += ["--file", files.dockerfile]
    for key, value in sorted(labels.items()):
        command += ["--label", "%s=%s" % (key, value)]
    for key in sorted(params["arguments"]):
        command += ["--build-arg", key]
    if params["target"]:
        command += ["--target", params["target"]]
    if files.ca_bundle:
        command += ["--secret", "id=ca-bundle,src=%s" % files.ca_bundle]
    return [*command, files.context]


def build(engine: Engine, checkout: Checkout, params: dict[str, Any], commit: str, image: str) -> None:
    """Build the image of the commit. Raises EngineError, with the last lines of the build as its detail."""
    labels = dict(params["labels"], **params["run_labels"])
    labels.update({COMMIT: commit, BUILD_INPUTS: params["inputs"]})
    arguments = {str(key): str(value) for key, value in params["arguments"].items()}
    arguments.setdefault("BULKHEAD_COMMIT", commit)
    params = dict(params, arguments=arguments)
    with build_files(checkout, params, commit) as files:
        command = build_command(params, files, image, labels)
        code, output, errors = engine.docker(*command, environment=dict(arguments, DOCKER_BUILDKIT="1"))
    if code != 0:
        engine.check_reachable(errors)
        raise EngineError(
            "the image of commit %s could not be built" % commit[:12], last_lines("%s\n%s" % (output, errors), 20)
        )
    _keep_record(engine, params, commit, image, labels, files.tree)


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
