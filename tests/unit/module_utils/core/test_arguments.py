# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of shared arguments matches them."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.aiia.bulkhead.plugins.doc_fragments.environment import ModuleDocFragment
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.arguments import ENVIRONMENT, MACHINE


def documented(*texts: str) -> dict[str, dict[str, Any]]:
    """Types and defaults of the options of documentation fragments."""
    options = {name: item for text in texts for name, item in yaml.safe_load(text)["options"].items()}
    return {name: {key: item[key] for key in ("type", "default") if key in item} for name, item in options.items()}


def test_the_fragments_say_what_the_modules_take() -> None:
    """Same names, types and defaults. A token is not a secret and must not be treated as one."""
    taken = {name: {key: item[key] for key in item if key != "no_log"} for name, item in ENVIRONMENT.items()}
    assert documented(ModuleDocFragment.DOCUMENTATION, ModuleDocFragment.MACHINE) == taken
    assert list(documented(ModuleDocFragment.MACHINE)) == list(MACHINE)
    assert ENVIRONMENT["token"]["no_log"] is False
