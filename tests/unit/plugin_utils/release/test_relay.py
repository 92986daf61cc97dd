# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stack behind the front doors of its nodes: a relay on each of them, and nginx that hears its clients' addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from unit.fleets import declared, read, write

BEHIND: dict[str, Any] = {
    "bulkhead_engine": "swarm",
    "bulkhead_swarm": "main",
    "bulkhead_registry": "registry.example.com/shop",
    "bulkhead_edge": True,
    "bulkhead_http_port": 80,
    "bulkhead_https_port": 443,
}
SOCKETS = "/run/bulkhead/edge/app_prod"


def attempted(tmp_path: Path, **variables: Any) -> tuple[Declaration, Release]:
    declaration = declared(tmp_path, **BEHIND | variables)
    release = Renderer(read(write(tmp_path / "any", {})).loader, []).render(declaration)
    assert release is not None, declaration.problems
    return declaration, release


def definition(release: Release, key: str) -> dict[str, Any]:
    found: dict[str, Any] = release.stack.compose["services"][key]
    return found


def messages(declaration: Declaration, release: Release) -> list[str]:
    """What the declaration and the rules have against a stack."""
    found = [*declaration.problems, *judge(Fleet((build_environment(declaration, release),)))]
    return [finding.message for finding in found if finding.severity >= Severity.MEDIUM]


def test_it_is_contained_and_publishes_nothing(tmp_path: Path) -> None:
    declaration, release = attempted(tmp_path)
    assert messages(declaration, release) == []
    assert release.ports == () and not any("ports" in one for one in release.stack.compose["services"].values())
    assert release.route["sockets"] == SOCKETS


def test_a_relay_on_each_node_with_a_door(tmp_path: Path) -> None:
    """It alone has a path of its node, and starts beside the earlier one."""
    _declaration, release = attempted(tmp_path)
    relay = definition(release, "relay")
    assert relay["volumes"] == [{"type": "bind", "source": SOCKETS, "target": "/run/edge"}]
    assert relay["deploy"]["mode"] == "global"
    assert relay["deploy"]["placement"]["constraints"] == ["node.labels.io.bulkhead.door.app_prod == true"]
    assert relay["deploy"]["update_config"]["order"] == "start-first"
    assert "bind" not in {mount.get("type") for mount in definition(release, "nginx")["volumes"]}
    assert definition(release, "nginx")["deploy"]["update_config"]["order"] == "start-first"


def test_the_relay_leads_to_the_ports_of_the_proxy_protocol(tmp_path: Path) -> None:
    _declaration, release = attempted(tmp_path, bulkhead_http_port=8082)
    configuration = release.file("docker/relay/haproxy.cfg").content
    sockets = release.file("docker/nginx/sockets").content
    for name, port, kind in (("http", 8083, ""), ("https", 8084, " ssl")):
        assert f"bind unix@/run/edge/relay/{name}.sock mode 666 accept-proxy" in configuration
        assert f"server-template task 32 tasks.app_prod_nginx:{port} send-proxy-v2" in configuration
        assert f"listen {port}{kind} proxy_protocol;" in sockets
    assert "set_real_ip_from 0.0.0.0/0;" in release.file("docker/nginx/prod.conf").content


def test_a_service_of_ones_own_behind_the_doors(tmp_path: Path) -> None:
    own = {"nginx": None, "web": {"image": "web:1", "x-bulkhead": {"edge": True}}}
    _declaration, release = attempted(tmp_path, bulkhead_services=own)
    assert "tasks.app_prod_web:8082" in release.file("docker/relay/haproxy.cfg").content


@pytest.mark.parametrize(
    ("deploy", "mode"), [({}, "global"), ({"replicas": 2}, "replicated"), ({"mode": "replicated"}, "replicated")]
)
def test_where_nginx_runs(tmp_path: Path, deploy: dict[str, Any], mode: str) -> None:
    """On every node, unless it is on that of its volume, or said otherwise."""
    volumes = ["./docker/nginx:/etc/nginx/conf.d:ro", "./.bulkhead/private/nginx:/etc/nginx/tls:ro"]
    spread = {"nginx": {"volumes": volumes, "deploy": deploy}}
    declaration, release = attempted(tmp_path, bulkhead_services=spread)
    assert messages(declaration, release) == []
    assert definition(release, "nginx")["deploy"].get("mode", "replicated") == mode
    _declaration, pinned = attempted(tmp_path / "pinned")
    assert "mode" not in definition(pinned, "nginx")["deploy"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"bulkhead_services": {"relay": None}}, "no service leads from the nodes' front doors to nginx"),
        ({"bulkhead_services": {"nginx": {"x-bulkhead": {"edge": False}}}}, "no service has the sockets"),
        ({"bulkhead_edge_nodes": ["n9"]}, "bulkhead_edge_nodes names n9, and the group production has no such host"),
        ({"bulkhead_edge_nodes": ["app1"], "bulkhead_edge": False}, "bulkhead_edge_nodes has no effect"),
        ({"bulkhead_acme": True}, "bulkhead_acme does not work on a swarm"),
        (
            {"bulkhead_services": {"web": {"image": "web:1", "volumes": ["/run/bulkhead/edge:/run/edge"]}}},
            "/run/bulkhead/edge is a path of one node",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, variables: dict[str, Any], message: str) -> None:
    declaration, _release = attempted(tmp_path, **variables)
    assert any(message in problem.message for problem in declaration.problems), declaration.problems


def test_the_sockets_of_another_environment(tmp_path: Path) -> None:
    """With a template of its own a stack could say anything, and is judged by what it says."""
    declaration, release = attempted(tmp_path)
    definition(release, "relay")["volumes"][0]["source"] = "/run/bulkhead/edge/app_staging"
    assert any("is a path of one node" in message for message in messages(declaration, release))
