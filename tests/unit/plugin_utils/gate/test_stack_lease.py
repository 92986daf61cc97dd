# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of a stack on the nodes that do nothing while another one works."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import stack_lease
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_lease import StackLease
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_nodes import StackNodes


class Nodes(StackNodes):
    """Three nodes; ``said`` is what each answers, and ``None`` one that cannot be reached."""

    def __init__(self, said: Mapping[str, Any] | None = None, check_mode: bool = False) -> None:
        # What is kept of a run is kept by the environment's name.
        self.prefix = f"p{uuid.uuid4().hex}"
        declaration = Declaration("production", ("h1", "h2", "h3"), {"bulkhead_prefix": self.prefix}, {}, {})
        action = SimpleNamespace(_task=SimpleNamespace(check_mode=check_mode))
        super().__init__(action, {"inventory_hostname": "h0"}, cast(Any, None), declaration)
        self.said = {"h1": {}, "h2": {}, "h3": {}, **(said or {})}
        self.asked: list[tuple[str, str]] = []

    def _elsewhere(self, host: str, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((host, str(arguments.get("job") or name)))
        if self.said[host] is None:
            raise AnsibleConnectionFailure(f"no route to {host}")
        return dict(self.said[host])

    def back_up(self, token: str = "token") -> None:
        self.call("h3", "backup", {"prefix": self.prefix, "token": token, "backup": {}})


def begun(nodes: Nodes, seconds: float) -> Nodes:
    """The lock was taken so many seconds ago."""
    nodes.lease({}).begin(time.monotonic() - seconds)
    return nodes


def test_renewed_before_a_call_where_it_is_due() -> None:
    """A run of many calls, none of which is long, keeps its lock too."""
    nodes = begun(Nodes(), 40)
    nodes.back_up()
    assert nodes.asked == [("h1", "renew"), ("h2", "renew"), ("h3", "backup")]
    nodes.back_up()
    assert nodes.asked[3:] == [("h3", "backup")]


def test_another_run_took_the_lock() -> None:
    """Nothing is begun then."""
    nodes = begun(Nodes({"h2": {"failed": True, "busy": True, "msg": "the lock was lost"}}), 40)
    with pytest.raises(AnsibleActionFail, match="h2: the lock was lost"):
        nodes.back_up()
    assert ("h3", "backup") not in nodes.asked


def test_a_node_that_is_away_does_not_matter() -> None:
    nodes = begun(Nodes({"h1": None}), 40)
    nodes.back_up()
    assert nodes.asked[-1] == ("h3", "backup")


@pytest.mark.parametrize(("check_mode", "seconds"), [(True, 40), (False, 0)])
def test_nothing_to_renew(check_mode: bool, seconds: float) -> None:
    nodes = begun(Nodes(check_mode=check_mode), seconds)
    nodes.back_up()
    assert nodes.asked == [("h3", "backup")]


def test_what_only_reads_has_no_lock() -> None:
    nodes = begun(Nodes(), 40)
    nodes.back_up(token="")
    assert nodes.asked == [("h3", "backup")]


def test_renewed_while_a_node_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, and not afterwards."""
    monkeypatch.setattr(stack_lease, "RENEWAL", 0.02)

    def renew(host: str) -> dict[str, Any]:
        with (tmp_path / host).open("a") as file:
            file.write("x")
        return {}

    lease = StackLease(f"p{uuid.uuid4().hex}", renew)
    with lease.kept_on(["h1"]):
        deadline = time.monotonic() + 10
        while len((tmp_path / "h1").read_text()) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
    found = (tmp_path / "h1").read_text()
    time.sleep(0.2)
    assert len(found) >= 4 and (tmp_path / "h1").read_text() == found
