# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Swap and processor weight are set on running containers, once, and nothing is recreated for them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.layout import RELEASES
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.limits import missing_limits
from unit.module_utils.deployments import WEB, Machine, files
from unit.module_utils.fake_engine import service

MEMORY = 64 << 20
NO_SWAP = [f"--memory={MEMORY}", f"--memory-swap={MEMORY}"]


def container(**host: Any) -> dict[str, Any]:
    """A container with a memory limit, as the engine makes it."""
    return {"HostConfig": {"Memory": MEMORY, "MemorySwap": 2 * MEMORY, "CpuShares": 0, **host}}


@pytest.mark.parametrize(
    ("host", "declares", "weight", "wanted"),
    [
        ({}, (), 0, NO_SWAP),
        ({}, (), 256, [*NO_SWAP, "--cpu-shares=256"]),
        ({"CpuShares": 1024}, (), 256, [*NO_SWAP, "--cpu-shares=256"]),
        ({"MemorySwap": 0}, (), 0, NO_SWAP),
        # Near misses: as it should be, no memory limit, an engine that cannot, and the service's own will.
        ({"MemorySwap": MEMORY, "CpuShares": 256}, (), 256, []),
        ({"Memory": 0, "MemorySwap": 0}, (), 0, []),
        ({"MemorySwap": -1}, (), 0, []),
        ({}, ("memswap_limit",), 0, []),
        ({"CpuShares": 7}, ("memswap_limit", "cpu_shares"), 256, []),
    ],
)
def test_what_is_missing(host: dict[str, Any], declares: tuple[str, ...], weight: int, wanted: list[str]) -> None:
    assert missing_limits(container(**host), service("web", declares=declares), weight) == wanted


def limited(machine: Machine) -> list[str]:
    """The calls that limit, in order."""
    return [call for call in machine.engine.calls if call.startswith("update")]


def let_limits_work(machine: Machine) -> None:
    """The engine keeps the limits that it is given."""

    def update(call: str) -> None:
        words = call.split()
        found = [item for item in machine.engine.running.values() if item["Name"] == f"/{words[-1]}"]
        if words[0] == "update" and found:
            found[0]["HostConfig"]["MemorySwap"] = MEMORY

    machine.engine.on_call = update


def test_a_container_of_an_earlier_version(deployed: Machine) -> None:
    """It is limited and stays; a second run has nothing to do."""
    deployed.engine.container("web", **container())
    let_limits_work(deployed)
    before = deployed.engine.ids()
    assert deployed.plan() == ["limit aiia_prod_web to no swap"]
    deployed.deploy()
    assert deployed.tried == ["limit aiia_prod_web to no swap"]
    assert limited(deployed) == [f"update {' '.join(NO_SWAP)} aiia_prod_web"]
    assert deployed.engine.ids() == before and deployed.plan() == []


def test_limits_that_are_put_back_are_not_planned_twice(deployed: Machine) -> None:
    """What was changed by hand is put back as it was recorded, swap included."""
    deployed.engine.container("web", **container())
    assert deployed.plan(mend={"aiia_prod_web": {"limits": {"memory": MEMORY}}}) == []
    assert deployed.plan(mend={"aiia_prod_web": {"connect": {"net": []}}}) == ["limit aiia_prod_web to no swap"]


def test_an_engine_that_refuses(deployed: Machine) -> None:
    """The run ends, says what to do, and leaves what serves."""
    deployed.engine.container("web", **container())
    deployed.engine.refuses = lambda call: call.startswith("update")
    before = deployed.engine.ids()
    error = deployed.fails()
    assert "cannot limit aiia_prod_web (docker update --memory=67108864 --memory-swap=67108864)" in error.message
    assert "memswap_limit" in error.message and error.message.endswith("The previous release serves again")
    assert "refused by the test" in error.detail
    assert deployed.engine.ids() == before


def test_the_same_release_although_an_older_version_kept_it(deployed: Machine) -> None:
    """A field that it did not know has its default: nothing is kept twice."""
    deployed.engine.container("web", **container())
    let_limits_work(deployed)
    kept = deployed.releases()
    manifest = deployed.kept / RELEASES / kept[0] / "release.json"
    assert '"declares": [],' in manifest.read_text()
    manifest.write_text(manifest.read_text().replace('"declares": [],', ""))
    deployed.deploy()
    assert deployed.releases() == kept
    deployed.deploy(**files(conf="two"), services=[service("web", **WEB, declares=["cpu_shares"]), service("db")])
    assert len(deployed.releases()) == 2
