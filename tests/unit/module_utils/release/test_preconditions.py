# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last look before anything is changed, on the machine itself: what is somebody else's, and what is not."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import sockets
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.preconditions import refuse_foreign
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service

PROJECT = "com.docker.compose.project"
DIRECTORY = "com.docker.compose.project.working_dir"


def container(name: str, project: str = "", directory: str = "", port: int = 0, address: str = "") -> dict[str, Any]:
    """An inspected container."""
    labels = {key: value for key, value in ((PROJECT, project), (DIRECTORY, directory)) if value}
    bindings = {"80/tcp": [{"HostPort": str(port), "HostIp": address}]} if port else {}
    return {"Id": name, "Name": f"/{name}", "Config": {"Labels": labels}, "HostConfig": {"PortBindings": bindings}}


class Engine:
    """An engine with these containers and objects."""

    project = "aiia_prod"
    directory = "/srv/prod"

    def __init__(self, containers: list[dict[str, Any]], objects: list[dict[str, Any]]) -> None:
        self.containers = containers
        self.objects = objects

    def inspect(self, names: list[str]) -> list[dict[str, Any]]:
        return [container for container in self.containers if container["Id"] in names]

    def docker(self, _kind: str, _verb: str, *names: str, **_options: Any) -> tuple[int, str, str]:
        return 0, json.dumps([item for item in self.objects if item["Name"] in names]), ""

    def docker_ok(self, *_args: str) -> str:
        return "\n".join(container["Id"] for container in self.containers)


def refuse(
    *containers: dict[str, Any],
    objects: list[dict[str, Any]] | None = None,
    listening: list[tuple[str, int, str]] | None = None,
    led_away: tuple[str, ...] = (),
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Look at a machine that has these, as the environment aiia_prod with one service and one port."""
    monkeypatch.setattr(sockets, "listening", lambda: listening or [])
    engine = Engine(list(containers), objects or [])
    comparison = SimpleNamespace(
        engine=engine,
        tree=SimpleNamespace(refuse_others=lambda: None),
        containers=[container for container in containers if container["Config"]["Labels"].get(PROJECT) == "aiia_prod"],
        services=[Service("web", "web", "aiia_prod_web")],
        door=SimpleNamespace(
            problems=lambda _services, _containers: [], led_away=lambda port, _address: list(led_away) * (port == 8080)
        ),
        params={
            "networks": ["aiia_prod_network"],
            "volumes": ["aiia_prod_data"],
            "ports": [{"service": "web", "port": 8080, "address": "127.0.0.1"}],
        },
    )
    refuse_foreign(comparison)


OURS = container("aiia_prod_web", "aiia_prod", "/srv/prod", 8080, "127.0.0.1")

BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "our project elsewhere": (
        "other of the Compose project aiia_prod runs from /srv/other",
        {"containers": [container("other", "aiia_prod", "/srv/other")]},
    ),
    "our name": ("called aiia_prod_web exists and belongs to no", {"containers": [container("aiia_prod_web")]}),
    "our name in another project": (
        "belongs to the Compose project shop in /srv/shop",
        {"containers": [container("aiia_prod_web", "shop", "/srv/shop")]},
    ),
    "our volume": ("a volume called aiia_prod_data exists", {"objects": [{"Name": "aiia_prod_data", "Labels": None}]}),
    "our network": (
        "a network called aiia_prod_network exists and belongs to the Compose project shop",
        {"objects": [{"Name": "aiia_prod_network", "Labels": {PROJECT: "shop"}}]},
    ),
    "a container on our port": (
        "port 8080 on 127.0.0.1 of service web is taken by container x",
        {"containers": [container("x", port=8080)]},
    ),
    "a port that leads to the front door": (
        "port 8080 on 127.0.0.1 of service web is taken by the front door",
        {"led_away": ("the front door",)},
    ),
    "a process on our port": (
        "is taken by a process of another user",
        {"listening": [("127.0.0.1", 8080, "999999999")]},
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its owner, and the word that nothing was changed."""
    says, seen = BAD[case][0], dict(BAD[case][1])
    with pytest.raises(EngineError) as error:
        refuse(*seen.pop("containers", []), **seen, monkeypatch=monkeypatch)
    assert says in error.value.message and error.value.message.endswith("Nothing was changed")


def test_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run tells everything."""
    objects = [{"Name": "aiia_prod_data", "Labels": {}}, {"Name": "aiia_prod_network", "Labels": {}}]
    with pytest.raises(EngineError) as error:
        refuse(container("aiia_prod_web"), container("x", port=8080), objects=objects, monkeypatch=monkeypatch)
    assert error.value.message.count(";") == 3


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {"containers": [OURS], "listening": [("127.0.0.1", 8080, "1")]},
        {"containers": [container("x", "shop", "/srv/shop", 8081)]},
        {"containers": [container("x", port=8080, address="192.0.2.1")]},
        {"listening": [("192.0.2.1", 8080, "1")]},
        {"objects": [{"Name": "aiia_prod_data", "Labels": {PROJECT: "aiia_prod"}}]},
    ],
    ids=["nothing", "ours", "another port", "another address", "a process elsewhere", "our volume"],
)
def test_not_refused(seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ours, or only looks like it."""
    seen = dict(seen)
    refuse(*seen.pop("containers", []), **seen, monkeypatch=monkeypatch)
