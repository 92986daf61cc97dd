# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard: firewall rules that keep an environment's containers away from the machine and from others' ports on it.

Engines separate bridges, but containers can reach the machine's own addresses, where the userland proxy answers for
every port published on all of them, and the addresses at which clouds give away what the machine may do. So traffic
from an environment's bridges to the machine itself (INPUT), or forwarded (DOCKER-USER) to any container or to such an
address, is rejected unless it is a reply or goes to a port of the environment's own.

All rules are in one chain of the environment's own. Only that chain and the jumps to it are added and removed; the rest
of the firewall is left alone. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..core.errors import last_lines
from ..core.steps import Step
from ..docker.engine import Engine, inspect_objects
from .firewall_boot import BootGuard, RuleSet
from .firewall_rules import (
    CHAINS,
    DOCKER_USER,
    FILTER,
    FORWARD,
    INPUT,
    FirewallError,
    bridges_of,
    chain_rules,
    jumps,
    nameservers_of,
    owner_of,
    parse_save,
    restore_input,
)

_COMMANDS = {4: ("iptables", "iptables-nft", "iptables-legacy"), 6: ("ip6tables", "ip6tables-nft", "ip6tables-legacy")}
_ROOT = "bulkhead_firewall needs root on the machine: set ansible_become, or set bulkhead_firewall to false"

#: The files that name the machine's name servers. The engine reads the second where the first names a local one only.
RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
_DAEMON = "/etc/docker/daemon.json"

#: How often a change is planned again because somebody else changed the table in between.
_ATTEMPTS = 20


class Table:
    """A table of one address family, by default the filter table, accessed by the same command that the engine uses."""

    def __init__(self, engine: Engine, family: int, kind: str = FILTER) -> None:
        self.engine = engine
        self.family = family
        self.kind = kind
        self.command = ""
        self.chains: dict[str, list[str]] = {}
        for name in _COMMANDS[family]:
            path = engine.find(name + "-save") and engine.find(name + "-restore")
            if not path:
                continue
            chains = self._load(name)
            if not self.command or DOCKER_USER in chains:
                self.command, self.chains = name, chains
            if DOCKER_USER in chains:
                break
        if not self.command:
            raise FirewallError(
                "bulkhead_firewall needs %s on the machine: install iptables, or set bulkhead_firewall to false"
                % _COMMANDS[family][0]
            )
        if kind != FILTER:
            self.refresh()

    def _load(self, name: str, kind: str = FILTER) -> dict[str, list[str]]:
        code, output, errors = self.engine.tool(name + "-save", "-t", kind)
        if code != 0:
            raise FirewallError("%s-save failed" % name, last_lines(errors))
        return parse_save(output)

    def refresh(self) -> None:
        """Read the table again."""
        self.chains = self._load(self.command, self.kind)

    @property
    def parents(self) -> tuple[str, str]:
        """The chains that jump to an environment's chain."""
        return (INPUT, DOCKER_USER if DOCKER_USER in self.chains else FORWARD)

    def change(self, plan: Callable[[Mapping[str, list[str]]], str]) -> bool:
        """Feed iptables-restore with what ``plan`` makes of the chains; returns whether there was anything to do.

        It changes the table completely or not at all. The engine and other runs change the table as well, and no lock
        spans reading and writing: where it refuses and the table is not as it was read, the change is planned again.
        """
        for _attempt in range(_ATTEMPTS):
            text = plan(self.chains)
            if not text:
                return False
            read = self.chains
            code, output, errors = self.engine.tool(self.command + "-restore", "-w", "10", "--noflush", data=text)
            self.refresh()
            if code == 0:
                return True
            if self.chains == read:
                break
        raise FirewallError("%s-restore failed" % self.command, last_lines(errors or output))


class _Wanted(NamedTuple):
    """What one family's table is to have of a guard."""

    table: Table
    chain: str
    rules: list[str]
    jumps: Mapping[str, list[str]]

    @property
    def text(self) -> str:
        """The input for iptables-restore; empty if everything is in place."""
        return self.plan(self.table.chains)

    def plan(self, chains: Mapping[str, list[str]]) -> str:
        """The input for iptables-restore that brings these chains to what is wanted."""
        return restore_input(chains, self.chain, self.rules, self.jumps)

    @property
    def lines(self) -> list[str]:
        """The rules and jumps, as iptables-restore takes them."""
        return self.rules + [
            "-I %s 1 %s" % (parent, jump) for parent in sorted(self.jumps) for jump in self.jumps[parent]
        ]


