# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The volumes of a stack, which are on one of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ..gate.step import EnvironmentStep
from ..release.render import Release
from ..release.swarm_release import data_label
from .stack_module import call_stack, presentable


def on_data_node(step: EnvironmentStep, release: Release, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a module on the node that has the volumes of a stack. Raises AnsibleActionFail where no node has them."""
    label = data_label(release, step.declaration.prefix)
    nodes = step.all_nodes.look()["nodes"] if label else ()
    host, _node = step.all_nodes.host_of({node["id"] for node in nodes if node["labels"].get(label) == "true"})
    if not host:
        raise AnsibleActionFail(
            f"{step.declaration.prefix}: no node that can be reached has its volumes "
            f"(label {label or 'of none: no service has a volume'}). Nothing was changed"
        )
    return presentable(step, step.all_nodes.call(host, name, {**step.common(), **arguments}))


def forget_prepared(step: EnvironmentStep) -> list[str]:
    """Have the next deployment prepare again what was prepared for the data that a restore is about to replace.

    Before it: a restore that ends halfway would leave data that no deployment migrates. Returns what a person has to
    do afterwards.
    """
    answer = call_stack(step, "forget", {})
    if answer.get("failed"):
        raise AnsibleActionFail(
            f"{step.declaration.prefix}: the swarm cannot note that the next deployment has to prepare the restored "
            f"data (bulkhead_prepare): {answer.get('msg')}. Nothing was restored",
            result={"detail": answer.get("detail", "")},
        )
    notes: list[str] = answer["notes"]
    return notes
