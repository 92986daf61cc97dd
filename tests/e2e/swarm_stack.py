# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stack of three services on servers of a test's own: nginx on every node, an application with two tasks, a Redis.

These kernels have neither IPVS nor IPsec, so the stack has ports in mode ``host``, names instead of virtual addresses,
and networks without encryption.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from certificate import self_signed
from container_registry import USER, ContainerRegistry
from steady_client import ask
from support import Place, Run, Site, docker, health_check, only
from swarm_servers import SwarmServer, SwarmServers

NGINX, REDIS, HAPROXY = "bulkhead-demo/nginx:1.26", "bulkhead-demo/redis:8", "bulkhead-demo/haproxy:3.0"
DOMAIN = "shop.example.com"
HTTP, HTTPS, NEAR = 8080, 8443, 9000

#: What its application runs, and how it is asked whether it does.
SERVE = "echo serving; exec /bin/busybox httpd -f -p 8000 -h /www"
SHELL = ("/bin/busybox", "sh", "-c")
FETCH = ("/bin/busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8000/")
REPOSITORY = "/srv/repository/shop"

#: Where Docker's client has its builder: on the servers, and where this machine may have it.
BUILDX = tuple(f"/usr/{folder}/docker/cli-plugins/docker-buildx" for folder in ("libexec", "local/lib", "lib"))

#: Names instead of virtual addresses, and an update that is watched for less than a person would wait.
DEPLOY = {"endpoint_mode": "dnsrr", "update_config": {"monitor": "2s"}}


class StackSite(Site):
    """The inventory of one stack, whose hosts are servers, and of environments of Compose, each on one of them.

    Nobody listens for the controller on those that are ``unreached``.
    """

    servers: SwarmServers
    beside: dict[str, SwarmServer]
    unreached: frozenset[str] = frozenset()

    def write(self, locked: Any = ()) -> None:
        """Write the inventory with a host for each server."""
        super().write(locked)
        hosts = {f"{server.name}-shop": _on(server) for server in self.servers}
        for name in self.unreached:
            hosts[f"{name}-shop"]["ansible_port"] = 1
        groups = {"stack": {"hosts": hosts}}
        for group, server in self.beside.items():
            groups[group] = {"hosts": {f"{server.name}-{group}": _on(server)}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(groups))


def _on(server: SwarmServer) -> dict[str, Any]:
    """What the inventory says of a host that is a server: environments on the same one name it alike."""
    return {**server.variables, "bulkhead_machine": server.name}


def site_of(stack: Place) -> StackSite:
    """The inventory of a stack."""
    assert isinstance(stack.site, StackSite)
    return stack.site


def compose_place(stack: Place, server: SwarmServer) -> Place:
    """An environment of Compose on a server of the stack, of one service with a port that only that server reaches."""
    site = site_of(stack)
    site.beside["near"] = server
    web = {"image": "tiny", "command": ["/bin/busybox", "httpd", "-f", "-p", "8000", "-h", "/bin"]}
    return site.small("near", "near", services=only(web={**web, "ports": [f"127.0.0.1:{NEAR}:8000"]}))


def give_repository(server: SwarmServer) -> None:
    """A repository with the smallest application, and what builds its image, on the server that builds it."""
    command = json.dumps([*SHELL, SERVE])
    dockerfile = f"FROM scratch\nCOPY busybox /bin/busybox\nCOPY www /www\nCMD {command}\n"
    script = (
        f"mkdir -p {REPOSITORY}/www && cd {REPOSITORY} && cat >Dockerfile && cp /bin/busybox ."
        " && echo ok >www/index.html && git init --quiet --initial-branch main && git add ."
        " && git -c user.name=t -c user.email=t@example.com"
        " commit --quiet --message first"
    )
    done = server.run("sh", "-c", script, given=dockerfile)
    assert done.returncode == 0, done.stderr
    plugin = next(path for path in map(Path, BUILDX) if path.is_file())
    server.run("mkdir", "-p", BUILDX[0].rpartition("/")[0])
    docker("cp", str(plugin), f"{server.container}:{BUILDX[0]}")


