# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names outside of the machine: in an object store, a cloud's queues, or a server that others use too.

A bucket or database whose name says nothing collides with nothing today, and with the next environment that copies the
setting. Only environments that Bulkhead deploys are judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..declared import declared_shares
from ..facts.ownership import carries_name
from ..facts.servers import of_family, shared_outside
from ..model import Environment, Fleet, Severity, Where
from . import Hit, Judgement, rule
from .broker import cloud_queues


class _Resource(NamedTuple):
    environment: Environment
    kind: str
    name: str
    #: Who else could take or use the name.
    among: str
    where: Where


@rule("unmarked-name", severity=Severity.HIGH)
def unmarked_name(fleet: Fleet) -> Judgement:
    """A bucket or queue, or a database or role on a server that others use too, does not say whose it is."""
    told: set[tuple[str, str, str]] = set()
    for found in (*_in_the_world(fleet), *_on_shared_servers(fleet)):
        environment, key = found.environment, (found.environment.prefix, found.kind, found.name)
        if key in told or not environment.variables or carries_name(environment, found.name):
            continue
        told.add(key)
        if (found.kind, found.name) in set(declared_shares(environment)):
            continue
        fix = f"Put {environment.prefix} into the name, in any spelling ({environment.prefix.replace('_', '-')})."
        if found.kind == "bucket":
            fix += " If it is shared on purpose, list it in bulkhead_shared of every environment that uses it."
        yield Hit(
            (environment.prefix,),
            f"{found.kind} {found.name}",
            f"The {found.kind} {found.name} of {environment.prefix} does not carry its name. {found.among}: another "
            "environment with the same setting shares it, and who cleans up there cannot tell whose it is.",
            fix,
            (found.where,),
        )


def _in_the_world(fleet: Fleet) -> Iterator[_Resource]:
    """Buckets that are not on a server of the environment's own, and queues of a cloud."""
    for claims in fleet.claims("bucket").values():
        for claim in claims:
            environment = fleet.by_prefix[claim.owner]
            prefix = str(claim.attributes["prefix"])
            if not carries_name(environment, prefix):
                among = "Buckets are in a namespace of the whole store"
                yield _Resource(environment, "bucket", str(claim.attributes["bucket"]), among, claim.where)
    for environment in fleet.environments:
        for place, setting in cloud_queues(environment):
            name = place[-1].rpartition("/")[2]
            yield _Resource(environment, "queue", name, "Queues are in a namespace of the whole account", setting.where)


def _on_shared_servers(fleet: Fleet) -> Iterator[_Resource]:
    """Databases, roles and virtual hosts on servers outside of the fleet that several environments use."""
    for family in ("database", "amqp"):
        for identity, uses in shared_outside(of_family(fleet, family)):
            for use in uses:
                kinds = {"database" if family == "database" else "virtual host": use.database}
                kinds["role"] = use.use.endpoint.user
                for kind, name in kinds.items():
                    if name.strip("/"):
                        among = f"Other environments use {identity} too"
                        yield _Resource(fleet.by_prefix[use.owner], kind, name.strip("/"), among, use.use.where)
