# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter table of this machine: whose rules are in it, and whether it can be changed here."""

from __future__ import annotations

import os
import shlex
import subprocess
from functools import cache

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.naming import firewall_chain
from support import Place

#: The commands for both kinds of addresses.
COMMANDS = ("iptables", "ip6tables")
#: Others change the table at the same time, and the lock is held by one of them.
WAIT = ("-w", "30")


def filter_rules(command: str = "iptables") -> list[str]:
    """The rules of the filter table."""
    done = subprocess.run([f"{command}-save", "-t", "filter"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith(("-A", ":"))]


def of_others(prefix: str, command: str = "iptables") -> list[str]:
    """The rules that are not the environment's, without counters.

    What the engine adds for its networks, and for a port that a container publishes, is left out, and so are the guards
    of other workers' environments: other tests make and remove some meanwhile.
    """
    rules = [line for line in filter_rules(command) if "br-" not in line and not line.startswith("-A DOCKER -d ")]
    rules = [line for line in rules if "BULKHEAD-" not in line or f"BULKHEAD-{prefix[:10]}" in line]
    return [line.split(" [")[0] for line in rules if firewall_chain(prefix) not in line]


@cache
def unable() -> str:
    """Why this machine cannot take firewall rules; empty when it can. Asked once: the answer stays the same."""
    if os.geteuid() != 0:
        return "firewall rules need root"
    chain = f"BULKHEAD-e2e-{os.getpid()}"  # another worker may ask at the same time
    text = f"*filter\n:{chain} - [0:0]\n-A {chain} -m addrtype --dst-type LOCAL -j REJECT\nCOMMIT\n"
    try:
        done = subprocess.run(
            ["iptables-restore", *WAIT, "--noflush"], input=text, capture_output=True, text=True, check=False
        )
        subprocess.run(["iptables", *WAIT, "-F", chain], capture_output=True, check=False)
        subprocess.run(["iptables", *WAIT, "-X", chain], capture_output=True, check=False)
    except FileNotFoundError:
        return "there is no iptables command"
    return done.stderr.strip()


def chain_of(place: Place, command: str = "iptables") -> list[str]:
    """The rules of an environment's chain, and the jumps to it."""
    return [line for line in filter_rules(command) if firewall_chain(place.prefix) in line]


def drop_rules(place: Place) -> None:
    """Remove an environment's chain and the jumps to it, whatever became of the test."""
    chain = firewall_chain(place.prefix)
    for command in COMMANDS:
        for line in filter_rules(command):
            if f"-j {chain}" in line:
                subprocess.run([command, *WAIT, "-D", *shlex.split(line)[1:]], check=True)
        if any(line.startswith(f":{chain} ") for line in filter_rules(command)):
            subprocess.run([command, *WAIT, "-F", chain], check=True)
            subprocess.run([command, *WAIT, "-X", chain], check=True)