class Firewall:
    """The guard of one environment. ``ports`` is None to remove it. ``state`` is the machine's state directory.

    An ``optional`` guard raises nothing where the machine cannot have it; ``missing`` says why.
    """

    def __init__(
        self,
        engine: Engine,
        prefix: str,
        chain: str,
        networks: list[str],
        ports: list[dict[str, str]] | None,
        state: str,
        optional: bool = False,
    ) -> None:
        self.engine = engine
        self.prefix = prefix
        self.chain = chain
        self.networks = networks
        self.ports = ports
        self.optional = optional
        self.missing = ""
        self._state = state
        self._boot = BootGuard(engine, prefix, chain)
        self._tables: dict[int, Table] = {}
        self._found: list[dict[str, Any]] | None = None
        if os.geteuid() != 0:
            self._miss(FirewallError(_ROOT))

    def _miss(self, error: FirewallError) -> None:
        """Note that there is no guard here. Raises the error where there must be one."""
        if not self.optional:
            raise error
        self.missing = error.message

    def look_again(self) -> None:
        """Forget the networks that were seen, because Compose may have made others."""
        self._found = None

    def _bridges(self, ports: list[dict[str, str]] | None) -> tuple[dict[int, list[str]], bool]:
        """The environment's bridges for each family, and whether a network does not exist yet."""
        bridges: dict[int, list[str]] = {4: [], 6: []}
        if ports is None or not self.networks:
            return bridges, False
        if self._found is None:
            self._found = inspect_objects(self.engine, "network", self.networks)
        for network in self._found:
            if network.get("Driver") != "bridge":
                continue
            name = bridge_of(network)
            if not _is_interface(name):
                raise FirewallError(
                    "this machine has no interface %s, the bridge of network %s: the engine is rootless or runs "
                    "elsewhere, so bulkhead_firewall cannot guard it. Set bulkhead_firewall to false"
                    % (name, network["Name"])
                )
            bridges[4].append(name)
            if network.get("EnableIPv6"):
                bridges[6].append(name)
        return bridges, len(self._found) < len(self.networks)

    def _table(self, family: int, needed: bool) -> Table | None:
        """The table of a family; None if it is neither needed nor available."""
        if family not in self._tables:
            try:
                self._tables[family] = Table(self.engine, family)
            except FirewallError:
                if needed:
                    raise
                return None
        return self._tables[family]

    def _wanted(self, ports: list[dict[str, str]] | None) -> list[_Wanted]:
        bridges, _incomplete = self._bridges(ports)
        nameservers = nameservers_of(*map(text_of, RESOLVERS), daemon=text_of(_DAEMON))
        wanted: list[_Wanted] = []
        for family, names in sorted(bridges.items()):
            # A network cannot lose its IPv6, and no packet comes from one that is gone: no need to read the table.
            if family == 6 and not names and ports is not None:
                continue
            table = self._table(family, needed=bool(names) or family == 4)
            if table is None:
                continue
            rules = chain_rules(family, self.chain, self.prefix, names, ports or [], nameservers) if names else []
            wanted_jumps = jumps(self.chain, self.prefix, names, table.parents) if names else {}
            wanted.append(_Wanted(table, self.chain, rules, wanted_jumps))
        return wanted

    def incomplete(self) -> bool:
        """Whether a network to guard does not exist yet."""
        return not self.missing and self._bridges(self.ports)[1]

    def plan(self) -> list[Step]:
        """What would be done, in one step; empty when everything is in place."""
        if self.missing:
            return []
        try:
            wanted = self._wanted(self.ports)
            up_to_date = not any(part.text for part in wanted) and not self._boot.differs(_sets(wanted))
            if up_to_date and not self.incomplete():
                return []
        except FirewallError as error:
            self._miss(error)
            return []
        if self.ports is None:
            return [Step("remove", self.chain, "firewall chain")]
        return [Step("guard", self.chain, "firewall chain", detail=self.prefix)]

    def difference(self) -> tuple[str, str]:
        """The environment's chain before and after, for a diff."""
        before: list[str] = []
        after: list[str] = []
        for part in [] if self.missing else self._wanted(self.ports):
            present = part.table.chains.get(self.chain, [])
            before += present
            after += part.rules if part.text else present
        return "".join("%s\n" % rule for rule in before), "".join("%s\n" % rule for rule in after)

    def apply(self, ports: list[dict[str, str]] | None) -> None:
        """Set up the guard for the networks that exist, or remove it if ``ports`` is None, now and for every boot."""
        if self.missing:
            return
        try:
            wanted = self._wanted(ports)
            for part in wanted:
                # An environment that goes takes nothing with it that is not its own.
                if part.table.change(part.plan) and ports is not None:
                    self._sweep(part.table)
            self._boot.bring(_sets(wanted))
        except FirewallError as error:
            self._miss(error)

    def _sweep(self, table: Table) -> None:
        """Remove guards of environments whose networks are gone, and that this machine has not registered."""
        chains = table.chains
        for chain in dead_guards(chains):
            owner = owner_of(chains[chain])
            if chain == self.chain or not owner or os.path.isdir(os.path.join(self._state, "environments", owner)):
                continue
            with contextlib.suppress(FirewallError):  # not ours: what cannot be removed stays
                table.change(_Wanted(table, chain, [], {}).plan)


def _sets(wanted: list[_Wanted]) -> list[RuleSet]:
    return [RuleSet(part.table.command, part.table.parents[1], part.lines) for part in wanted]


def bridge_of(network: dict[str, Any]) -> str:
    """The name of a network's bridge, as the engine inspects the network."""
    options = network.get("Options") or {}
    return str(options.get("com.docker.network.bridge.name") or "br-%s" % network["Id"][:12])


def dead_guards(chains: dict[str, list[str]]) -> list[str]:
    """The chains of guards none of whose bridges exists any more: no packet can come to them."""
    guards = [(chain, bridges_of(chains, chain)) for chain in chains if chain.startswith(CHAINS)]
    return [chain for chain, bridges in guards if bridges and not any(map(_is_interface, bridges))]


def _is_interface(name: str) -> bool:
    return os.path.isdir("/sys/class/net/%s" % name)


def text_of(path: str) -> str:
    """The text of a configuration of the machine; empty if this user cannot read it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
