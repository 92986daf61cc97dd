# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Name the capability that a program lacks, from what it said before it ended. Runs on the targets."""

from __future__ import annotations

import re
from typing import Any

#: What the kernel says where a capability is missing.
_REFUSED = re.compile(r"operation not permitted|permission denied|not allowed|EPERM", re.IGNORECASE)

#: Words of a program that was refused something, with what it would need.
_NEEDS = (
    (re.compile(r"\bl?chown|changing ownership|owner of", re.IGNORECASE), ("CHOWN",)),
    (re.compile(r"set(res)?[ug]id|setgroups|initgroups|switching user|su-exec|gosu|\bsu:", re.IGNORECASE),
     ("SETGID", "SETUID")),
    (re.compile(r"\bchmod|changing permissions|utime", re.IGNORECASE), ("FOWNER",)),
    (re.compile(r"\bbind\b|bind\(\)|listen", re.IGNORECASE), ("NET_BIND_SERVICE",)),
    (re.compile(r"\bkill\b|signal", re.IGNORECASE), ("KILL",)),
    (re.compile(r"permission denied", re.IGNORECASE), ("DAC_OVERRIDE",)),
)  # fmt: skip


def capability_hint(container: dict[str, Any], log: str) -> str:
    """What to add to a service whose program was refused something that ``cap_drop`` took; empty if nothing was.

    ``log`` holds the last lines of the container.
    """
    host = container.get("HostConfig") or {}
    dropped = {str(name).upper() for name in host.get("CapDrop") or ()}
    kept = {str(name).upper().replace("CAP_", "", 1) for name in host.get("CapAdd") or ()}
    refused = [line for line in log.splitlines() if _REFUSED.search(line)]
    if "ALL" not in dropped or "ALL" in kept or not refused:
        return ""
    found = (names for line in refused for pattern, names in _NEEDS if pattern.search(line))
    needed = [name for name in dict.fromkeys(name for names in found for name in names) if name not in kept]
    add = ", ".join([*sorted(kept), *needed])
    return (
        "its program was refused something, and the default stack takes all capabilities from every service "
        "(cap_drop: ALL). If it begins as root to prepare its files, give the service %s, or, better, a user that owns "
        "them (user:)" % ("cap_add: [%s]" % add if needed else "the capability that it needs with cap_add")
    )
