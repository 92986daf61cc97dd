# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a destroyed stack leaves on its nodes, and on those that the run did not reach."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.stack_remains import kept_on_nodes, left_on_unreached
from unit.stacks import seen_node, seen_swarm

LABELS = {"io.bulkhead.prefix": "app_prod"}
DOOR = {"io.bulkhead.door.app_prod": "true", "io.bulkhead.door.other": "true"}


def node(identity: str, *registered: str, images: Any = ()) -> dict[str, Any]:
    """What was seen of a node."""
    return {
        "engine": {"node": identity},
        "state_directory": "/var/lib/bulkhead",
        "registry": {prefix: {} for prefix in registered},
        "images": [*images],
    }


def swarm(*labelled: str, **more: Any) -> dict[str, Any]:
    """Two nodes that answered, and one that did not."""
    nodes = [seen_node(name, labels=DOOR if name in labelled else {"disk": "ssd"}) for name in ("n1", "n2", "n3")]
    return {
        **node("n1", "app_prod", "other"),
        "host": "h1",
        "nodes": {"h2": node("n2", "other", **more)},
        "away": {"h3": "no route to host"},
        "stack": seen_swarm(nodes=nodes),
    }


def test_what_is_on_the_disks_of_nodes() -> None:
    """Registry entries, and images by a name or else by their id; nothing of another environment."""
    images = [
        {"id": "sha256:" + "1" * 64, "names": ["shop/app:c1", "shop/app:c2"], "labels": LABELS},
        {"id": "sha256:" + "2" * 64, "names": [], "labels": LABELS},
        {"id": "sha256:" + "3" * 64, "names": [], "labels": {"io.bulkhead.prefix": "app_prod2"}},
    ]
    found = [(step.kind, step.target, step.detail) for step in kept_on_nodes("app_prod", swarm(images=images), True)]
    entry = ("registry entry", "/var/lib/bulkhead/environments/app_prod", "on h1")
    assert found == [entry, ("image", "shop/app:c1", "on h2"), ("image", "2" * 12, "on h2")]
    given = [(step.kind, step.target, step.detail) for step in kept_on_nodes("app_prod", swarm(images=images), False)]
    assert given == [entry]


def test_what_stays_on_nodes_that_did_not_answer() -> None:
    """A host with the reason. The route of a node only if its label says that its door has one."""
    host = "h3 (no route to host): the images that were built for app_prod and its registry entry"
    assert left_on_unreached("app_prod", swarm("n1", "n2")) == [host]
    route = "node n3 (10.0.0.9): the route of app_prod at its front door"
    assert left_on_unreached("app_prod", swarm("n1", "n3")) == [host, route]
    everybody = {**swarm(), "away": {}, "stack": seen_swarm(nodes=[seen_node("n1"), seen_node("n2")])}
    assert left_on_unreached("app_prod", everybody) == []
