# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what a stack may say: of each key a value that is refused, beside one that is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.swarm import DIFFERS, SWARM
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.walk import outside as found_outside
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.project import canonical_mapping
from unit.plugin_utils.isolation.containment.test_compose import HOME, OWN


def outside(swarm: str = "main", **model: Any) -> list[str]:
    """The keys of a model that are not contained."""
    whole = {"name": "aiia_staging", "networks": {"default": {"name": "aiia_staging_network"}}, **model}
    project = canonical_mapping(whole, directory=HOME, file="stack.yml", env_files={}, swarm=swarm)
    return [leaf.key for leaf in found_outside(project, OWN)]


def service(**keys: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "app:1", **keys}, "db": {"image": "db:1"}}}


# Of each key what a swarm refuses or ignores, and what takes its place; None where nothing does.
SERVICES: list[tuple[str, Any, Any]] = [
    ("cap_add", ["SYS_ADMIN"], ["CHOWN"]),
    ("container_name", "aiia_staging_web", None),
    ("cpus", 1.5, None),
    ("deploy", {"mode": "global-job"}, {"mode": "global"}),
    ("deploy", {"endpoint_mode": "x"}, {"endpoint_mode": "dnsrr"}),
    ("deploy", {"labels": {"traefik.http.routers.web.rule": "Host(`x.org`)"}}, {"labels": {"team": "shop"}}),
    ("deploy", {"resources": {"limits": {"memory": "100T"}}}, {"resources": {"limits": {"memory": "1G"}}}),
    ("deploy", {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}, {"replicas": 3}),
    ("depends_on", ["db"], None),
    ("expose", ["80"], None),
    ("extra_hosts", ["x=10.0.0.1"], ["x=8.8.8.8"]),
    ("mem_limit", "1g", None),
    ("network_mode", "none", None),
    ("networks", {"default": {"ipv4_address": "10.1.2.3"}}, {"default": {"aliases": ["web"]}}),
    ("ports", [{"target": 80, "published": "80", "host_ip": "127.0.0.1"}], [{"target": 80, "published": "80"}]),
    ("ports", [{"target": 80, "published": "80", "mode": "open"}], [{"target": 80, "published": "80", "mode": "host"}]),
    ("pull_policy", "always", None),
    ("restart", "always", None),
    ("security_opt", ["no-new-privileges:true"], None),
    ("shm_size", "64m", None),
    ("sysctls", {"vm.swappiness": "1"}, {"net.core.somaxconn": "1"}),
    ("volumes", [f"{HOME}/data:/data"], ["data:/data"]),
    ("volumes", ["/etc/localtime:/etc/localtime:ro"], [{"type": "tmpfs", "target": "/run"}]),
]


@pytest.mark.parametrize(("key", "bad", "good"), SERVICES, ids=lambda value: str(value)[:40])
def test_services(key: str, bad: Any, good: Any) -> None:
    named: dict[str, Any] = {"volumes": {"data": {"name": "aiia_staging_data"}}}
    found = outside(**service(**{key: bad}), **named)
    assert found and all(name.partition(".")[0] == key for name in found)
    assert outside(**service(**{} if good is None else {key: good}), **named) == []


@pytest.mark.parametrize(
    ("section", "bad", "good"),
    [
        ("networks", {"attachable": True}, {"attachable": False}),
        ("networks", {"driver": "bridge"}, {"driver": "overlay"}),
        ("networks", {"driver_opts": {"com.docker.network.bridge.name": "x"}}, {"driver_opts": {"encrypted": "true"}}),
        ("networks", {"name": "prod"}, {"name": "aiia_staging_inner"}),
        ("volumes", {"driver_opts": {"type": "none", "o": "bind", "device": f"{HOME}/x"}}, {"name": "aiia_staging_x"}),
        ("configs", {"file": "/etc/shadow"}, {"file": f"{HOME}/x", "name": "aiia_staging_x"}),
        ("secrets", {"name": "word", "file": f"{HOME}/x"}, {"name": "aiia_staging_word", "file": f"{HOME}/x"}),
        ("secrets", {"external": True, "name": "word"}, {"external": True, "name": "aiia_staging_word"}),
        ("configs", {"template_driver": "golang", "file": f"{HOME}/x"}, {"file": f"{HOME}/x"}),
    ],
    ids=str,
)
def test_sections(section: str, bad: dict[str, Any], good: dict[str, Any]) -> None:
    rest = service(networks=["inner"]) if section == "networks" else service()
    first = {"name": "aiia_staging_one"}
    judged: list[dict[str, Any]] = [{section: {"inner": {**first, **entry}}} for entry in (bad, good)]
    assert outside(**rest, **judged[0])
    assert outside(**rest, **judged[1]) == []


def test_a_project_of_compose_is_judged_as_before() -> None:
    """One table for each: what a swarm ignores is fine there, and an overlay is not."""
    assert outside(swarm="", **service(restart="always", mem_limit="1g")) == []
    assert outside(swarm="", **service(), networks={"default": {"name": "aiia_staging_n", "driver": "overlay"}}) == [
        "driver"
    ]


def test_the_tables_differ_in_what_is_said() -> None:
    """Every key of Compose has an entry for stacks too, its own or one above it."""
    for path in COMPOSE:
        parts = path.split(".")
        assert any(".".join(parts[:count]) in SWARM for count in range(1, len(parts) + 1)), path
    assert {"services.*.restart", "networks.*.driver"} <= set(DIFFERS)
    assert "services.*.image" not in DIFFERS
