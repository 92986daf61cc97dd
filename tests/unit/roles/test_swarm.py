# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role swarm: its defaults, its description and its page say the same, and its tasks name every step once."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.run import JOBS

ROLE = Path(__file__).resolve().parents[3] / "roles/swarm"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
#: What is unset means something else than any value.
UNSET = {"bulkhead_swarm_autolock"}


def test_description_and_page_have_every_default() -> None:
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    assert {name: option["default"] for name, option in options.items() if "default" in option} == DEFAULTS
    assert set(options) - set(DEFAULTS) == UNSET
    page = (ROLE / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)`", page, re.M)) == set(options)


def test_the_tasks_are_the_steps_in_their_order() -> None:
    texts = [(ROLE / f"tasks/{name}.yml").read_text(encoding="utf-8") for name in ("main", "change")]
    text = texts[0].replace("include_tasks: change.yml", texts[1])
    assert tuple(re.findall(r"^ +job: (\w+)$", text, re.M)) == JOBS
