#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Prove on paper that no environment of the inventory touches another
description:
  - Reads every environment that the inventory declares, whatever C(-l) says, renders it as a deployment would, and
    judges all of them together. Nothing is contacted and nothing is changed.
  - Works without the secrets of other environments; what is locked is treated as sealed.
  - Reports every finding at once and fails when one stops the run (O(ignore:bulkhead_fail_on)).
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: It never changes anything.}
  diff_mode: {support: none, description: It never changes anything.}
options:
  deploying:
    type: bool
    default: true
    description:
      - Also refuse what may not be deployed, such as a run without C(-l) or over several environments, and note for the
        other actions of this run that the fleet is proved.
      - With V(false) the whole fleet is judged, and every finding counts.
"""

EXAMPLES = r"""
- name: Prove the fleet on paper
  aiia.bulkhead.plan:
    deploying: false
"""

RETURN = r"""
environments:
  description: The prefixes of all environments of the inventory.
  returned: always
  type: list
  elements: str
findings:
  description: Every finding, the worst first.
  returned: always
  type: list
  elements: dict
open:
  description: What could not be judged because values are sealed.
  returned: always
  type: list
  elements: str
"""
