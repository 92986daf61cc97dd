# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a destroyed stack leaves on its nodes: what the run removes, and what stays on nodes that did not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from ...module_utils.core.steps import Step
from ...module_utils.docker.labels import PREFIX
from ..isolation.live.receipt import Observation
from ..isolation.live.stack import node_id, nodes_of
from ..isolation.live.stack_doors import door_label


def kept_on_nodes(prefix: str, observation: Observation, images: bool) -> Iterator[Step]:
    """What the nodes that were looked at keep of a stack on their own disks; with ``images``, those built for it."""
    for host, seen in nodes_of(observation).items():
        for image in seen["images"] if images else ():
            if image["labels"].get(PREFIX) == prefix:
                name = (image["names"] or [image["id"].partition(":")[2][:12]])[0]
                yield Step("remove", name, "image", detail=f"on {host}")
        if prefix in seen["registry"]:
            entry = PurePosixPath(seen["state_directory"], "environments", prefix)
            yield Step("remove", str(entry), "registry entry", detail=f"on {host}")


def left_on_unreached(prefix: str, observation: Observation) -> list[str]:
    """What stays on nodes that did not answer: by the hosts that gave no answer, and by the nodes whose labels say that
    their front doors lead to the stack."""
    seen = {node_id(found) for found in nodes_of(observation).values()}
    label = door_label(prefix)
    unseen = [node for node in observation["stack"]["nodes"] if node["id"] not in seen]
    return [
        *(
            f"{host} ({why}): the images that were built for {prefix} and its registry entry"
            for host, why in observation["away"].items()
        ),
        *(
            f"node {node['hostname']} ({node['address']}): the route of {prefix} at its front door"
            for node in unseen
            if node["labels"].get(label) == "true"
        ),
    ]
