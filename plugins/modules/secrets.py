#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets
short_description: Make, set, replace and check the secrets of one environment
description:
  - Works on C(group_vars/<group>/vault.yml) and C(fingerprints.yml) of the environment that C(-l) selects, on the
    controller. Contacts no host. The variable C(bulkhead_secret) says what to do.
  - Comments and order of the vault file stay. It is replaced as a whole or not at all, and no plain text is written to
    a disk.
  - No value is taken from the command line, returned or shown.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: partial, description: C(show-names) and C(audit) change nothing; all else is refused.}
  diff_mode: {support: none, description: The module shows no value.}
options: {}
"""

EXAMPLES = r"""
- name: Do what bulkhead_secret says
  aiia.bulkhead.secrets:
"""

RETURN = r"""
names:
  description: The names of all secrets of the environment.
  returned: success
  type: list
  elements: str
steps:
  description: What was done with which secret.
  returned: for all but C(audit)
  type: list
  elements: str
"""
