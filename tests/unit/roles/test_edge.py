# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role edge: its defaults, its description, its page and the module's settings say the same."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import yaml
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorSettings

ROLE = Path(__file__).resolve().parents[3] / "roles/edge"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))


def test_description_and_page_have_every_default() -> None:
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    assert {name: option["default"] for name, option in options.items()} == DEFAULTS
    assert set(re.findall(r"^\| `(\w+)`", (ROLE / "README.md").read_text(encoding="utf-8"), re.M)) == set(DEFAULTS)


def test_the_modules_settings_are_the_roles() -> None:
    (task,) = yaml.safe_load((ROLE / "tasks/main.yml").read_text(encoding="utf-8"))
    options = task["aiia.bulkhead.edge"]
    names = {"trusted": "proxy_protocol_from"}
    settings = dataclasses.asdict(DoorSettings())
    # On which ports it listens while environments have its own follows from the machine, not from the role.
    assert [settings.pop(name) for name in ("http_meanwhile", "https_meanwhile")] == [0, 0]
    for name, value in settings.items():
        variable = re.findall(r"\w+", options[names.get(name, name)])[0]
        default = DEFAULTS[variable]
        assert (tuple(default) if isinstance(default, list) else default) == value, name
