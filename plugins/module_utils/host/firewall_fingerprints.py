# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of the guards in a machine's firewall, to detect changes. Runs on the targets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from ..core.directory import digest
from ..docker.engine import Engine
from .firewall import Table, dead_guards
from .firewall_rules import CHAINS, FirewallError, comparable, jumps_first, option


def fingerprint(chains: Mapping[str, list[str]], chain: str) -> str:
    """A digest of what a deployment compares of a chain: its rules, and the jumps to it with their position."""
    jumps = {
        parent: [
            sorted(option(rule, "-i") for rule in rules if option(rule, "-j", "-g") == chain),
            jumps_first(rules, chain),
        ]
        for parent, rules in sorted(chains.items())
        if any(option(rule, "-j", "-g") == chain for rule in rules)
    }
    return digest(json.dumps([comparable(chains[chain]), jumps]).encode())[:16]


def guards(engine: Engine) -> dict[str, dict[str, str]] | None:
    """The fingerprints of all environments' guards by chain and family; None if this user may not see the firewall."""
    if os.geteuid() != 0:
        return None
    fingerprints: dict[str, dict[str, str]] = {}
    for family in (4, 6):
        try:
            chains = Table(engine, family).chains
        except FirewallError:  # without that family's command there is no guard
            continue
        dead = dead_guards(chains)
        for chain in chains:
            if chain.startswith(CHAINS) and chain not in dead:
                fingerprints.setdefault(chain, {})[str(family)] = fingerprint(chains, chain)
    return fingerprints