def commit(server: SwarmServer, word: str) -> None:
    """Change the application: another page, which answers one word."""
    write = f"cd {REPOSITORY} && echo {word} >www/index.html"
    done = server.run(
        "sh", "-c", f"{write} && git -c user.name=t -c user.email=t@example.com commit --quiet --all --message {word}"
    )
    assert done.returncode == 0, done.stderr


def trust_registry(servers: SwarmServers, registry: ContainerRegistry) -> None:
    """Have each server's engine take the registry's certificate."""
    for server in servers:
        folder = f"/etc/docker/certs.d/{registry.address}"
        server.run("sh", "-c", f"mkdir -p {folder} && cat >{folder}/ca.crt", given=registry.certificate)


def stack_place(servers: SwarmServers, registry: ContainerRegistry, directory: Path) -> Place:
    """The environment. Its application is built on the first server, the other images are in the registry."""
    give_repository(servers[0])
    for image, name in ((NGINX, "shop/nginx:1"), (REDIS, "shop/redis:1")):
        registry.push(image, name)
    trust_registry(servers, registry)
    site = StackSite(directory, servers.name, host_variables={"ansible_timeout": 5})
    site.servers, site.beside = servers, {}
    certificate, key = self_signed([DOMAIN])
    place = site.add(
        "stack",
        "prod",
        engine="swarm",
        swarm="tests",
        registry=f"{registry.address}/shop",
        image_user=USER,
        source_repository=REPOSITORY,
        source_branch="main",
        build_engine="shared",
        domains=[DOMAIN],
        http_port=HTTP,
        https_port=HTTPS,
        prepare=[["/bin/busybox", "echo", "migrated"]],
        wait_timeout=60,
        env={"SAY": "hello"},
        compose={"networks": {"default": {"driver_opts": {"encrypted": "false"}}}},
        services={
            "pgbouncer": None,
            "postgresql": None,
            "django": {
                "volumes": [],
                "healthcheck": {**health_check(20, 2), "test": ["CMD", *FETCH]},
                "stop_grace_period": "2s",
                "deploy": {**DEPLOY, "replicas": 2},
            },
            "nginx": {
                "image": f"{registry.address}/shop/nginx:1",
                "volumes": ["./docker/nginx:/etc/nginx/conf.d:ro", "./.bulkhead/private/nginx:/etc/nginx/tls:ro"],
                "deploy": DEPLOY,
            },
            "redis": {"image": f"{registry.address}/shop/redis:1", "deploy": DEPLOY},
        },
    )
    place.secrets = {
        "bulkhead_secrets": {
            **dict.fromkeys(("SECRET_KEY", "REDIS_PASSWORD", "DB_PASSWORD", "POSTGRES_PASSWORD"), ""),
            "SECRET_KEY": f"key-of-{servers.name}-{'k' * 30}",
            "REDIS_PASSWORD": f"redis-of-{servers.name}-{'r' * 30}",
            "REGISTRY_PASSWORD": registry.password,
        },
        "bulkhead_tls_certificate": certificate,
        "bulkhead_tls_key": key,
    }
    return place


def alone(stack: Place) -> None:
    """Take the environment beside a stack out of the inventory again."""
    site = site_of(stack)
    site.beside.clear()
    site.places.pop("near")


@dataclass
class Requests:
    """How many were answered, and what became of the others."""

    served: int = 0
    failed: list[str] = field(default_factory=list)


@contextmanager
def steady_requests(*addresses: str, port: int = HTTPS) -> Iterator[Requests]:
    """Ask each address in turn, ten times a second, while the block runs."""
    found, over = Requests(), threading.Event()

    def visit(address: str) -> None:
        while not over.wait(0.1):
            try:
                status, _headers = ask(address, port, DOMAIN)
                if status != 200:
                    raise OSError(f"status {status}")
                found.served += 1
            except OSError as error:
                found.failed.append(f"{address} at {time.strftime('%X')}: {error!r}")

    threads = [threading.Thread(target=visit, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()


def play(place: Place, name: str, *arguments: str) -> Run:
    """Run one of the collection's playbooks on the environment."""
    return place.site.play("-l", place.group, *arguments, playbook=f"playbooks/{name}.yml")
