# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was done, or would be, as data. Runs on the targets."""

from __future__ import annotations

from typing import Any


def backup_step(made: dict[str, Any]) -> str:
    """What became of the backup that a plan foresaw."""
    if "unneeded" in made:
        return "make no backup: %s" % made["unneeded"]
    return "make the backup %s" % "; ".join([made["name"], *made["left_out"]])
