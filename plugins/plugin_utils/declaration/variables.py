# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The public variables: types, defaults, descriptions, and which of them ``-e`` may set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader

ROLE = Path(__file__).resolve().parents[3] / "roles" / "environment"

#: The only variables that ``-e`` may set. None of them selects the environment.
EXTRA_ALLOWED = frozenset(
    {
        "bulkhead_allow_downtime",
        "bulkhead_allow_many",
        "bulkhead_backup_before_restore",
        "bulkhead_command",
        "bulkhead_confirm",
        "bulkhead_destroy_backups",
        "bulkhead_destroy_volumes",
        "bulkhead_fail_on",
        "bulkhead_fail_on_bystanders",
        "bulkhead_lines",
        "bulkhead_lock_takeover",
        "bulkhead_lock_wait",
        "bulkhead_maintenance",
        "bulkhead_manage",
        "bulkhead_receipt",
        "bulkhead_release",
        "bulkhead_report",
        "bulkhead_restore",
        "bulkhead_restore_files",
        "bulkhead_restore_from",
        "bulkhead_restore_sanitise",
        "bulkhead_restore_sanitise_files",
        "bulkhead_service",
        "bulkhead_source_commit",
        "bulkhead_wait_timeout",
    }
)

#: The variables that hold settings: names with their texts.
SETTINGS = ("bulkhead_env_shared", "bulkhead_env", "bulkhead_secrets")


@cache
def specification() -> Mapping[str, Mapping[str, Any]]:
    """The public variables with type and requirement, from the role's ``argument_specs.yml``."""
    text = (ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, dict[str, Any]] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def defaults(loader: DataLoader) -> dict[str, Any]:
    """The role's defaults, as templates. Cached by the loader."""
    found: dict[str, Any] = loader.load_from_file(
        str(ROLE / "defaults" / "main.yml"), unsafe=True, trusted_as_template=True
    )
    return found


def purpose(name: str) -> str:
    """The first paragraph of a variable's description, without its full stop."""
    description = specification()[name]["description"]
    return (description if isinstance(description, str) else description[0]).strip().rstrip(".")
