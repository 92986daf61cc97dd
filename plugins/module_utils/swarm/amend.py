# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a node differs from what the inventory wants. The controller plans by it, and a manager carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The label by which a node keeps the names of the labels that the inventory gave it: others' labels stay.
KEPT_LABELS = "io.bulkhead.node-labels"


def amendment(spec: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A node's settings as the inventory wants them, and what differs from those that it has, in words."""
    done = []
    labels = {str(key): str(value) for key, value in (spec.get("Labels") or {}).items()}
    earlier = [name for name in labels.get(KEPT_LABELS, "").split(",") if name]
    following = {name: value for name, value in labels.items() if name not in earlier and name != KEPT_LABELS}
    following.update(wanted["labels"])
    if wanted["labels"]:
        following[KEPT_LABELS] = ",".join(sorted(wanted["labels"]))
    for name in sorted({*labels, *following} - {KEPT_LABELS}):
        if name not in following:
            done.append("without label %s" % name)
        elif labels.get(name) != following[name]:
            done.append("label %s=%s" % (name, following[name]))
    if (spec.get("Role") or "worker") != wanted["role"]:
        done.append("role %s" % wanted["role"])
    if (spec.get("Availability") or "active") != wanted["availability"]:
        done.append("availability %s" % wanted["availability"])
    role, availability = wanted["role"], wanted["availability"]
    if labels != following and not done:
        done.append("the names of its labels")
    return {**spec, "Labels": following, "Role": role, "Availability": availability}, done
