# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observations and environments made by hand, for the tests of what is judged on a machine."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    Claim,
    ComposeProject,
    Environment,
    Where,
)

PROJECT = "com.docker.compose.project"
DIRECTORY = "com.docker.compose.project.working_dir"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
PREFIX = "io.bulkhead.prefix"
INPUT = "io.bulkhead.input"


def environment(prefix: str = "aiia_staging", **more: Any) -> Environment:
    """An environment of one service ``web`` with a port, a network and a volume."""
    directory = more.pop("directory", f"/srv/{prefix}")
    port = more.pop("port", 8080)

    def claim(namespace: str, key: str, **attributes: Any) -> Claim:
        return Claim(namespace, "m1", key, prefix, Where("docker-compose.yml", 1), False, attributes)

    claims = (
        claim("project", prefix),
        claim("container", f"{prefix}_web"),
        claim("network", f"{prefix}_network"),
        claim("volume", f"{prefix}_data"),
        claim("path", directory, kind="directory"),
        claim("host-port", f"{port}/tcp", ip=more.pop("bind", "127.0.0.1"), service="web"),
    )
    web = {"image": "web", "restart": "unless-stopped", "healthcheck": {"test": ["CMD", "true"]}}
    project = ComposeProject(prefix, prefix, {"web": more.pop("web", web)})
    return Environment(
        prefix=prefix, machine="m1", directory=directory, http_port=port, compose=(project,), claims=claims, **more
    )


def labels(prefix: str, **more: str) -> dict[str, str]:
    """The labels that a deployment gives."""
    return {
        PROJECT: prefix, DIRECTORY: f"/srv/{prefix}", SERVICE: "web", PREFIX: prefix, INPUT: "1", **more,
    }  # fmt: skip


def container(name: str, marks: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A running container on no network."""
    return {
        "id": f"id-{name}",
        "name": name,
        "image": "sha256:1",
        "labels": marks or {},
        "condition": "healthy",
        "running": True,
        "started": "2026-01-01T00:00:00Z",
        "restarts": 0,
        "policy": "unless-stopped",
        "network_mode": "default",
        "networks": {},
        "mounts": [],
        "ports": [],
        "exposed": [],
        "pid": 1,
        "settings": {},
        "limits": {"memory": 512, "swap": 1024, "cpus": 1.0, "pids": 512, "restart": "unless-stopped"},
        **more,
    }


def deployed(prefix: str, **more: Any) -> dict[str, Any]:
    """The container of an environment as it is deployed."""
    network = {f"{prefix}_network": {"id": f"net-{prefix}", "address": "172.18.0.2", "aliases": ["web"]}}
    return {**container(f"{prefix}_web", labels(prefix), networks=network), **more}


def network(name: str, marks: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A network of the engine."""
    return {
        "id": f"net-{name}",
        "name": name,
        "driver": "bridge",
        "labels": marks or {},
        "internal": False,
        "subnets": [],
        "gateways": ["172.18.0.1"],
        **more,
    }


def volume(name: str, marks: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A volume of the engine."""
    return {"name": name, "labels": marks or {}, "created": "2026", "database": "", **more}


def entry(prefix: str, **more: Any) -> dict[str, Any]:
    """A registry entry."""
    return {
        "prefix": prefix,
        "directory": f"/srv/{prefix}",
        "machine": "m1",
        "by": "ann@laptop",
        "deployed": "2026-01-01T00:00:00Z",
        "claims": [],
        **more,
    }


def observation(**more: Any) -> dict[str, Any]:
    """A machine on which nothing is."""
    return {
        "machine": "machine-1",
        "generation": "boot-1",
        "engine": {"id": "engine-1", "version": "28.2.2", "root": "/var/lib/docker", "live_restore": True},
        "containers": [],
        "networks": [],
        "volumes": [],
        "images": [],
        "sockets": [],
        "space": {},
        "usage": {},
        "memory": {},
        "state_directory": "/var/lib/bulkhead",
        "limits": {},
        "registry": {},
        "locks": {},
        "deployments": {},
        "key": "key-1",
        "files": {},
        "checkouts": {},
        "places": {},
        "maintenance": [],
        "schedules": [],
        "parents": [],
        "guards": {},
        "programs": {"age": False},
        **more,
    }
