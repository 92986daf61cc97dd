# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The public variables: types, defaults and descriptions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader

ROLE = Path(__file__).resolve().parents[3] / "roles" / "environment"

#: The variables that hold settings: names with their texts.
SETTINGS = ("bulkhead_env_shared", "bulkhead_env", "bulkhead_secrets")

_VARIABLE = re.compile(r"\bbulkhead_\w+")

#: What an empty value switches off.
_MAY_BE_EMPTY = (
    *("bulkhead_environment_header", "bulkhead_prepare", "bulkhead_prepare_status"),
    *("bulkhead_static_root", "bulkhead_media_root"),
)


@cache
def specification() -> Mapping[str, Mapping[str, Any]]:
    """The public variables with type and requirement, from the role's ``argument_specs.yml``."""
    return _options(ROLE)


@cache
def of_machines() -> Mapping[str, str]:
    """The variables of the roles that set up machines, which a host may have beside those of its environment, each with
    the playbook that reads it."""
    roles = {"engine": "provision", "edge": "edge", "swarm": "swarm"}
    return {name: playbook for role, playbook in roles.items() for name in _options(ROLE.with_name(role))}


def _options(role: Path) -> dict[str, dict[str, Any]]:
    text = (role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    options: dict[str, dict[str, Any]] = yaml.load(text, Loader=loader)["argument_specs"]["main"]["options"]
    return options


@cache
def optional() -> frozenset[str]:
    """The variables that may be empty: those that are by default, those without a default, and headers to leave out."""
    unset = {name for name in specification() if _written().get(name) in (None, "", [], {})}
    return frozenset({*unset, *_MAY_BE_EMPTY})


@cache
def made_of(name: str) -> frozenset[str]:
    """The variables of which a variable is made as long as the inventory does not set it."""
    return frozenset(_VARIABLE.findall(str(_written().get(name, "")))) & specification().keys()


@cache
def _written() -> Mapping[str, Any]:
    """The role's defaults as they are written."""
    found: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=2)
def defaults(loader: DataLoader) -> dict[str, Any]:
    """The role's defaults, as templates. A loader reads them once, and takes as long to find what it has read."""
    found: dict[str, Any] = loader.load_from_file(
        str(ROLE / "defaults" / "main.yml"), unsafe=True, trusted_as_template=True
    )
    return found


def purpose(name: str) -> str:
    """The first paragraph of a variable's description, without its full stop."""
    description = specification()[name]["description"]
    return (description if isinstance(description, str) else description[0]).strip().rstrip(".")
