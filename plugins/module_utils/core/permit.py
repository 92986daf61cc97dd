# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The permit with which the gate's actions call a module that changes a machine.

A module that is called by path, or in any other way without its action, has none and refuses. That protects against
accidents and against playbooks that go around the gate, not against a person who may run any program on the machine and
makes a permit of their own. Used on the controller and on the targets.
"""

from __future__ import annotations

import hashlib

#: The modules that change nothing and so need no permit.
READ_ONLY = frozenset(
    {"evidence", "handmade_info", "machine_info", "promotion", "releases", "stack_info", "status", "verify"}
)

#: The modules that change what is the machine's own, and nothing of any environment: a gate has nothing to prove.
OF_THE_MACHINE = frozenset({"edge", "swarm"})


def permit(module: str, prefix: str, token: str) -> str:
    """The permit for one module in one run on one environment. ``token`` is the run's, with which it holds the lock."""
    return hashlib.sha256("\0".join(["bulkhead", module, prefix, token]).encode()).hexdigest()
