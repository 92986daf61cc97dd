#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: new
short_description: Write a new environment into an inventory
description:
  - Makes an environment like one that the inventory has, with everything different that must differ, such as names,
    directory, domains, ports and branch; or the first inventory of an application, with production and staging.
  - If the run has a vault password for a new environment (C(--vault-id <name>@prompt)), its secrets are generated too,
    with their fingerprints.
  - If the model declares subnets in C(bulkhead_compose), the new environment gets the next free ones of the pool in
    C(subnets.txt) of the inventory. The file is made where there is none, and a line for each subnet is added to it.
  - Proves the inventory with it. If the plan gate would refuse the new environment, nothing is written.
  - Works on the controller only. Overwrites no file but C(subnets.txt), and never copies a secret.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode:
    support: full
    description: Nothing is written. The diff shows the files before they are completed and proved.
  diff_mode: {support: full, description: Shows the files.}
options:
  name:
    type: str
    description: The name of the new environment and of its group.
  like:
    type: str
    description: The group of the environment that it is made like.
  answers:
    type: dict
    description: >-
      Without O(name), what the first inventory of an application is made of: C(bulkhead_project),
      C(bulkhead_source_repository), C(bulkhead_domain), C(bulkhead_server), C(bulkhead_server_user),
      C(bulkhead_kind) and C(bulkhead_port).
  directory:
    type: path
    description: Where the first inventory is written. Defaults to C(inventory) in the current directory.
"""

EXAMPLES = r"""
- name: Have an environment qa that is like staging
  aiia.bulkhead.new:
    name: qa
    like: staging
"""

RETURN = r"""
files:
  description: The files that were written.
  returned: success
  type: list
  elements: str
"""
