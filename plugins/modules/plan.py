#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Prove on paper that no environment of the inventory touches another
description:
  - Reads every environment that the inventory declares, regardless of C(-l), renders it as a deployment would, and
    judges all of them together. Contacts no host and changes nothing.
  - Works without the secrets of other environments; locked vaults count as sealed.
  - Reports all findings at once and fails if one of them stops the run (O(ignore:bulkhead_fail_on)).
  - With C(-e bulkhead_plan=plan.json), it writes the plan of one environment for a person to approve
    (O(deploying=false)), or refuses a deployment that is not exactly as planned.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: The module never changes anything.}
  diff_mode: {support: none, description: The module never changes anything.}
options:
  deploying:
    type: bool
    default: true
    description:
      - Also refuse what may not be deployed, such as a run without C(-l) or over several environments, and record the
        proof for the other actions of this run.
      - With V(false), the whole fleet is judged and every finding counts.
  approval:
    type: bool
    default: false
    description:
      - Refuse an environment that asks for a signed plan (C(bulkhead_plan_signers)) where C(-e bulkhead_plan) gives
        none. Check mode does not ask for it.
"""

EXAMPLES = r"""
- name: Prove the fleet on paper
  aiia.bulkhead.plan:
    deploying: false
"""

RETURN = r"""
environments:
  description: The prefixes of all environments in the inventory.
  returned: always
  type: list
  elements: str
findings:
  description: All findings, worst first.
  returned: always
  type: list
  elements: dict
open:
  description: What could not be evaluated because values are sealed.
  returned: always
  type: list
  elements: str
"""
