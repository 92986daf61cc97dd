# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clean inventory with one thing changed, and what the gate says of it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from checkout import ROOT

CLEAN = ROOT / "inventories" / "eduaiia"

#: Whom a finding has to name.
BOTH = frozenset({"aiia_prod", "aiia_staging"})
STAGING = frozenset({"aiia_staging"})
PROD = frozenset({"aiia_prod"})
NOBODY: frozenset[str] = frozenset()

SECRETS = {
    group: {
        "SECRET_KEY": f"{group}-9f8e7d6c5b4a39281706f5e4d3c2b1a0-key",
        "DB_PASSWORD": f"{group}-5d1c8b7a6f4e3d2c",
        "POSTGRES_PASSWORD": f"{group}-a1b2c3d4e5f60718",
        "REDIS_PASSWORD": f"{group}-0f1e2d3c4b5a6978",
    }
    for group in ("production", "staging")
}


@dataclass(frozen=True)
class Mutant:
    """Variables that staging has instead, what else is there, and whom a finding has to name."""

    title: str
    refused: frozenset[str]
    staging: Mapping[str, Any] = field(default_factory=dict)
    production: Mapping[str, Any] = field(default_factory=dict)
    everybody: Mapping[str, Any] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, Any] | None = None


def values(group: str) -> dict[str, Any]:
    """What the clean inventory sets for a group."""
    found: dict[str, Any] = yaml.safe_load((CLEAN / "group_vars" / group / "main.yml").read_text())
    return found


def write(mutant: Mutant, folder: Path) -> Path:
    """The inventory of a mutant, with secrets that each environment has for itself."""
    inventory = folder / "inventory"
    shutil.copytree(CLEAN, inventory)
    changes = {"production": mutant.production, "staging": mutant.staging, "all": mutant.everybody}
    for group, change in changes.items():
        secrets = {"bulkhead_secrets": SECRETS[group]} if group in SECRETS else {}
        merged = _merge({**values(group), **copy.deepcopy(secrets)}, change)
        (inventory / "group_vars" / group / "main.yml").write_text(yaml.safe_dump(merged))
    if mutant.hosts is not None:
        (inventory / "hosts.yml").write_text(yaml.safe_dump(dict(mutant.hosts)))
    for name, text in mutant.templates.items():
        path = folder / "playbooks" / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return inventory


def _merge(values: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The change over the values: settings and secrets one by one, everything else as a whole."""
    for key, value in change.items():
        if key in ("bulkhead_env", "bulkhead_secrets") and isinstance(value, Mapping):
            values[key] = {**values.get(key, {}), **value}
        else:
            values[key] = value
    return values


def prove(inventory: Path, folder: Path) -> Any:
    """What the plan gate says of a whole inventory."""
    return gate(inventory, folder).prove(deploying=False)


def gate(inventory: Path, folder: Path) -> Any:
    """The plan gate of an inventory."""
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig

    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.plan import Gate

    loader = SimpleNamespace(_vault=SimpleNamespace(secrets=[]), get_basedir=lambda: str(folder))
    groups: dict[str, list[str]] = {path.name: [] for path in (inventory / "group_vars").iterdir()}
    sources = {"ansible_inventory_sources": [str(inventory)], "playbook_dir": str(folder / "playbooks")}
    return Gate(SimpleNamespace(_loader=loader), {**sources, "groups": groups})
