# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment whose web server serves with a certificate that is of no release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates import obtain
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.client import Client
from unit.module_utils.certificates.issuer import Issuer
from unit.module_utils.deployments import Machine
from unit.module_utils.fake_engine import file, service

SERVED = ".bulkhead/acme/certificate.pem"
ISSUER = Issuer("nobody")


@pytest.fixture
def issued(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of a deployment that has its certificate issued."""
    monkeypatch.setattr(obtain.os, "geteuid", lambda: 0)
    monkeypatch.setattr(Client, "placeholder", lambda _self: ISSUER.certificate)
    state = str(machine.state_directory)
    more = {"validate": ["nginx", "-t"], "mounts": ["./conf:/etc/web:ro", "./.bulkhead/acme:/etc/nginx/tls:ro"]}
    acme = {"prefix": "aiia_prod", "state_directory": state, "authority": "https://ca.example.com/dir"}
    return {
        "acme": acme,
        "state_directory": state,
        "services": [service("web", files=["web.conf"], **more), service("db")],
    }


def test_a_web_server_has_something_to_start_with(machine: Machine, issued: dict[str, Any]) -> None:
    seen = []

    def look(call: str) -> None:
        if call.startswith("run --rm"):
            seen.append("judged")
            assert f"--volume {machine.state_directory}/certificates/aiia_prod/live:/etc/nginx/tls:ro" in call
        if call.startswith("compose up"):
            seen.append("started" if (machine.directory / SERVED).is_file() else "started without")

    machine.engine.on_call = look
    machine.deploy(**issued)
    assert seen[0] == "judged" and "started" in seen and "started without" not in seen
    assert (machine.directory / SERVED).read_bytes() == ISSUER.certificate


def test_no_release_brings_an_older_one_back(machine: Machine, issued: dict[str, Any]) -> None:
    machine.deploy(**issued)
    newer = ISSUER.text("a.example.com")
    kept = Path(machine.state_directory, "certificates/aiia_prod/live/certificate.pem")
    kept.write_bytes(newer)
    changed = [file(wanted["path"], wanted["content"]) for wanted in machine.params()["files"][:1]]
    machine.deploy(**issued, files=[*changed, file("web.conf", "two")])
    assert (machine.directory / SERVED).read_bytes() == newer
    assert not list(machine.kept.rglob("certificate.pem")), "no copy is in a release"
