# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an engine can decide for its swarm. Used on the controller and on the targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What is said where one cannot, with the reason.
UNDECIDED = "the swarm cannot be asked: %s. What runs goes on. Start the missing managers, then run this again"


def why_undecided(look: Mapping[str, Any]) -> str:
    """Why an engine cannot decide, by its own look at the swarm (:func:`.look.look`); empty if it can."""
    if look["state"] != "active":
        return "its engine is in no swarm (its state is %s)" % (look["state"] or "unknown")
    if not look["control"]:
        return "it is a worker"
    return "it cannot decide: %s" % look["refused"] if look["refused"] else ""
