# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The resolver: whose server a host and port lead to."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.server_owner import Resolver, resolver
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.servers import behind
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble

PROD = """
name: aiia_prod
services:
  django: {image: "django:1", container_name: aiia_prod_django}
  pgbouncer:
    image: edoburu/pgbouncer:v1.24.1
    environment: {DB_HOST: postgresql}
  postgresql:
    image: postgres:17
    container_name: aiia_prod_postgresql
    ports: ["5433:5432"]
    networks: {default: {aliases: [pg]}, fixed: {ipv4_address: 172.30.0.5}}
networks:
  default: {name: aiia_prod_network}
  fixed: {name: aiia_prod_fixed, ipam: {config: [{subnet: 172.30.0.0/24}]}}
"""
STAGING = """
name: aiia_staging
services:
  django:
    image: django:1
    extra_hosts: ["dbhost:host-gateway", "named=aiia_prod_postgresql"]
    external_links: ["aiia_prod_postgresql:linked"]
    networks: [default, prod]
  agent: {image: "agent:1", network_mode: host}
  guest: {image: "agent:1", network_mode: "container:aiia_prod_postgresql"}
  postgresql: {image: "postgres:17"}
networks:
  default: {ipam: {config: [{subnet: 172.31.0.0/24}]}}
  prod: {name: aiia_prod_network, external: true}
"""


def _environment(name: str, text: str, domains: tuple[str, ...], machine: str = "app1") -> Environment:
    return assemble(
        prefix=f"aiia_{name}",
        directory=f"/srv/{name}",
        machine=machine,
        domains=domains,
        compose_files=[f"{name}.yml"],
        read={f"{name}.yml": text}.get,
    )


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Production with a published database, and staging that has joined its network."""
    return Fleet(
        (
            _environment("prod", PROD, ("eduaiia.com",)),
            _environment("staging", STAGING, ("staging.eduaiia.com",)),
            _environment(
                "far", "name: aiia_far\nservices: {db: {image: 'postgres:17', ports: ['5432:5432']}}\n", (), "app2"
            ),
        )
    )


@pytest.mark.parametrize(
    ("service", "host", "port", "identity", "owner"),
    [
        ("django", "postgresql", 5432, "aiia_staging/postgresql", "aiia_staging"),
        ("django", "pg", 5432, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "PGBOUNCER.", 5432, "aiia_prod/pgbouncer", "aiia_prod"),
        ("agent", "pg", 5432, "pg:5432", ""),
        ("django", "aiia_prod_postgresql", 5432, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "linked", 5432, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "named", 5432, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "dbhost", 5433, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "host.docker.internal", 5433, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "172.31.0.1", 5433, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "172.30.0.5", 5432, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "app1", 5433, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "app1", 5999, "app1:5999", ""),
        ("django", "app2", 5432, "aiia_far/db", "aiia_far"),
        ("django", "eduaiia.com", 5433, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "eduaiia.com", 22, "eduaiia.com:22", "aiia_prod"),
        ("django", "www.eduaiia.com", 443, "www.eduaiia.com:443", ""),
        ("django", "127.0.0.1", 5433, "aiia_staging/django", "aiia_staging"),
        ("agent", "127.0.0.1", 5433, "aiia_prod/postgresql", "aiia_prod"),
        ("guest", "localhost", 5432, "aiia_prod/postgresql", "aiia_prod"),
        ("django", "/var/run/postgresql", 5432, "aiia_staging//var/run/postgresql", "aiia_staging"),
        ("django", "pg.example.com", 5432, "pg.example.com:5432", ""),
        ("", "dbhost", 5433, "aiia_prod/postgresql", "aiia_prod"),
    ],
)
def test_resolve(fleet: Fleet, service: str, host: str, port: int, identity: str, owner: str) -> None:
    """Every way by which a name leads somewhere, as seen from staging."""
    server = resolver(fleet).resolve(fleet.by_prefix["aiia_staging"], service, host, port)
    assert (server.identity, server.owner) == (identity, owner)
    assert server.how


def test_behind_a_pooler(fleet: Fleet) -> None:
    """The data is where the pooler's own settings lead."""
    server = resolver(fleet).resolve(fleet.by_prefix["aiia_prod"], "django", "pgbouncer", 6432)
    assert server.identity == "aiia_prod/pgbouncer"
    assert behind(fleet, server, "aiia")[0].identity == "aiia_prod/postgresql"


def test_a_pooler_that_leads_to_itself_ends() -> None:
    """A circle of poolers is not followed for ever."""
    text = """
name: aiia_loop
services:
  one: {image: "pgbouncer:1", environment: {DB_HOST: two}}
  two: {image: "pgbouncer:1", environment: {DB_HOST: one}}
"""
    fleet = Fleet((_environment("loop", text, ()),))
    server = resolver(fleet).resolve(fleet.environments[0], "", "one", 6432)
    assert behind(fleet, server, "x")[0].owner == "aiia_loop"


def test_indexed_once(fleet: Fleet) -> None:
    """All rules ask one index."""
    assert resolver(fleet) is resolver(fleet)
    assert isinstance(resolver(fleet), Resolver)
