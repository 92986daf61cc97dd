# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kept releases of a stack, in a swarm that is a dictionary."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.kept import DATA_NODE, KeptReleases

LABELS = {"io.bulkhead.prefix": "app_prod"}


class FakeConfigs:
    """The configs of a swarm."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def configs(self) -> list[dict[str, Any]]:
        return list(self.found.values())

    def make_config(self, name: str, labels: dict[str, str], content: bytes) -> str:
        spec = {"Name": name, "Labels": labels, "Data": base64.b64encode(content).decode()}
        self.found[name] = {"ID": name, "Version": {"Index": 1}, "Spec": spec}
        return name

    def label_config(self, identity: str, version: int, spec: dict[str, Any]) -> None:
        assert spec["Data"] == self.found[identity]["Spec"]["Data"], "the engine refuses any other change"
        self.found[identity]["Spec"] = spec

    def remove_object(self, kind: str, identity: str) -> None:
        assert kind == "config"
        del self.found[identity]


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> KeptReleases:
    """Three releases, one after the other, each by a manager whose clock is behind that of the one before."""
    clock = iter(range(1000, 0, -1))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    api = FakeConfigs()
    api.make_config("app_staging_r1", {"io.bulkhead.prefix": "app_staging", "io.bulkhead.release": "r1"}, b"")
    api.make_config("app_prod_nginx_1", LABELS, b"")
    found = KeptReleases(api, "app_prod")
    for name, before in (("r1", ""), ("r2", "r1"), ("r3", "r2")):
        found.keep(name, {"follows": before, "configs": [f"c-{name}"]}, LABELS, {"web": name}, {"web": "image"})
    return found


def test_the_last_one_is_in_force(releases: KeptReleases) -> None:
    assert releases.names() == ["r1", "r2", "r3"] and releases.current == "r3"
    assert releases.manifest("r3")["specs"] == {"web": "r3"}
    assert releases.manifest("r9") == {}


def test_one_that_is_in_force_again(releases: KeptReleases) -> None:
    assert releases.resolve("previous") == "r2"
    releases.bring("r1", {"web": "now"}, {})
    assert releases.current == "r1" and releases.manifest("r1")["specs"] == {"web": "now"}
    assert releases.manifest("r1")["prepared"] == {} and releases.manifest("r2")["prepared"] == {"web": "image"}
    with pytest.raises(Failure, match="no release before r1 to return to; kept releases: r3, r2, r1"):
        releases.resolve("previous")
    with pytest.raises(Failure, match="there is no release r9"):
        releases.resolve("r9")


def test_the_node_with_the_data(releases: KeptReleases) -> None:
    """It is noted with each deployment, and stays with what else is noted."""
    assert releases.data_node == ""
    releases.bring("r1", {}, {}, {DATA_NODE: "n2"})
    assert releases.data_node == "n2" and releases.manifest("r1")["data_node"] == "n2"
    releases.bring("r1", {"web": "now"}, {})
    assert releases.data_node == "n2"


def test_which_ones_go(releases: KeptReleases) -> None:
    """The one in force and those before it stay first."""
    assert releases.surplus(2) == ["r1"]
    releases.bring("r1", {}, {})
    assert releases.surplus(2) == ["r2"]
    assert releases.files(["r1", "r3"]) == {"c-r1", "c-r3"}


def test_one_that_is_too_large(releases: KeptReleases) -> None:
    with pytest.raises(Failure, match="keeps no config of more than 1000"):
        releases.keep("r4", {"settings": "x" * 1_100_000}, LABELS, {}, {})
    assert releases.current == "r3"


def test_a_number_that_cannot_be_read_is_not_in_force(releases: KeptReleases) -> None:
    releases._configs["r1"]["Spec"]["Labels"]["io.bulkhead.in-force"] = "now"
    assert releases.current == "r3"


def test_one_that_was_damaged(releases: KeptReleases) -> None:
    config = releases._configs["r2"]
    config["Spec"] = {**config["Spec"], "Data": base64.b64encode(json.dumps({})[:1].encode()).decode()}
    with pytest.raises(Failure, match=r"config app_prod_r2 .* cannot be read"):
        releases.manifest("r2")
