# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Name the capability that a program lacks, from what it said before it ended. Runs on the targets."""

from __future__ import annotations

import re
from typing import Any

#: What the kernel says where a capability is missing. Databases, ssh and web servers deny in similar words.
_REFUSED = re.compile(
    r"operation not permitted|permission denied(?! (?:for|to)\b| \()|EPERM"
    r"|(?:unable to|set)\w*\b.*(?:access denied|not allowed)",
    re.IGNORECASE,
)

#: What is said of a program whose file has capabilities: the kernel starts it with all of them or not at all.
_CARRIER = re.compile(r"\bexec\b.*operation not permitted", re.IGNORECASE)

#: Words of a program that was refused something, with what it would need.
_NEEDS = (
    (re.compile(r"\bl?chown|\bchgrp|chang(?:e|ing) owner|preserv(?:e|ing) ownership|owner of", re.IGNORECASE),
     ("CHOWN",)),
    (re.compile(r"set(?:res|re|e)?[ug]id|\bset(?:ting)? (?:user|group)|(?:set|init)_?groups|set groups|group list"
                r"|(?:switch|chang)(?:e|ing) (?:user|to )|drop(?:ping)? privileges|su-exec|gosu|\bsu:", re.IGNORECASE),
     ("SETGID", "SETUID")),
    (re.compile(r"\bchmod|chang(?:e|ing) (?:owner and )?permissions|setting permissions|utime", re.IGNORECASE),
     ("FOWNER",)),
    (re.compile(r"\bbind\b|bind\(\)|listen", re.IGNORECASE), ("NET_BIND_SERVICE",)),
    (re.compile(r"\bkill\b|signal", re.IGNORECASE), ("KILL",)),
    (re.compile(r"\bchroot\b|change root directory", re.IGNORECASE), ("SYS_CHROOT",)),
    (re.compile(r"\bmlock|lock(?:ing)? memory", re.IGNORECASE), ("IPC_LOCK",)),
    (re.compile(r"permission denied|access denied", re.IGNORECASE), ("DAC_OVERRIDE",)),
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
    if any(map(_CARRIER.search, refused)):
        return (
            "its program file carries capabilities (getcap shows which), and the default stack takes all of them from "
            "every service (cap_drop: ALL). Add those, such as cap_add: [NET_BIND_SERVICE] for a web server"
        )
    user = str((container.get("Config") or {}).get("User") or "root").partition(":")[0]
    if user not in ("root", "0"):
        return (
            "its program runs as %s, and was refused something. Capabilities are for root: let that user own what the "
            "program writes, or name another one (user:)" % user
        )
    found = (names for line in refused for pattern, names in _NEEDS if pattern.search(line))
    needed = [name for name in dict.fromkeys(name for names in found for name in names) if name not in kept]
    add = ", ".join([*sorted(kept), *needed])
    return (
        "its program was refused something, and the default stack takes all capabilities from every service "
        "(cap_drop: ALL). If it begins as root to prepare its files, give the service %s, or, better, a user that owns "
        "them (user:)" % ("cap_add: [%s]" % add if needed else "the capability that it needs with cap_add")
    )
