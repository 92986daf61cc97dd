# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels for agents of the machine: allowed for own hosts and names, and refused for all others."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.boundary import Boundary
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.labels import label

BOUNDARY = Boundary(
    prefix="aiia_staging",
    directory="/srv/staging",
    domains=("staging.eduaiia.com",),
    ceded=frozenset({"pr.staging.eduaiia.com"}),
    services=frozenset({"django"}),
)
HTTP = "traefik.http.routers.aiia_staging"
OWN = "Host(`staging.eduaiia.com`)"


def problem(labels: dict[str, str]) -> str:
    """What is wrong with the first of these labels that is wrong."""
    return next(filter(None, (label(f"{key}={text}", BOUNDARY, labels) for key, text in labels.items())), "")


@pytest.mark.parametrize(
    "labels",
    [
        {f"{HTTP}.rule": f"{OWN} || PathPrefix(`/api`)"},
        {f"{HTTP}.rule": f"PathPrefix(`/`) || {OWN}"},
        {f"{HTTP}.rule": f"!{OWN}"},
        {f"{HTTP}.rule": f"!({OWN} && PathPrefix(`/x`))"},
        {f"{HTTP}.rule": f"{OWN} && PathPrefix(`/a`) || ClientIP(`0.0.0.0/0`)"},
        {f"{HTTP}.rule": f"{OWN} || Host(`shop.example.org`)"},
        {f"{HTTP}.rule": f"({OWN} || PathRegexp(`^/(a|b)$`))"},
        {f"{HTTP}.rule": "Host(`pr.staging.eduaiia.com`)"},
        {f"{HTTP}.rule": "HostRegexp(`.*`)"},
        {f"{HTTP}.rule": "PathPrefix(`/Host(`)"},
        {f"{HTTP}.rule": OWN, f"{HTTP}.tls.domains[0].main": "*.example.org"},
        {f"{HTTP}.rule": OWN, f"{HTTP}.tls.domains[1].sans": "staging.eduaiia.com, eduaiia.com"},
        {"traefik.tcp.routers.aiia_staging.rule": "HostSNI(`*`)"},
        {"traefik.udp.routers.aiia_staging.entrypoints": "dns"},
        {"traefik.tls.stores.default.defaultgeneratedcert.resolver": "letsencrypt"},
        {"traefik.http.serverstransports.default.insecureskipverify": "true"},
        {"traefik.http.services.aiia_staging.loadbalancer.server.url": "http://172.17.0.1:8000"},
        {"traefik.http.services.aiia_staging.loadbalancer.sticky.cookie.domain": ".eduaiia.com"},
        {"traefik.frontend.rule": "PathPrefix:/"},
        {"traefik.web.frontend.rule": "Host:eduaiia.com"},
        {"caddy": "shop.example.org"},
        {"caddy": "*.com"},
        {"caddy": ":443"},
        {"caddy": "http://"},
        {"caddy_1": "staging.eduaiia.com shop.example.org"},
        {"caddy": "(snippet)"},
        {"caddy.email": "ops@example.com"},
        {"ofelia.service": "true"},
        {"ofelia.job-run.x.volume": "/:/host"},
        {"chadburn.job-local.x.command": "docker system prune"},
    ],
)
def test_outside(labels: dict[str, str]) -> None:
    """Requests of other hosts, settings for all, commands on the machine."""
    assert problem(labels)


@pytest.mark.parametrize(
    "labels",
    [
        {f"{HTTP}.rule": OWN, f"{HTTP}.entrypoints": "websecure", f"{HTTP}.middlewares": "secure@file"},
        {f"{HTTP}.rule": f"{OWN} && (PathPrefix(`/ws`) || Headers(`Upgrade`, `websocket`)) && !PathPrefix(`/x`)"},
        {f"{HTTP}.rule": f"{OWN} || Host(`api.staging.eduaiia.com`)"},
        {f"{HTTP}.rule": f"PathRegexp(`^/(a|b)$`) && {OWN}"},
        {f"{HTTP}.rule": "Host(`staging.eduaiia.com`, `api.staging.eduaiia.com`)"},
        {f"{HTTP}.rule": "(Host('staging.eduaiia.com'))"},
        {f"{HTTP}.tls.domains[0].main": "staging.eduaiia.com", f"{HTTP}.tls.domains[0].sans": "*.staging.eduaiia.com"},
        {"traefik.tcp.routers.aiia-staging-db.rule": "HostSNI(`db.staging.eduaiia.com`)"},
        {"traefik.http.services.aiia_staging.loadbalancer.server.port": "8001"},
        {"traefik.http.services.aiia_staging.loadbalancer.server.url": "http://django:8001"},
        {"traefik.frontend.rule": "Host:staging.eduaiia.com;PathPrefix:/api"},
        {"caddy": "staging.eduaiia.com, *.staging.eduaiia.com", "caddy.reverse_proxy": "{{upstreams 8001}}"},
        {"caddy_0": "https://staging.eduaiia.com:8443", "caddy_0.encode": "gzip"},
        {"ofelia.enabled": "true", "ofelia.job-exec.x.command": "python3 manage.py clearsessions"},
        {"com.centurylinklabs.watchtower.enable": "false", "autoheal": "true", "prometheus.io/scrape": "true"},
    ],
)
def test_inside(labels: dict[str, str]) -> None:
    """Own hosts, own names, and what an agent does to the container itself."""
    assert not problem(labels)
