# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services and tasks as a manager says them, for the tests of a stack."""

from __future__ import annotations

from typing import Any

PREFIX = "io.bulkhead.prefix"
STACK = "com.docker.stack.namespace"


def seen_service(key: str, project: str = "app_prod", prefix: str = "app_prod", **more: Any) -> dict[str, Any]:
    """A service that runs as it should."""
    return {
        "id": f"id-{project}_{key}",
        "name": f"{project}_{key}",
        "labels": {STACK: project, **({PREFIX: prefix} if prefix else {})},
        "version": 1,
        "spec": "spec-1",
        "tasks": "tasks-1",
        "forced": 0,
        "image": "web:1@sha256:1",
        "mode": "Replicated",
        "update": {"State": "", "StartedAt": "", "CompletedAt": "", "Message": ""},
        "desired": 1,
        "running": 1,
        "ports": [],
        **more,
    }


def seen_task(identity: str, key: str, project: str = "app_prod", **more: Any) -> dict[str, Any]:
    """A task that runs."""
    return {
        "id": identity,
        "service": f"id-{project}_{key}",
        "stack": project,
        "job": False,
        "node": "n1",
        "slot": 1,
        "state": "running",
        "desired": "running",
        "error": "",
        "since": "2026-11-30T10:00:00Z",
        "created": "2026-11-30T10:00:00Z",
        "container": f"container-{identity}",
        "tasks": "tasks-1",
        "forced": 0,
        **more,
    }


def seen_node(identity: str, **more: Any) -> dict[str, Any]:
    """A node that takes tasks."""
    return {
        "id": identity, "hostname": identity, "address": "10.0.0.9", "role": "worker", "availability": "active",
        "labels": {}, "state": "ready", "reachable": False, "manager_address": "", "leader": False, **more,
    }  # fmt: skip


def seen_swarm(**more: Any) -> dict[str, Any]:
    """A swarm of one node with nothing on it."""
    kinds: dict[str, Any] = {kind: [] for kind in ("services", "tasks", "networks", "configs", "secrets")}
    return {
        "state": "active",
        "control": True,
        "refused": "",
        "node": "n1",
        "nodes": [seen_node("n1", role="manager")],
        **kinds,
        **more,
    }
