# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is put back on running containers, by which calls, and on whose containers never."""

from __future__ import annotations

from typing import Any, cast

from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.labels import PROJECT
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.drift_repair import mend, mending_steps

LIMITS = {"memory": 512, "swap": 768, "cpus": 0.5, "pids": 64, "restart": "unless-stopped"}
WANTED: dict[str, Any] = {"aiia_web": {"limits": LIMITS, "connect": {"net": ["web"]}, "disconnect": ["stray"]}}


class Docker:
    """An engine with one container, and networks that are there."""

    project = "aiia"

    def __init__(self, project: str = "aiia", networks: tuple[str, ...] = ("net", "stray")) -> None:
        self.owner, self.networks = project, networks
        self.calls: list[str] = []

    def inspect(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"Name": f"/{name}", "Config": {"Labels": {PROJECT: self.owner}}} for name in names]

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        return (0 if args[-1] in self.networks else 1), "", ""

    def docker_ok(self, *args: str) -> str:
        self.calls.append(" ".join(args))
        return ""


def calls(docker: Docker, wanted: dict[str, Any]) -> list[str]:
    mend(cast(Engine, docker), wanted)
    return docker.calls


def test_everything_is_put_back() -> None:
    """Limits in one call, networks with the names that the container had there."""
    assert list(map(sentence, mending_steps(WANTED))) == [
        "put back the limits of aiia_web", "connect aiia_web to net again", "disconnect aiia_web from stray",
    ]  # fmt: skip
    assert calls(Docker(), WANTED) == [
        "update --pids-limit=64 --restart=unless-stopped --memory=512 --memory-swap=768 --cpus=0.5 aiia_web",
        "network connect --alias web net aiia_web",
        "network disconnect stray aiia_web",
    ]


def test_nothing_to_do() -> None:
    """No call at all."""
    assert mending_steps({}) == [] and calls(Docker(), {}) == []


def test_a_container_of_somebody_else() -> None:
    """It has our name by now, and is not touched."""
    assert calls(Docker(project="shop"), WANTED) == []


def test_a_network_that_is_gone() -> None:
    """Compose makes it anew, and what was on it."""
    assert calls(Docker(networks=()), {"aiia_web": {"connect": {"net": ["web"]}}}) == []


def test_without_limits() -> None:
    """Docker cannot take a limit of memory or processors away; the others it can."""
    none = {"memory": 0, "swap": 0, "cpus": 0, "pids": 0, "restart": "no"}
    assert calls(Docker(), {"aiia_web": {"limits": none}}) == ["update --pids-limit=-1 --restart=no aiia_web"]


def test_swap_as_the_engine_chose_it() -> None:
    """A version that did not limit swap recorded twice the memory: it is not given back."""
    recorded = {**LIMITS, "swap": 1024}
    assert "--memory=512 --memory-swap=512" in calls(Docker(), {"aiia_web": {"limits": recorded}})[0]
