# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lead the ports that environments published to the front door, while a machine moves behind it. Runs on the targets.

The file says what is led there, and is written first: rules and what puts them up over a boot are made to agree with
it, by every change and by the role, so that a run that was killed in between is finished by the next one. Callers hold
the machine's lock.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..core.directory import DesiredFile, Tree
from ..core.steps import Step
from ..docker.engine import Engine
from ..host.firewall import Table
from ..host.firewall_boot import BootGuard, RuleSet
from ..host.firewall_rules import CHAINS, FirewallError, restore_input
from . import places
from .redirects import BEFORE, NAT, Move, Redirect, nat_jumps, nat_rules, parse, render
from .routes import DoorError, DoorSettings

FILE = os.path.join(places.FOLDER, "move.json")
_HAS_IPV6 = "/proc/net/if_inet6"


class Moving:
    """What is led to the door that belongs to a state directory."""

    def __init__(self, engine: Engine, state: str) -> None:
        name = places.project(state).replace("bulkhead_edge", "").strip("_")
        #: No prefix of an environment has a capital letter.
        self.chain = CHAINS + "-".join(filter(None, ("EDGE", name)))
        self._engine = engine
        self._boot = BootGuard(engine, "-".join(filter(None, ("Front-Door", name))), self.chain)
        self._tree = Tree(state, private=True, inner=0o700)

    def look(self) -> Move:
        """What is on disk. Raises DoorError."""
        content = self._tree.read(FILE)
        return Move() if content is None else parse(content)

    def has(self, prefix: str) -> bool:
        """Whether anything of an environment is led to the door."""
        move = self.look()
        return move.without(prefix) != move

    def plan(self, settings: DoorSettings, wanted: bool) -> list[Step]:
        """What :meth:`bring` would do. Raises DoorError."""
        if self._tree.read(FILE) is None and not wanted:
            return []
        move = self.look()
        ports = listing(move.redirects)
        if not wanted:
            why = "no longer led there: %s" % ports if ports else ""
            return [Step("end the move", "to the front door", "redirect", why)]
        if not move.open:
            return [Step("begin the move", "to the front door", "redirect")]
        return [Step("lead", ports, "redirect", detail="the front door")] if self._differs(move, settings) else []

    def begin(self) -> None:
        """From now on, lead what deployments take over. Raises DoorError."""
        move = self.look()
        if not move.open:
            self._keep(move._replace(open=True))

    def bring(self, settings: DoorSettings, wanted: bool) -> list[Step]:
        """Begin to move or go on, or with ``wanted`` false end it: then nothing is led to the door any more. Raises
        DoorError."""
        steps = self.plan(settings, wanted)
        if steps:
            self._write(self.look()._replace(open=True) if wanted else Move(), settings)
        if not wanted:
            self._tree.unlink(FILE)
        return steps

    def lead(self, redirects: Iterable[Redirect], settings: DoorSettings) -> bool:
        """Lead what an environment publishes to the door, if the machine moves; whether anything changed. Raises
        DoorError."""
        move = self.look()
        wanted = move._replace(redirects=tuple(sorted({*move.redirects, *redirects})))
        if not move.open or wanted == move and not self._differs(move, settings):
            return False
        self._write(wanted, settings)
        return True

    def forget(self, prefix: str, settings: DoorSettings) -> bool:
        """Lead nothing of an environment to the door any more; whether anything was. Raises DoorError."""
        if not self.has(prefix):
            return False
        self._write(self.look().without(prefix), settings)
        return True

    # ---- the machine's rules --------------------------------------------------------------------------------------

    def _write(self, move: Move, settings: DoorSettings) -> None:
        self._keep(move)
        with _worded():
            parts = self._parts(move, settings)
            for part in parts:
                part.table.change(part.plan)
            self._boot.bring([part.kept for part in parts])

    def _keep(self, move: Move) -> None:
        self._tree.make_directory(places.FOLDER)
        self._tree.write(DesiredFile(FILE, render(move), 0o600))

    def _differs(self, move: Move, settings: DoorSettings) -> bool:
        """Whether rules, or what puts them up when the machine starts, are not as the file has it."""
        with _worded():
            parts = self._parts(move, settings)
            kept = [part.kept for part in parts]
            return self._boot.differs(kept) or any(part.plan(part.table.chains) for part in parts)

    def _parts(self, move: Move, settings: DoorSettings) -> list[_Part]:
        families = (4, 6) if os.path.exists(_HAS_IPV6) else (4,)
        return [
            _Part(
                Table(self._engine, family, NAT),
                self.chain,
                nat_rules(self.chain, family, move.redirects, settings.listens),
            )
            for family in families
        ]


class _Part(NamedTuple):
    """What one family's table is to have."""

    table: Table
    chain: str
    rules: list[str]

    def plan(self, chains: Mapping[str, list[str]]) -> str:
        """The input for iptables-restore; empty if everything is in place."""
        return restore_input(chains, self.chain, self.rules, nat_jumps(self.chain) if self.rules else {}, NAT)

    @property
    def kept(self) -> RuleSet:
        """What is put up when the machine starts."""
        jumps = ["-I %s 1 %s" % (parent, jump) for parent, both in nat_jumps(self.chain).items() for jump in both]
        return RuleSet(self.table.command, BEFORE, [*self.rules, *jumps] if self.rules else [], NAT)


@contextlib.contextmanager
def _worded() -> Iterator[None]:
    """Say of which rules an error is."""
    try:
        yield
    except FirewallError as error:
        raise DoorError(
            "this machine cannot lead published ports to the front door: %s. It needs iptables, and ip6tables where it "
            "has IPv6, with the table nat" % error.message,
            error.detail,
        ) from error


def listing(redirects: Iterable[Redirect]) -> str:
    """The ports of redirects, and whose they were, for people."""
    ports: dict[str, set[int]] = {}
    for one in redirects:
        ports.setdefault(one.prefix, set()).add(one.port)
    return ", ".join("%s of %s" % (" and ".join(map(str, sorted(ports[prefix]))), prefix) for prefix in sorted(ports))
