# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an inventory says of an issued certificate, what is shipped for it, and what the machine is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.certificates import (
    certificate_settings,
    renewal_times,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from unit.fleets import declared, only, read, write

ISSUED: dict[str, Any] = {
    "bulkhead_acme": True,
    "bulkhead_acme_email": "ops@example.com",
    "bulkhead_tls_certificate_path": None,
    "bulkhead_tls_key_path": None,
}


def release_of(declaration: Declaration, tmp_path: Path) -> Release:
    release = Renderer(read(write(tmp_path / "any", {})).loader).render(declaration)
    assert release is not None, declaration.problems
    return release


def test_what_is_shipped(tmp_path: Path) -> None:
    declaration = declared(tmp_path, **ISSUED)
    release = release_of(declaration, tmp_path)
    assert declaration.problems == [] and not [lack for lack in declaration.lacking if "tls" in lack.resource]
    nginx = release.stack.compose["services"]["nginx"]
    assert "./.bulkhead/acme:/etc/nginx/tls:ro" in nginx["volumes"] and "acme:/srv/acme:ro" in nginx["volumes"]
    assert not [file.path for file in release.files if file.path.endswith(".pem")], "no key travels"
    text = release.file("docker/nginx/prod.conf").content
    assert text.count("/etc/nginx/tls/certificate.pem;") == 2 and "root /srv/acme;" in text
    # One file with both, so that one rename replaces both.
    assert "key.pem" not in text


def test_behind_a_balancer_maintenance_does_not_hide_the_proof(tmp_path: Path) -> None:
    declaration = declared(tmp_path, **ISSUED, bulkhead_trusted_proxies=["192.0.2.10"])
    text = release_of(declaration, tmp_path).file("docker/nginx/prod.conf").content
    exempt = text[text.index("traffic/maintenance.html") : text.index("if ($bulkhead_maintenance) {")]
    assert "acme-challenge" in exempt and "root /srv/acme;" in text


def test_what_the_machine_is_told(tmp_path: Path) -> None:
    declaration = declared(tmp_path, **ISSUED, bulkhead_domains=["a.example.com", "b.example.com"])
    found = certificate_settings(declaration, release_of(declaration, tmp_path))
    (server,) = found["servers"]
    assert server["key"] == "nginx"
    assert server["on_change"][-1].index("nginx -t") < server["on_change"][-1].index("nginx -s reload")
    assert (found["domains"], found["email"]) == (["a.example.com", "b.example.com"], "ops@example.com")
    assert (found["network"], found["volume"]) == ("app_prod_network", "app_prod_acme_prod")
    assert (found["address"], found["port"], found["check"]) == ("127.0.0.1", 443, True)
    assert found["authority"].startswith("https://") and ":" in found["image"]
    looks = renewal_times(declaration)
    assert looks["cron"].split()[1].count(",") == 1 and looks["docker_host"].startswith("unix://")


def test_nothing_without_it(tmp_path: Path) -> None:
    declaration = declared(tmp_path)
    assert certificate_settings(declaration, release_of(declaration, tmp_path)) == {}


@pytest.mark.parametrize(
    ("variables", "rule", "said", "fix"),
    [
        (
            {"bulkhead_acme_email": ""},
            "missing-variable",
            "needs a contact for the account",
            "set bulkhead_acme_email in group_vars/production",
        ),
        (
            {"bulkhead_tls_certificate_path": "/etc/tls/a.pem", "bulkhead_tls_key_path": "/etc/tls/a.key"},
            "invalid-variable",
            "bulkhead_tls_certificate_path and bulkhead_tls_key_path would bring another one",
            "or set bulkhead_acme: false",
        ),
        ({"bulkhead_acme_webroot": "/srv/own"}, "invalid-variable", "bulkhead_acme_webroot would bring", "remove"),
        (
            {"bulkhead_domains": ["a.example.com", "*.example.com"], "bulkhead_nginx_template": "own.j2"},
            "invalid-variable",
            "has *.example.com, and an authority issues no wildcard over HTTP",
            "name each host, or bring a certificate",
        ),
        (
            {"bulkhead_services": {"nginx": None}},
            "invalid-variable",
            "needs the service nginx, which answers the authority",
            "set bulkhead_acme: false",
        ),
        (
            {"bulkhead_docker_host": "tcp://10.0.0.5:2376"},
            "invalid-variable",
            "needs an engine on the machine itself, and bulkhead_docker_host is tcp://10.0.0.5:2376",
            "bring a certificate",
        ),
    ],
)
def test_what_cannot_be(tmp_path: Path, variables: dict[str, Any], rule: str, said: str, fix: str) -> None:
    found = only(declared(tmp_path, **{**ISSUED, **variables}).problems)
    assert found.rule == rule and said in found.message and fix in found.fix
    assert found.where[0].file.endswith("group_vars/production/main.yml")
