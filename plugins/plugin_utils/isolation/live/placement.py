# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which nodes of a swarm the tasks of a service may run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ....module_utils.docker.labels import DATA_NODE_ID

_CONSTRAINT = re.compile(r"\s*(?P<key>\S+?)\s*(?P<operator>==|!=)\s*(?P<value>.*?)\s*")
_LABEL = "node.labels."


def may_run(definition: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether a task may come to a node, by its service's constraints. One that cannot be judged keeps none away."""
    placement = (definition.get("deploy") or {}).get("placement") or {}
    return all(_fits(str(constraint), node) for constraint in placement.get("constraints") or ())


def _fits(constraint: str, node: Mapping[str, Any]) -> bool:
    """Whether a node meets one constraint. Swarm knows no capitals, and a label that a node lacks is empty."""
    found = _CONSTRAINT.fullmatch(constraint)
    if found and found["value"] == DATA_NODE_ID:  # the node with the label, which another constraint asks for
        return True
    has = _seen(found["key"], node) if found else None
    if found is None or has is None:
        return True
    return (has.lower() == found["value"].lower()) == (found["operator"] == "==")


def _seen(key: str, node: Mapping[str, Any]) -> str | None:
    """What a node has where a constraint asks for it; None where a manager was not asked for that."""
    if key.lower().startswith(_LABEL):
        return str(node["labels"].get(key[len(_LABEL) :]) or "")
    name = {"node.id": "id", "node.hostname": "hostname", "node.role": "role"}.get(key.lower())
    return str(node[name]) if name else None
