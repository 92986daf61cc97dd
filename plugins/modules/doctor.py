#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Say what is wrong with environments, the likeliest cause first
description:
  - This is an action. It asks each machine of the inventory once, by the module M(aiia.bulkhead.status), without the
    password of any vault, and changes nothing. In a play, set no options.
  - Use the playbook C(aiia.bulkhead.doctor). It fails where it finds a fault, or cannot reach a machine.
  - Domains, addresses and users are left out of what it says, so that it can be pasted into an issue.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: The action only reads.}
  diff_mode: {support: none, description: The action only reads.}
options: {}
"""

EXAMPLES = r"""
- name: Say what is wrong
  aiia.bulkhead.doctor:
"""

RETURN = r"""
results:
  description: >-
    What was found, each with the C(check), its C(kind) (C(fault), C(hint) or C(not checked)), the C(environment), what
    it C(saw), C(why) that matters, and what to do C(next).
  returned: if nothing failed, or with C(bulkhead_format=json)
  type: list
  elements: dict
unreachable:
  description: Why a machine could not be asked, by the prefix of the environment.
  returned: always
  type: dict
summary:
  description: One sentence about all of it.
  returned: always
  type: str
"""
