# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Front doors on the servers of a swarm, each with the route of another environment, and one with an environment of
Compose behind it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from certificate import self_signed
from container_registry import ContainerRegistry
from support import Place, only
from swarm_servers import SwarmServer
from swarm_stack import DEPLOY, HAPROXY, NGINX, SHELL, compose_place, play, site_of

#: The other environment, whose route no deployment of the stack may touch.
OTHER, OTHER_DOMAIN = "other_prod", "other.example.com"
NEAR_DOMAIN = "near.example.com"
_ROUTE = {
    "prefix": OTHER,
    "domains": [OTHER_DOMAIN],
    "http": "0123456789ab/http.sock",
    "https": "0123456789ab/https.sock",
    "connections": 100,
    "rate": 10,
}
_SHOW = """
import socket, sys
admin = socket.socket(socket.AF_UNIX)
admin.connect(sys.argv[1])
admin.sendall(b"show map /config/domains.map\\n")
print(admin.makefile().read())
"""


def give_doors(place: Place, registry: ContainerRegistry) -> None:
    """A front door for each server, with the other environment's route, and the image of the relay in the registry."""
    servers = [*site_of(place).servers]
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(lambda server: server.load(HAPROXY), servers))
    registry.push(HAPROXY, "shop/haproxy:1")
    for server in servers:
        script = f"umask 077 && mkdir -p {places.routes(state_of(place))} && cat >{_file(place, OTHER)}"
        assert server.run("sh", "-c", script, given=json.dumps(_ROUTE)).returncode == 0
    place.variables["bulkhead_edge_image"] = HAPROXY
    play(place, "edge").succeeded()


def behind_doors(place: Place, registry: ContainerRegistry) -> None:
    """Have the stack behind them, with the ports of the world."""
    for name in ("http_port", "https_port"):
        del place.variables[f"bulkhead_{name}"]
    place.variables["bulkhead_edge"] = True
    relay = {"image": f"{registry.address}/shop/haproxy:1", "deploy": {"update_config": DEPLOY["update_config"]}}
    place.variables["bulkhead_services"]["relay"] = relay


def state_of(place: Place) -> str:
    """Where the servers keep what is Bulkhead's."""
    return str(place.site.directory / "machine-state")


def compose_behind_door(stack: Place, server: SwarmServer, registry: ContainerRegistry) -> Place:
    """An environment of Compose behind the front door of a server of the stack, with the nginx that the stack fetched
    there."""
    (nginx,) = set(server.docker("image", "ls", "--quiet", f"{registry.address}/shop/nginx").split())
    server.docker("tag", nginx, NGINX)
    place = compose_place(stack, server)
    page = "/bin/busybox mkdir -p /tmp/www; echo near >/tmp/www/index.html"
    serve = f"{page}; exec /bin/busybox httpd -f -p 8000 -h /tmp/www"
    certificate, key = self_signed([NEAR_DOMAIN])
    place.secrets = {"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key}
    place.variables |= {
        "bulkhead_edge": True,
        "bulkhead_app_service": "web",
        "bulkhead_domains": [NEAR_DOMAIN],
        "bulkhead_services": only(
            web={"image": "tiny", "command": [*SHELL, serve], "stop_grace_period": "0s"}, nginx={"image": NGINX}
        ),
    }
    return place


def route_of(place: Place, server: SwarmServer, prefix: str = OTHER) -> tuple[str, list[str]]:
    """An environment's route, on disk and in the running door."""
    shown = server.run("python3", "-c", _SHOW, places.admin_socket(state_of(place))).stdout
    disk = server.run("cat", _file(place, prefix)).stdout
    return disk, [line.split(" ", 1)[1] for line in shown.splitlines() if prefix in line]


def _file(place: Place, prefix: str) -> str:
    return f"{places.routes(state_of(place))}/{prefix}.json"
