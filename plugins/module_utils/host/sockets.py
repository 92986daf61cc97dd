# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets and the processes that hold them, read from /proc. Standard library only."""

from __future__ import annotations

import glob
import os
import socket
from collections.abc import Iterable

from ..core.words import printable

_ESTABLISHED = "01"
_LISTEN = "0A"
#: Of unix sockets: a connection that waits to be accepted, and one that was.
_CONNECTIONS = ("02", "03")


def _address(text: str) -> str:
    """Decode an address of /proc/net/tcp or tcp6; empty for the address that means all addresses."""
    if set(text) <= {"0"}:
        return ""
    if len(text) == 8:
        return ".".join(str(int(text[index : index + 2], 16)) for index in (6, 4, 2, 0))
    if text == "00000000000000000000000001000000":
        return "::1"
    if text.startswith("0000000000000000FFFF0000"):
        return _address(text[24:])
    words = "".join(text[start + index : start + index + 2] for start in (0, 8, 16, 24) for index in (6, 4, 2, 0))
    return ":".join(words[index : index + 4].lower() for index in range(0, 32, 4))


def listening(tables: str = "/proc/net") -> list[tuple[str, int, str]]:
    """Listening TCP sockets as (address, port, inode). The empty address means all addresses."""
    listeners = []
    for table in ("tcp", "tcp6"):
        try:
            with open(os.path.join(tables, table)) as stream:
                lines = stream.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                listeners.append((_address(address), int(port, 16), fields[9]))
    return listeners


def restarts_of(pid: int, address: str, port: int) -> str:
    """The listening sockets on a port in the network of a process, which has this IPv4 address: a server that restarts
    opens new ones. Empty if there are none, or the process id is another machine's. Nothing is sent."""
    try:
        with open("/proc/%d/net/fib_trie" % pid) as stream:
            if "|-- %s\n" % address not in stream.read():
                return ""
    except OSError:
        return ""
    return ",".join(sorted(inode for _address, at, inode in listening("/proc/%d/net" % pid) if at == port))


def served_by(pid: int) -> int | None:
    """The number of connections that a container serves, given the id of a process in it; None if this user may not
    look. Connections from the container itself, such as health checks, do not count."""
    listened: set[str] = set()
    established = []
    try:
        for table in ("tcp", "tcp6"):
            with open("/proc/%d/net/%s" % (pid, table)) as stream:
                for line in stream.readlines()[1:]:
                    _number, local, remote, state = line.split()[:4]
                    if state == _LISTEN:
                        listened.add(local.split(":")[1])
                    elif state == _ESTABLISHED:
                        established.append((local.split(":")[1], _address(remote.split(":")[0])))
    except (OSError, ValueError):
        return None
    return sum(port in listened and not _is_loopback(peer) for port, peer in established)


def connected_to(names: Iterable[str], table: str = "/proc/net/unix") -> int:
    """The number of connections to unix sockets, given the ends of their paths, that clients in this network have. The
    kernel lists a connection in its client's network, also before it is accepted."""
    ends = tuple("/%s" % name for name in names)
    try:
        # Any user decides what the paths of their sockets are.
        with open(table, encoding="utf-8", errors="replace") as stream:
            lines = [line.split() for line in stream.readlines()[1:]]
    except OSError:
        return 0
    # Num RefCount Protocol Flags Type St Inode Path
    return sum(len(fields) > 7 and fields[5] in _CONNECTIONS and fields[7].endswith(ends) for fields in lines)


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


def holders(inodes: Iterable[str]) -> dict[str, str]:
    """The processes that hold sockets, by inode, as ``name (pid 12)``; those this user may not see are left out."""
    inode_of_link = {"socket:[%s]" % inode: inode for inode in inodes}
    names: dict[str, str] = {}
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        if len(names) == len(inode_of_link):
            break
        try:
            inode = inode_of_link.get(os.readlink(link))
            if inode is None or inode in names:
                continue
            pid = link.split("/")[2]
            # Each process names itself.
            with open("/proc/%s/comm" % pid, encoding="utf-8", errors="replace") as stream:
                names[inode] = "%s (pid %s)" % (" ".join(printable(stream.read()).split()), pid)
        except OSError:
            continue
    return names


def process_of(inode: str) -> str:
    """The process that holds a socket; empty if this user may not see it."""
    return holders([inode]).get(inode, "")


def is_own_address(address: str) -> bool:
    """Whether an IP address is one of this machine's own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
