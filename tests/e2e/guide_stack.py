# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide's production and staging as a site: the whole stack, with a real application."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from certificate import self_signed
from make_repository import make_repository
from observe import Moment, moment
from support import Place, Run, Site, free_port, only, web

IMAGES = {
    "nginx": {"image": "bulkhead-demo/nginx:1.26"},
    "pgbouncer": {"image": "bulkhead-demo/pgbouncer:1.24"},
    "postgresql": {"image": "bulkhead-demo/postgresql:17"},
    "redis": {"image": "bulkhead-demo/redis:8"},
}
SERVICES = ("django", "nginx", "pgbouncer", "postgresql", "redis")


@dataclass
class Guide:
    """Both environments, with what was seen while they were deployed."""

    site: Site
    production: Place
    staging: Place
    check_before: Run
    nothing_there: tuple[Moment, Moment]
    first: Run
    second: Run
    bystander: tuple[Moment, Moment]
    commits: dict[str, str]

    @property
    def both(self) -> tuple[Place, Place]:
        """Production and staging."""
        return self.production, self.staging

    def other(self, place: Place) -> Place:
        """The environment beside one."""
        return self.staging if place is self.production else self.production


def behind_nginx(site: Site, **variables: Any) -> Place:
    """nginx before the small server, and nothing else."""
    certificate, key = self_signed(["small.example.com"])
    return site.small(
        secrets={"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key},
        app_service="web",
        services=only(web=web(), nginx=IMAGES["nginx"]),
        domains=["small.example.com"],
        bind_address="127.0.0.1",
        http_port=free_port(),
        https_port=free_port(),
        **variables,
    )


def environment(site: Site, group: str, name: str, branch: str, domains: list[str], app_port: int) -> Place:
    """One of the guide's environments: its directory is called like the other's, which is the guide's trap."""
    certificate, key = self_signed(domains)
    words = {word: f"{word.lower()}-{name}-{secrets.token_hex(12)}" for word in ("SECRET_KEY", "REDIS_PASSWORD")}
    words |= {word: f"{word.lower()}'{name}$\"#% {secrets.token_hex(8)}" for word in ("DB_PASSWORD",)}
    words |= {"POSTGRES_PASSWORD": f"admin {name}\\'\"${secrets.token_hex(8)}"}
    return site.add(
        group,
        name,
        {"bulkhead_secrets": words, "bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key},
        directory=str(site.directory / "home/ubuntu" / branch / "ai-ia-backend"),
        source_branch=branch,
        domains=domains,
        http_port=free_port(),
        https_port=free_port(),
        app_port=app_port,
        env={"GREETING": "hello"},
    )


def deploy_guide(site: Site) -> Guide:
    """Deploy production, then staging; each run holds the vault password of its own environment and no other."""
    repository = site.directory / "origin.git"
    commits = make_repository(repository)
    site.everyone = {
        "bulkhead_source_repository": str(repository),
        "bulkhead_bind_address": "127.0.0.1",
        "bulkhead_services": IMAGES,
        # A deployment prepares each release; the image would else do it once more when it starts.
        "bulkhead_env_shared": {"PREPARE_ON_START": "0"},
        # Longer than any request of the tests; websockets, which would never end, are closed then.
        "bulkhead_drain_timeout": 3,
    }
    production = environment(site, "production", "prod", "main", ["eduaiia.com", "www.eduaiia.com"], 8000)
    staging = environment(site, "staging", "staging", "staging", ["staging.eduaiia.com"], 8001)
    before = moment(production)
    check_before = production.deploy("--check", "--diff")
    after = moment(production)
    first = _step("production", production.deploy("--diff", passwords=["production"]))
    alone = moment(production, without=())
    second = _step("staging", staging.deploy("--diff", passwords=["staging"]))
    beside = moment(production, without=())
    return Guide(
        site, production, staging, check_before, (before, after), first, second, (alone, beside), dict(commits)
    )


def _step(name: str, run: Run) -> Run:
    print(f"\n{name} deployed in {run.seconds:.1f} s", flush=True)
    return run.succeeded()
