# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine says about itself before a swarm is made or changed. Runs on the targets; changes nothing."""

from __future__ import annotations

import fcntl
import glob
import socket
import struct
import time
from typing import Any

from ..host.sockets import is_own_address, listening, process_of
from .api import SwarmApi, SwarmError
from .ports import CONTROL, GOSSIP

#: Asks the kernel for an interface's address.
_SIOCGIFADDR = 0x8915


def look(api: SwarmApi, address: str) -> dict[str, Any]:
    """The observation of one machine; ``address`` is the one that the inventory gives it, or empty.

    A node that manages nothing, or cannot while its swarm has no quorum, returns no ``nodes``; ``refused`` then has the
    engine's words. Raises SwarmError where the engine gives no answer.
    """
    info = api.info()
    swarm = info.get("Swarm") or {}
    found: dict[str, Any] = {
        "clock": time.time(),
        "engine": str(info.get("ServerVersion") or ""),
        "engine_id": str(info.get("ID") or ""),
        "hostname": str(info.get("Name") or ""),
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "firewall": str((info.get("FirewallBackend") or {}).get("Driver") or ""),
        "state": str(swarm.get("LocalNodeState") or "inactive"),
        "error": str(swarm.get("Error") or ""),
        "node": str(swarm.get("NodeID") or ""),
        "node_address": str(swarm.get("NodeAddr") or ""),
        "control": bool(swarm.get("ControlAvailable")),
        "cluster": str((swarm.get("Cluster") or {}).get("ID") or ""),
        "managers": sorted(str(manager.get("Addr")) for manager in swarm.get("RemoteManagers") or []),
        "addresses": own_addresses(),
        "is_own": bool(address) and is_own_address(address),
        "taken": {},
        "nodes": [],
        "refused": "",
        "locked": False,
    }
    if found["state"] in ("inactive", ""):
        found["taken"] = _taken(address)
    if found["control"] and found["error"]:
        found["refused"] = found["error"]  # to ask for the nodes would take 20 s more, and give the same answer
    elif found["control"]:
        try:
            found["nodes"] = [node_of(each) for each in api.nodes()]
            spec = api.swarm().get("Spec") or {}
            found["locked"] = bool((spec.get("EncryptionConfig") or {}).get("AutoLockManagers"))
        except SwarmError as error:
            found["refused"] = error.message
    return found


def node_of(said: dict[str, Any]) -> dict[str, Any]:
    """One node as its managers have it."""
    spec, status, manager = said["Spec"], said.get("Status") or {}, said.get("ManagerStatus") or {}
    return {
        "id": said["ID"],
        "hostname": (said.get("Description") or {}).get("Hostname") or "",
        "address": status.get("Addr") or "",
        "role": spec.get("Role") or "worker",
        "availability": spec.get("Availability") or "active",
        "labels": dict(spec.get("Labels") or {}),
        "state": status.get("State") or "unknown",
        "reachable": manager.get("Reachability") == "reachable",
        "manager_address": manager.get("Addr") or "",
        "leader": bool(manager.get("Leader")),
    }


def own_addresses() -> list[str]:
    """The machine's own global IPv4 addresses, without those of bridges of containers, as the kernel lists them."""
    bridges = _networks_of_bridges()
    found = []
    try:
        with open("/proc/net/fib_trie") as stream:
            lines = stream.read().split("\n")
    except OSError:
        return []
    for number, line in enumerate(lines[:-1]):
        if "/32 host LOCAL" in lines[number + 1] and "|--" in line:
            address = line.split("|--")[1].strip()
            if not address.startswith("127.") and address not in found and address not in bridges:
                found.append(address)
    return found


def _networks_of_bridges() -> set[str]:
    """The addresses of interfaces that are bridges: containers' networks, and nobody else's way to this machine."""
    found = set()
    for name in glob.glob("/sys/class/net/*/bridge"):
        interface = name.split("/")[4]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                said = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
            except OSError:  # it has none
                continue
            found.add(socket.inet_ntoa(said[20:24]))
    return found


def _taken(address: str) -> dict[str, str]:
    """Who holds a port that a swarm needs, by port; an address says where it would listen."""
    found = {}
    for where, port, inode in listening():
        if port in (CONTROL, GOSSIP) and (not where or not address or where == address):
            found[str(port)] = process_of(inode) or "a process that this user may not see"
    return found
