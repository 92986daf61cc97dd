# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment behind the machine's front door is made of."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from unit.fleets import declared, problems
from unit.plugin_utils.release.test_render import on_the_machine, render, rendered, service

BEHIND: dict[str, Any] = {"bulkhead_edge": True, "bulkhead_http_port": None, "bulkhead_https_port": None}


def configuration(tmp_path: Path, **variables: Any) -> str:
    return rendered(tmp_path, **variables).file("docker/nginx/prod.conf").content


def test_no_port_and_sockets_of_its_own(tmp_path: Path) -> None:
    release = rendered(tmp_path, **BEHIND)
    nginx = service(release, "nginx")
    assert "ports" not in nginx and release.ports == ()
    assert "/run/bulkhead/edge/app_prod:/run/edge" in nginx["volumes"]
    assert nginx["networks"]["default"]["aliases"] == ["prod.example.com"]
    found = on_the_machine(release)["nginx"]
    assert found.rolling and not found.steady
    assert found.start_files == ("docker/nginx/sockets",)
    assert on_the_machine(rendered(tmp_path / "plain"))["nginx"].steady


def test_what_checks_a_configuration_listens_on_sockets_of_its_own(tmp_path: Path) -> None:
    """It has no part in those of a container that serves, where another certificate is only taken by a reload."""
    release = rendered(tmp_path / "inventory", **BEHIND)
    etc, there = tmp_path / "etc", tmp_path / "run"
    for folder in (etc / "snippets", etc / "conf.d", there, tmp_path / "bin"):
        folder.mkdir(parents=True)
    script = release.file("docker/nginx/sockets").content

    def here(text: str) -> str:
        return (
            text.replace("/etc/nginx", str(etc)).replace("/run/edge", str(there)).replace("/tmp/edge", f"{there}/try")
        )

    (etc / "conf.d/sockets").write_text(here(script))
    (tmp_path / "bin/nginx").write_text("#!/bin/sh\necho asked\n")
    (tmp_path / "bin/nginx").chmod(0o755)
    (there / "0123456789ab").mkdir()
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOSTNAME": "0123456789ab"}
    command = [here(word) for word in on_the_machine(release)["nginx"].validate]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "asked\n"), done.stderr
    assert (etc / "snippets/http.conf").read_text() == f"listen unix:{there}/try/http.sock proxy_protocol;\n"
    assert (there / "0123456789ab").is_dir()


def test_sockets_below_another_state_directory(tmp_path: Path) -> None:
    release = rendered(tmp_path, **BEHIND, bulkhead_state_directory="/srv/state/")
    assert "/srv/state/edge/sockets/app_prod:/run/edge" in service(release, "nginx")["volumes"]


def test_what_nginx_listens_on_and_believes(tmp_path: Path) -> None:
    text = configuration(tmp_path, **BEHIND)
    assert text.count("include /etc/nginx/snippets/http.*;") == 2
    assert text.count("include /etc/nginx/snippets/https.*;") == 2
    assert "set_real_ip_from unix:;\nreal_ip_header   proxy_protocol;\n" in text
    assert text.count("return 421;") == 2
    assert "return 301 https://$host$request_uri;" in text
    assert "max-age=31536000" in text
    other = configuration(tmp_path / "other", bulkhead_edge=True, bulkhead_http_port=8080, bulkhead_https_port=8443)
    assert "return 301 https://$host:8443$request_uri;" in other and "listen 8443 ssl;" in other
    assert "max-age" not in other


def test_behind_a_balancer_and_the_front_door(tmp_path: Path) -> None:
    """A balancer's word counts only where the front door says that it is the client; nobody else's header does."""
    text = configuration(tmp_path, **BEHIND, bulkhead_trusted_proxies=["10.0.0.0/24"])
    assert "set_real_ip_from 10.0.0.0/24;" not in text and text.count("real_ip_header") == 1
    assert "geo $remote_addr $bulkhead_trusted {" in text
    assert "X-Forwarded-For   $bulkhead_client;" in text
    assert "access_log /var/log/nginx/access.log bulkhead;" in text


def test_nothing_of_it_without(tmp_path: Path) -> None:
    release = rendered(tmp_path)
    assert [file.path for file in release.files if "sockets" in file.path] == []
    text = release.file("docker/nginx/prod.conf").content
    assert not [word for word in ("421", "unix:", "proxy_protocol", "snippets", "misdirected") if word in text]
    assert not text.startswith("\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bulkhead_bind_address", "127.0.0.1"),
        ("bulkhead_edge_connections", 0),
        ("bulkhead_edge_rate", -1),
        ("bulkhead_edge", "perhaps"),
    ],
)
def test_values_that_are_none(tmp_path: Path, name: str, value: Any) -> None:
    declaration = declared(tmp_path, **{**BEHIND, "bulkhead_http_port": 80, "bulkhead_https_port": 443, name: value})
    render(declaration, tmp_path)
    assert problems(declaration) == [("invalid-variable", name)]
