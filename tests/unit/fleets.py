# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories for tests, written to a directory and read by Ansible's own classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import Inventory
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.resolve import declare

# Templates use filters of the collection.
if AnsibleCollectionConfig.collection_finder is None:
    init_plugin_loader()

SECRETS = {
    "SECRET_KEY": "a secret key of {}",
    "DB_PASSWORD": "database-password-of-{}",
    "POSTGRES_PASSWORD": "administrator-password-of-{}",
    "REDIS_PASSWORD": "redis-password-of-{}",
}


def environment(name: str, port: int = 80, **more: Any) -> dict[str, Any]:
    """The variables of a whole environment with the default stack."""
    return {
        "bulkhead_environment": name,
        "bulkhead_directory": f"/srv/{name}/app",
        "bulkhead_domains": [f"{name}.example.com"],
        "bulkhead_http_port": port,
        "bulkhead_https_port": port + 363,
        "bulkhead_tls_certificate_path": f"/etc/tls/{name}.pem",
        "bulkhead_tls_key_path": f"/etc/tls/{name}.key",
        "bulkhead_source_repository": "git@example.com:app.git",
        "bulkhead_source_branch": name,
        "bulkhead_secrets": {key: value.format(name) for key, value in SECRETS.items()},
        **more,
    }


PRODUCTION = environment("prod", 80)
STAGING = environment("staging", 8080)


def encrypted(text: str, password: str = "password") -> str:
    """A text as a vault file holds it."""
    return VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text.encode()).decode()


def inline(text: str, password: str = "password") -> str:
    """A text as an inline ``!vault`` value, for YAML written by hand."""
    return "!vault |\n" + "".join(f"    {line}\n" for line in encrypted(text, password).splitlines())


def secrets(password: str = "password") -> list[tuple[str, VaultSecret]]:
    """What a run holds that knows this password."""
    return [("default", VaultSecret(password.encode()))]


def write(
    directory: Path,
    groups: Mapping[str, Any],
    hosts: Mapping[str, Any] | None = None,
    everyone: Mapping[str, Any] | None = None,
) -> Path:
    """Write an inventory: the variables of each group, and its hosts where they are not just ``<group>-host``."""
    tree = {group: {"hosts": {f"{group}-host": None}} for group in groups} if hosts is None else dict(hosts)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": tree}}))
    for group, variables in {"all": {"bulkhead_project": "app", **(everyone or {})}, **groups}.items():
        folder = directory / "group_vars" / group
        folder.mkdir(parents=True)
        text = variables if isinstance(variables, str) else yaml.safe_dump(dict(variables))
        (folder / "main.yml").write_text(text)
    return directory


def read(directory: Path, password: str = "", playbooks: Path | None = None) -> Inventory:
    """Read an inventory as the gate does."""
    return Inventory([str(directory)], secrets(password) if password else [], str(playbooks or directory / "none"))


def declarations(inventory: Inventory, opened: bool = True) -> dict[str, Declaration]:
    """The declaration of each group, as if it were to be deployed; not ``opened``, as those that are not."""
    return {
        environment.group: declare(inventory.environment(environment.group, opened), inventory.loader)
        for environment in inventory.environments()
    }


def declared(
    directory: Path, password: str = "", everyone: Mapping[str, Any] | None = None, **variables: Any
) -> Declaration:
    """One environment with these variables over the usual ones; None takes one away."""
    chosen = {key: value for key, value in {**PRODUCTION, **variables}.items() if value is not None}
    return declarations(read(write(directory / "inventory", {"production": chosen}, everyone=everyone), password))[
        "production"
    ]


def problems(declaration: Declaration) -> list[tuple[str, str]]:
    """Rule and resource of everything that is wrong."""
    return [(problem.rule, problem.resource) for problem in declaration.problems]


def only(found: Sequence[Any]) -> Any:
    """The one item of a list that must have exactly one."""
    assert len(found) == 1, found
    return found[0]
