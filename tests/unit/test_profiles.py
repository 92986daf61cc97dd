# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each profile of docs/profiles.md, as it stands there, is rendered and proved with staging beside production."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.scaffold import first
from hazards.mutants import SECRETS, gate
from profiles import profiles

ANSWERS = {
    **first.DEFAULTS,
    "bulkhead_project": "shop",
    "bulkhead_source_repository": "git@github.com:example/shop.git",
    "bulkhead_domain": "shop.example.com",
    "bulkhead_server": "203.0.113.5",
}
PROFILES = profiles()

#: Ports on every address, and a domain of staging's that is below production's.
ADVICE = ("ipv6-twin", "parent-domain")


def inventory(directory: Path, text: str) -> Path:
    """The inventory that `new` writes, with a profile in place of what all environments share, and with secrets."""
    root = directory / "inventory"
    for name, content in first.files(ANSWERS).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if name == "group_vars/all/main.yml" else content)
    for group in ("production", "staging"):
        (root / "group_vars" / group / "secrets.yml").write_text(yaml.safe_dump({"bulkhead_secrets": SECRETS[group]}))
    return root


def proved(directory: Path, text: str) -> tuple[Any, list[str]]:
    """The gate of that inventory, and what it found beside the advice on what `new` writes for every application."""
    made = gate(inventory(directory, text), directory)
    findings = [finding for finding in made.prove(deploying=False).findings if finding.rule not in ADVICE]
    return made, [f"{finding.rule} {finding.resource}: {finding.message}" for finding in findings]


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_proved(name: str, tmp_path: Path) -> None:
    """Nothing is found; what is deployed is what the page's table says."""
    made, found = proved(tmp_path, PROFILES[name].text)
    assert found == []
    assert [declaration.prefix for declaration in made.declarations] == ["shop_prod", "shop_staging"]
    for declaration in made.declarations:
        release = made.render(declaration)
        assert {service.name for service in release.stack.services} == PROFILES[name].services
        [application] = [
            one for one in release.stack.services if one.name == declaration.values["bulkhead_app_service"]
        ]
        assert application.application and application.rolling
        assert any(part["kind"] == "files" for part in application.backup) or name == "Go"


def test_a_profile_with_a_wrong_line(tmp_path: Path) -> None:
    """The control: what the page does not say is found."""
    wrong = PROFILES["Node"].text.replace("bulkhead_media_root: /app/data/uploads", "bulkhead_media_root: /app/uploads")
    _made, found = proved(tmp_path, wrong)
    assert [line.split(":")[0] for line in found] == ["invalid-variable bulkhead_media_root"] * 2
