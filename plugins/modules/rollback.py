#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Return an environment to a release that it kept
description:
  - Brings a kept release into force as a whole - image, Compose file, settings, nginx configuration, and the commit of
    the checkout - by the same way as M(aiia.bulkhead.converge), so without a gap where the stack allows that.
  - The release was proved when it was deployed. What it claims is judged again, beside the environments that the
    inventory declares and those that live on the machine now.
  - The database's schema stays as it is; a migration has to leave it usable for the release before.
  - Which release is meant says E(ignore:bulkhead_release), C(previous) by default.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: Nothing is changed; what would be done is in RV(steps).}
  diff_mode: {support: full, description: "Shows files except secret ones, which are only named."}
notes:
  - It takes no options; everything is in the inventory.
"""

EXAMPLES = r"""
- name: Return to the release before
  aiia.bulkhead.rollback:
  register: rolled_back
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, as M(aiia.bulkhead.converge) returns it.
  returned: success
  type: list
  elements: dict
release:
  description: The release that is in force.
  returned: success
  type: str
"""
