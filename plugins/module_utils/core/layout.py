# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The layout of an environment's directory, and of what root keeps of it. Runs on the targets."""

from __future__ import annotations

import os

#: What root keeps of each environment, below the machine's state directory.
KEPT = "deployed"
#: In there: the state that the last successful deployment left.
STATE = "state.json"
#: What the deployment that runs now has begun, below :data:`KEPT`.
TRIED = "tried.json"
#: In there: the releases that are kept.
RELEASES = "releases"
#: In there: the files in force, as Docker and Compose read them.
IN_FORCE = "in-force"
#: Where an older version kept state and releases: in the environment's directory, which its owner can write.
OLDER = ".bulkhead"
#: Marker files for nginx: they send requests to a stand-in (``<service>.next``) or to the maintenance page.
TRAFFIC = ".bulkhead/traffic"
#: The maintenance page. As long as the file exists nginx answers with it.
PAGE = "%s/maintenance.html" % TRAFFIC
#: The certificate that nginx serves with, where an authority issues it (``bulkhead_acme``). It is of no release: one
#: that returns serves with today's.
ACME = ".bulkhead/acme"

#: The kind of a backup's part that is a database of PostgreSQL.
DATABASE = "postgresql"


def sign_of(service: str) -> str:
    """The marker file that sends requests to the stand-in of a service."""

    return os.path.join(TRAFFIC, "%s.next" % service)
