# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan says what a deployment would still be refused for, as far as no password would bring it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.unread import still_needed
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import PRODUCTION, STAGING, declarations, encrypted, read, write


def needed(directory: Path, groups: dict[str, Any], vault: str = "") -> list[str]:
    """What is said of an inventory, whose group staging may have a locked vault file."""
    write(directory, groups)
    if vault:
        (directory / "group_vars/staging/vault.yml").write_text(encrypted(vault))
    inventory = read(directory)
    found = declarations(inventory)
    for declaration in found.values():
        Renderer(inventory.loader).render(declaration, inert=True)
    return still_needed(found.values(), inventory)


def without(variables: dict[str, Any], *names: str) -> dict[str, Any]:
    """Variables without some of them."""
    return {name: value for name, value in variables.items() if name not in names}


def test_missing_secrets_and_certificates_are_told_before_the_deployment(tmp_path: Path) -> None:
    """Of each environment, by name; one that has everything is not mentioned."""
    bare = without(STAGING, "bulkhead_tls_key_path")
    bare["bulkhead_secrets"] = without(bare["bulkhead_secrets"], "SECRET_KEY")
    assert needed(tmp_path, {"production": PRODUCTION, "staging": bare}) == [
        "app_staging: a deployment still needs bulkhead_secrets.SECRET_KEY, bulkhead_tls_key."
    ]


def test_what_is_locked_is_not_missing(tmp_path: Path) -> None:
    """Nobody knows here what a locked file has; without the file, it is known that there is nothing."""
    bare = without(STAGING, "bulkhead_secrets")
    assert needed(tmp_path / "locked", {"staging": bare}, vault="bulkhead_secrets: {}") == []
    (said,) = needed(tmp_path / "absent", {"staging": bare})
    assert said.count("bulkhead_secrets.") == 4
