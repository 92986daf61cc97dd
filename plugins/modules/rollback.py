#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Return an environment to a kept release
description:
  - Deploys a kept release as a whole - image, Compose file, settings, nginx configuration, and the commit of the
    checkout - in the same way as M(aiia.bulkhead.converge), so without a gap where the stack allows it.
  - The release was proved when it was deployed. Its claims are evaluated again, against the environments that the
    inventory declares and those that are now on the machine.
  - The database schema is not changed. A migration must leave it usable for the previous release.
  - E(ignore:bulkhead_release) selects the release. It defaults to C(previous).
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: Changes nothing and returns the planned steps in RV(steps).}
  diff_mode: {support: full, description: "Shows files, except secret ones, which are only named."}
notes:
  - This module has no options. All values come from the inventory.
"""

EXAMPLES = r"""
- name: Return to the previous release
  aiia.bulkhead.rollback:
  register: rolled_back
"""

RETURN = r"""
steps:
  description: The steps taken, or planned in check mode, as M(aiia.bulkhead.converge) returns them.
  returned: success
  type: list
  elements: dict
release:
  description: The current release.
  returned: success
  type: str
"""
