# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where things lie below an environment's directory. Runs on the targets."""

from __future__ import annotations

import os

#: What the last successful deployment left, below the environment's directory.
STATE = ".bulkhead/state.json"
#: The releases that are kept.
RELEASES = ".bulkhead/releases"
#: Where nginx looks where requests go: to a stand-in (``<service>.next``), or to nobody (``maintenance.html``).
TRAFFIC = ".bulkhead/traffic"
#: The maintenance page of an environment, below its directory. As long as it is there nginx answers with it.
PAGE = "%s/maintenance.html" % TRAFFIC

#: The kind of a backup's part that is a database of PostgreSQL.
DATABASE = "postgresql"


def sign_of(service: str) -> str:
    """The file that sends requests to the stand-in of a service."""
    return os.path.join(TRAFFIC, "%s.next" % service)
