# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's networks and firewall, shared by all environments: what an environment's scripts do to them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..facts.compose_calls import commands, docker_calls, filters, tasks
from ..facts.domains import neighbours
from ..facts.machine_setup import setup_files
from ..model import Environment, Fleet, Severity, Where
from ..wording import listing
from . import Hit, Judgement, rule


@rule("network-prune", "NW-17", severity=Severity.MEDIUM, of_machine=True)
def network_prune(fleet: Fleet) -> Judgement:
    """A script removes all networks that are not in use at the moment, other environments' included."""
    for environment in fleet.environments:
        for call, reference in docker_calls(environment):
            if call.verb != ("network", "prune") or any(value.startswith("label=") for value in filters(call)):
                continue
            others = neighbours(fleet, environment)
            yield Hit(
                (environment.prefix, *others),
                "docker network prune",
                f"A script of {environment.prefix} removes every network on {environment.machine} that no running "
                "container uses: an environment that is stopped at that "
                f"moment{f', such as {others[0]},' if others else ''} loses its external networks and cannot start "
                "again.",
                f"Add '--filter label=com.docker.compose.project={environment.prefix}', or leave it to 'docker "
                "compose down'.",
                (reference.where,),
                environment.machine,
            )


@rule("firewall-reset", "NW-18", severity=Severity.HIGH, of_machine=True)
def firewall_reset(fleet: Fleet) -> Judgement:
    """A script or playbook of one environment empties the firewall, and with it Docker's rules for all of them."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        prepared = setup_files(environment)
        for text, where in resets(environment):
            yield Hit(
                (environment.prefix, *others),
                text,
                f"'{text}' of {environment.prefix} removes the rules by which Docker forwards the published ports of "
                f"{listing((environment.prefix, *others))}: they stop answering until the engine restarts.",
                "Change single rules ('ufw allow 8443/tcp'), in a play for the machine and not in an environment's.",
                (where,),
                environment.machine,
                severity=Severity.LOW if where.file in prepared else None,
            )


_CHAINS = re.compile(r"(?:DOCKER|FORWARD|INPUT|POSTROUTING|PREROUTING)")


def resets(environment: Environment) -> Iterator[tuple[str, Where]]:
    """Yield what flushes the firewall: (command or module, where)."""
    for reference in commands(environment):
        argv = [str(word) for word in reference.attributes.get("argv") or ()]
        if argv and is_reset(argv):
            yield " ".join(argv), reference.where
    for task in tasks(environment):
        given = {key: str(value).lower() for key, value in task.arguments.items()}
        raw = given.get("_raw", "")
        emptied = {
            "ufw": given.get("state") == "reset" or "state=reset" in raw,
            "iptables": given.get("flush") in ("true", "yes") or re.search(r"flush=(?:true|yes)", raw) is not None,
        }
        if emptied.get(task.module):
            yield f"{task.module}: {'state=reset' if task.module == 'ufw' else 'flush=true'}", task.where


def is_reset(argv: list[str]) -> bool:
    """Whether a command flushes the firewall or a chain that contains Docker's rules."""
    program, words = argv[0].rpartition("/")[2], argv[1:]
    if program == "ufw":
        return "reset" in words
    if program in ("iptables", "ip6tables", "iptables-nft", "iptables-legacy"):
        flushed = [index for index, word in enumerate(words) if word in ("-F", "--flush", "-X", "--delete-chain")]
        chain = words[flushed[0] + 1 : flushed[0] + 2] if flushed else []
        return bool(flushed) and (not chain or chain[0].startswith("-") or bool(_CHAINS.match(chain[0])))
    if program in ("iptables-restore", "ip6tables-restore"):
        return not {"-n", "--noflush"} & set(words)
    if program == "nft":
        return words[:2] == ["flush", "ruleset"]
    return program == "firewall-cmd" and bool({"--reload", "--complete-reload"} & set(words))
