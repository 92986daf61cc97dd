# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say whether the image of a commit is there already: all that most deployments ask about images."""

from __future__ import annotations

from typing import Any

from ..docker.engine import Engine, inspect_objects
from ..state.registry import Registry, state_directory
from .evidence import deployed_images
from .record import INPUTS, ImageRecord


def image_is_there(engine: Engine, image: str, params: dict[str, Any]) -> bool:
    """Whether the image exists and was built here from the same inputs.

    Earlier versions kept no record of that. Their image is taken if it is in force here; where another environment may
    take it too, it is built once more.
    """
    found = inspect_objects(engine, "image", [image])
    if not found:
        return False
    identity = found[0]["Id"]
    facts = ImageRecord(params["state_directory"], params["prefix"]).facts(identity)
    if facts or params["vouches"]:
        return bool(facts.get(INPUTS) == params["inputs"])
    entry = Registry(state_directory(params["state_directory"])).entry(params["prefix"])
    return identity in deployed_images(entry)
