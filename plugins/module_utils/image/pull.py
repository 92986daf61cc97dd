# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take an environment's image from a registry, by its digest. Runs on the targets.

It gets a name of the environment's own, with the digest in it: then releases, rollback, pruning and destroy treat it as
one that was built here, and no other environment's deployment can take it away.
"""

from __future__ import annotations

from typing import Any

from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.reference import PULLED, ImageReference, parse
from ..docker.registries import Registries
from .promotion import Promotion
from .record import INPUTS, TREE, VOUCHED, ImageRecord, claimed_labels
from .tag import image_tag


def pull_image(engine: Engine, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Resolve, judge and fetch. With ``check`` nothing is fetched.

    Returns the ``commit`` (the digest without its algorithm), the ``image`` by our name, whether it is ``pulled`` by
    this run, and what ``promoted`` it. Raises EngineError.
    """
    wanted = parse(params["reference"])
    registries = Registries(engine, params["user"], params["password"])
    digest = registries.digest(wanted)
    version = digest.partition(":")[2]
    name = "%s:%s" % (params["image"], image_tag(version, PULLED))
    present = inspect_objects(engine, "image", [name])
    vouched = ""
    if params["promotion"]:
        promotion = Promotion(engine, params["prefix"], params["state_directory"], params["promotion"])
        if not any(image["Id"] in promotion.accepted for image in present):
            vouched = promotion.vouched(version, PULLED, name)
    if not present and not check:
        _fetch(engine, registries, wanted, digest, params, name)
    return {"commit": version, "image": name, "pulled": not present, "promoted": vouched, "digest": digest}


def _fetch(
    engine: Engine, registries: Registries, wanted: ImageReference, digest: str, params: dict[str, Any], name: str
) -> None:
    exact = "%s@%s" % (wanted.name, digest)
    known = bool(inspect_objects(engine, "image", [exact]))
    registries.pull(wanted, digest)
    (found,) = inspect_objects(engine, "image", [exact])
    claimed = claimed_labels(found, {})
    if not claimed:
        engine.docker_ok("image", "tag", found["Id"], name)
        facts = {TREE: digest.partition(":")[2], INPUTS: PULLED}
        if params["promotion"]:
            facts[VOUCHED] = str(params["promotion"]["evidence"]["prefix"])
        ImageRecord(params["state_directory"], params["prefix"]).write(engine, found["Id"], **facts)
    if not known:  # a name that somebody else gave stays
        engine.docker("image", "rm", exact)
    if claimed:
        raise EngineError(
            "%s sets the label %s. Bulkhead knows by it what belongs to whom: build it without that label"
            % (exact, ", ".join(claimed))
        )
