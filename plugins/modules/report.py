#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write a page that shows why no environment touches another
description:
  - This is an action. It proves every environment of the inventory on paper, as M(aiia.bulkhead.plan) does, and writes
    reports of that. It fails where the proof does.
  - No host is contacted, unless C(bulkhead_report_live) is true. Then each machine is asked once, by the module
    M(aiia.bulkhead.status), without the password of any vault. The page then also shows what runs, what was changed by
    hand, and releases, receipts, backups and downtime over time. A machine that gives no answer is said on the page.
  - Use the playbook C(aiia.bulkhead.report).
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: The action changes no host; it writes the report in check mode as well.}
  diff_mode: {support: none, description: The action changes no host.}
options:
  path:
    type: path
    default: ""
    description:
      - A file on the controller for a report, beside those of C(bulkhead_report). The ending decides its format.
      - C(.html) is one page that needs no network and no script, C(.sarif) is for code scanning, C(.xml) for test
        reports, C(.md) for the summary of a pipeline; anything else is JSON.
"""

EXAMPLES = r"""
- name: Write the page
  aiia.bulkhead.report:
    path: bulkhead.html
"""

RETURN = r"""
environments:
  description: What the machines said, as M(aiia.bulkhead.status) returns it, by prefix. Empty unless they were asked.
  returned: always
  type: dict
"""
