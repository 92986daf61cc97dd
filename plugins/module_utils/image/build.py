# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the image of one commit, or promote it from another environment. Runs on the targets."""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.errors import last_lines
from ..docker.engine import Engine, EngineError
from ..docker.labels import BUILD_INPUTS, COMMIT, TREE
from ..source.checkout import Checkout
from .promotion import Promotion


def image_is_there(engine: Engine, image: str, inputs: str) -> bool:
    """Whether the image exists and was built from the same inputs."""
    code, output, errors = engine.docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    if code != 0:
        engine.check_reachable(errors)
        return False
    return (json.loads(output) or {}).get(BUILD_INPUTS) == inputs


def build_command(params: dict[str, Any], folder: str, image: str, labels: dict[str, Any]) -> list[str]:
    """The arguments of ``docker`` for the build. Values of build arguments are passed in the environment."""
    command = ["buildx", "build", "--load", "--progress", "plain", "--tag", image]
    command += ["--file", os.path.join(folder, params["dockerfile"])]
    for key, value in sorted(labels.items()):
        command += ["--label", "%s=%s" % (key, value)]
    for key in sorted(params["arguments"]):
        command += ["--build-arg", key]
    if params["target"]:
        command += ["--target", params["target"]]
    if params["ca_bundle"]:
        command += ["--secret", "id=ca-bundle,src=%s" % params["ca_bundle"]]
    return command + [os.path.normpath(os.path.join(folder, params["context"]))]


def build(engine: Engine, checkout: Checkout, params: dict[str, Any], commit: str, image: str) -> None:
    """Build the image of the commit. Raises EngineError, with the last lines of the build as its detail."""
    labels = dict(params["labels"], **params["run_labels"])
    labels.update({COMMIT: commit, BUILD_INPUTS: params["inputs"], TREE: checkout.tree(commit)})
    arguments = {str(key): str(value) for key, value in params["arguments"].items()}
    arguments.setdefault("BULKHEAD_COMMIT", commit)
    params = dict(params, arguments=arguments)
    with checkout.exported(commit) as folder:
        if not os.path.isfile(os.path.join(folder, params["dockerfile"])):
            raise EngineError("commit %s has no %s (bulkhead_build_dockerfile)" % (commit[:12], params["dockerfile"]))
        command = build_command(params, folder, image, labels)
        code, output, errors = engine.docker(*command, environment=dict(arguments, DOCKER_BUILDKIT="1"))
    if code != 0:
        engine.check_reachable(errors)
        raise EngineError(
            "the image of commit %s could not be built" % commit[:12], last_lines("%s\n%s" % (output, errors), 20)
        )


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
