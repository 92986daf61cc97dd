# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which guards stand in a machine's firewall, each as one number by which a change is seen. Runs on the targets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from ..core.directory import digest
from ..docker.engine import Engine
from .firewall import CHAINS, FirewallError, Table, essence, is_ahead, option


def fingerprint(chains: Mapping[str, list[str]], chain: str) -> str:
    """What a deployment compares of a chain, in one number: its rules, and the jumps to it where they count."""
    jumps = {
        parent: [
            sorted(option(each, "-i") for each in printed if option(each, "-j", "-g") == chain),
            is_ahead(printed, chain),
        ]
        for parent, printed in sorted(chains.items())
        if any(option(each, "-j", "-g") == chain for each in printed)
    }
    return digest(json.dumps([essence(chains[chain]), jumps]).encode())[:16]


def guards(engine: Engine) -> dict[str, dict[str, str]] | None:
    """The guards of all environments by chain and family; None where this user may not see the firewall."""
    if os.geteuid() != 0:
        return None
    found: dict[str, dict[str, str]] = {}
    for family in (4, 6):
        try:
            chains = Table(engine, family).chains
        except FirewallError:  # a machine without that family's command has no guard in it
            continue
        for chain in chains:
            if chain.startswith(CHAINS):
                found.setdefault(chain, {})[str(family)] = fingerprint(chains, chain)
    return found
