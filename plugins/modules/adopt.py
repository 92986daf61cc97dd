#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: adopt
short_description: Write an inventory for what a server runs that was set up by hand
description:
  - Looks at a server's Compose projects, their files, nginx, schedules, volumes and databases, and says which inventory
    reproduces them, what they share, what cannot be taken over, and how each environment moves without losing a row.
  - Changes nothing on the server. With O(mode=apply) it writes the inventory on the controller, whole or not at all.
  - No value of a secret is returned or shown. Secrets are only written into the vault file of their environment.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: "Looks only, as O(mode=look) does."}
  diff_mode: {support: full, description: Shows the files that are no secret.}
options:
  mode:
    type: str
    choices: [look, apply]
    default: look
    description: Whether to say what would be written, or to write it.
  directory:
    type: path
    default: inventory
    description: Where the inventory is written, on the controller. It must not exist.
  projects:
    type: list
    elements: str
    default: []
    description: The Compose projects to adopt. Empty means all that Bulkhead has not deployed.
  homes:
    type: path
    default: /srv
    description: >-
      Where on the server the environments get their directories, such as C(/srv/shop/prod). The directories of now stay
      as they are, as the way back.
  docker_host:
    type: str
    default: unix:///var/run/docker.sock
    description: The address of the Docker engine on the server.
"""

EXAMPLES = r"""
- name: See what would become of a server that was set up by hand
  aiia.bulkhead.adopt:
"""

RETURN = r"""
files:
  description: The files that were written, or would be.
  returned: success
  type: list
  elements: str
environments:
  description: The prefix of each environment, and for how many seconds at most nothing answers while it moves.
  returned: success
  type: dict
"""
