# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's networks: the same one in two environments, and what names resolve to on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..facts.networks import Member, Network, networks, shared_networks
from ..facts.ownership import one_project, owner_of_name
from ..model import Environment, Fleet, Severity, Where
from ..wording import listing
from . import Hit, Judgement, rule


@rule("shared-network", "NW-01", "CP-04", severity=Severity.HIGH)
def shared_network(fleet: Fleet) -> Judgement:
    """Two environments declare one network of a machine as their own."""
    for (machine, name), network in networks(fleet).items():
        if len(network.makers) < 2:
            continue
        makers = tuple(sorted(network.makers))
        projects = {project.name for prefix in makers[:4] for project in fleet.by_prefix[prefix].compose}
        by_project = len(projects) == 1 and name.startswith(f"{next(iter(projects), '')}_")
        yield Hit(
            makers,
            f"network {name}",
            f"{listing(makers)} share the network {name} on {machine}, because they are one Compose project and the "
            "network has no 'name:': each reaches the other's containers, by address and by name."
            if by_project
            else f"{listing(makers)} declare the same network, {name}, on {machine}. The second joins the first's "
            "with only a warning, and DNS there mixes the service names of both.",
            f"Give each network its own name, such as 'name: {makers[-1]}_network' in the Compose file of "
            f"{makers[-1]}.",
            tuple(network.makers[maker] for maker in makers),
            machine,
            hazards=("NW-01", "CP-04") if by_project else ("NW-01",),
        )


@rule("foreign-network", "NW-03", severity=Severity.CRITICAL)
def foreign_network(fleet: Fleet) -> Judgement:
    """A service joins a network that another environment owns."""
    for (machine, name), network in networks(fleet).items():
        named = owner_of_name(fleet, name)
        for member in one_of_each(network):
            owners = [maker for maker in network.makers if maker != member.owner]
            if member.owner in network.makers or not owners:
                owners = [named] if named and named not in (member.owner, *network.makers) else []
            if not owners:
                continue
            owner = owners[0]
            yield Hit(
                (member.owner, owner),
                f"network {name}",
                f"{member.service} of {member.owner} is on {name}, the network of {owner}. Docker answers a name "
                "that two networks know from the network that sorts first: 'pgbouncer' or 'redis' may be that of "
                f"{owner}.",
                f"Remove {name} from 'networks' of {member.service}. What both need belongs on a published port, or "
                "on a network with nothing else on it.",
                (member.where,),
                machine,
            )


@rule("shared-names", "NW-02", "NW-04", severity=Severity.CRITICAL)
def shared_names(fleet: Fleet) -> Judgement:
    """On a network of two environments one name answers for the services of both."""
    for network in shared_networks(fleet):
        names: dict[str, dict[str, Member]] = {}
        for member in network.members:
            for name in member.names:
                known = names.setdefault(name.lower(), {})
                if not any(map(member.is_one_with, known.values())):
                    known.setdefault(member.owner, member)
        doubled = {name: members for name, members in names.items() if len(members) > 1}
        if not doubled:
            continue
        prefixes = tuple(dict.fromkeys(owner for members in doubled.values() for owner in sorted(members)))
        yield Hit(
            prefixes,
            f"network {network.name}",
            f"{listing(prefixes)} answer to the same name on the network {network.name} of {network.machine}: "
            f"{listing(sorted(doubled))}. About every second connection goes to the wrong one, and all of them while "
            "one is down.",
            "Keep these services off the shared network. A service that must be on it needs another name in each "
            "environment, because Compose makes every service name an alias.",
            tuple(dict.fromkeys(member.where for members in doubled.values() for member in members.values())),
            network.machine,
        )


@rule("data-on-shared-network", "NW-02", severity=Severity.HIGH)
def data_on_shared_network(fleet: Fleet) -> Judgement:
    """A database or broker stands on a network that several environments share."""
    for network in shared_networks(fleet):
        exposed = [member for member in network.members if member.keeps_data]
        if network.makers or not exposed:
            continue
        holders = tuple(dict.fromkeys(member.owner for member in exposed))
        others = [owner for owner in network.owners if owner not in holders]
        yield Hit(
            (*holders, *others),
            f"network {network.name}",
            f"Every container on {network.name}, the network that {listing(network.owners)} share, can reach "
            f"{listing(f'{member.service} ({member.owner})' for member in exposed)}.",
            f"Remove {network.name} from their networks: only what answers requests from outside belongs there.",
            tuple(member.where for member in exposed),
            network.machine,
        )


_HOST = re.compile(r"(?:https?://)?([\w.-]+)(?::\d+)?(?:/|\Z)")


@rule("kept-address", "NW-15", severity=Severity.CRITICAL)
def kept_address(fleet: Fleet) -> Judgement:
    """nginx keeps an upstream's address on a network where another environment may get that address next."""
    for network in shared_networks(fleet):
        if len(network.makers) > 1 and one_project(fleet, network.makers):
            continue  # the services of one project are never up twice
        own: dict[str, set[str]] = {}
        for member in network.members:
            own.setdefault(member.owner, set()).update(name.lower() for name in member.names)
        for owner, names in own.items():
            for host, where in upstreams(fleet.by_prefix[owner]):
                if host not in names:
                    continue
                others = [other for other in network.owners if other != owner]
                yield Hit(
                    (owner, *others),
                    f"upstream {host}",
                    f"The nginx of {owner} looks up the address of {host} once, on the network {network.name}, which "
                    f"it shares with {listing(others)}. When {host} is recreated, a container of {others[0]} may get "
                    f"the old address, and the requests for {owner} with it.",
                    "Put nginx and its upstream on the environment's own network, or write 'resolver 127.0.0.11 "
                    "valid=1s' and put the upstream into a variable.",
                    (where,),
                    network.machine,
                )


def upstreams(environment: Environment) -> Iterator[tuple[str, Where]]:
    """Yield the hosts that nginx resolves only once: in proxy_pass and upstream servers without a variable."""
    for directive in environment.directives:
        if directive.name in ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "grpc_pass"):
            targets = directive.args[:1]
        elif directive.name == "upstream":
            targets = tuple(server.args[0] for server in directive.find("server") if "resolve" not in server.args)
        else:
            continue
        for target in targets:
            found = _HOST.match(target)
            if found and "$" not in target:
                yield found[1].lower(), directive.where


def one_of_each(network: Network) -> Iterator[Member]:
    """One member per environment, as the finding is the same for all of its services."""
    yield from {member.owner: member for member in reversed(network.members)}.values()
