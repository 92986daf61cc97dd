# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's front door: who is behind it, whose domains it would mix up, and who stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model import Claim, Fleet, Severity
from ..wording import listing
from . import Hit, Judgement, owners, places, rule


@rule("overlapping-route", "WB-03", "WB-11", severity=Severity.CRITICAL)
def overlapping_route(fleet: Fleet) -> Judgement:
    """A wildcard of one environment covers a domain that the front door sends to another."""
    routes = fleet.claims("route")
    for (machine, domain), claims in routes.items():
        covering = routes.get((machine, f"*.{domain.partition('.')[2]}"), ()) if not domain.startswith("*.") else ()
        others = [claim for claim in covering if claim.owner not in owners(claims)]
        if others:
            found = (*claims, *others)
            yield Hit(
                owners(found),
                f"domain {domain}",
                f"The front door of {machine} sends {domain} to {listing(owners(claims))}, and {others[0].key} of "
                f"{listing(owners(others))} covers the same name: whichever loses its route, its visitors and their "
                "cookies reach the other environment.",
                f"Write out the domains of {listing(owners(others))} in bulkhead_domains, without {others[0].key}.",
                places(found),
                machine,
            )


@rule("beside-front-door", "PT-01", severity=Severity.HIGH)
def beside_front_door(fleet: Fleet) -> Judgement:
    """An environment publishes a port that is the front door's, behind which others of its machine are."""
    behind: dict[str, list[Claim]] = {}
    for (machine, _domain), claims in fleet.claims("route").items():
        behind.setdefault(machine, []).extend(claims)
    for (machine, key), claims in fleet.claims("host-port").items():
        number, _slash, protocol = key.partition("/")
        routed = _through(behind.get(machine, ()), int(number)) if protocol == "tcp" else []
        if routed:
            yield Hit(
                tuple(dict.fromkeys((*owners(claims), *owners(routed)))),
                f"port {key} of {machine}",
                f"{listing(owners(claims))} publishes port {number} of {machine}, on which the front door answers for "
                f"{listing(owners(routed))}: one port has one listener, so whichever starts second fails, after a "
                "reboot perhaps the front door with every environment behind it.",
                f"Set bulkhead_edge: true for {listing(owners(claims))} too, or publish another port. To move over "
                "environment by environment, begin with the one that has these ports (docs/behind-the-front-door.md).",
                places((*claims, *routed)),
                machine,
            )


def _through(routes: Sequence[Claim], port: int) -> list[Claim]:
    """The routes that lead through a port of the machine."""
    return [route for route in routes if port in _ports(route.attributes)]


def _ports(attributes: Mapping[str, object]) -> tuple[object, object]:
    return attributes.get("http"), attributes.get("https")
