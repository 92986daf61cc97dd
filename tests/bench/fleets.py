# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated fleets: many environments of eight services, eight on each machine, none in another's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

PER_MACHINE = 8
SECRETS = ("SECRET_KEY", "DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD")

#: With the five of the default stack they are eight.
MORE_SERVICES: dict[str, Any] = {
    "worker": {"command": ["celery", "--app", "config", "worker"]},
    "beat": {"command": ["celery", "--app", "config", "beat"]},
    "metrics": {"image": "prom/statsd-exporter:v0.28.0"},
}


def environment(number: int) -> dict[str, Any]:
    """The variables of one environment's group."""
    name = f"e{number:05d}"
    return {
        "bulkhead_environment": name,
        "bulkhead_machine": f"m{number // PER_MACHINE}",
        "ansible_host": f"m{number // PER_MACHINE}",
        "bulkhead_directory": f"/srv/{name}/app",
        "bulkhead_owner": name,
        "bulkhead_source_branch": name,
        "bulkhead_domains": [f"{name}.example.com"],
        "bulkhead_bind_address": "127.0.0.1",
        "bulkhead_http_port": 20000 + number % PER_MACHINE,
        "bulkhead_https_port": 21000 + number % PER_MACHINE,
        "bulkhead_tls_certificate_path": f"/etc/tls/{name}.pem",
        "bulkhead_tls_key_path": f"/etc/tls/{name}.key",
        "bulkhead_secrets": {key: f"{key}-of-{name}" for key in SECRETS},
    }


def write_inventory(directory: Path, count: int) -> Path:
    """An inventory of so many environments, laid out as inventories/eduaiia is: variables and secrets in YAML."""
    groups = directory / "group_vars"
    groups.mkdir(parents=True)
    everyone = {
        "bulkhead_project": "app",
        "bulkhead_source_repository": "git@example.com:app.git",
        "bulkhead_services": MORE_SERVICES,
    }
    _write(groups / "all" / "main.yml", everyone)
    children = {}
    for number in range(count):
        variables = environment(number)
        name = variables["bulkhead_environment"]
        children[name] = {"hosts": {f"{name}-host": None}}
        _write(groups / name / "vault.yml", {"bulkhead_secrets": variables.pop("bulkhead_secrets")})
        _write(groups / name / "main.yml", variables)
    _write(directory / "hosts.yml", {"all": {"children": children}})
    return directory


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
