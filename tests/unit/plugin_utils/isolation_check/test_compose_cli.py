# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker Compose's own word: asked with nothing of ours around it, and compared without telling values."""

from __future__ import annotations

import json
import stat
import sys
from datetime import date
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check import compose_cli
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.check import check
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.request import parse

COMPOSE = """\
services:
  web:
    image: "web:${TAG:-none}"
    env_file: [app.env]
    environment: {SECRET_KEY: hunter2, FROM_SHELL: }
    ports: ["8080:80", "127.0.0.1:9000-9001:90-91"]
    volumes: ["./code:/app:ro", "data:/data"]
    profiles: [never]
    depends_on: [db]
  db:
    image: postgres:17
volumes:
  data:
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """One project with a little of everything."""
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / ".env").write_text("TAG=1.2\n")
    (tmp_path / "app.env").write_text("A=1\n")
    return tmp_path


def disagreements(site: Path) -> list[str]:
    """What is said about Compose's reading."""
    request = {
        "environments": [
            {"prefix": "aiia_prod", "directory": "/srv/app", "compose_files": ["docker-compose.yml"]},
        ]
    }
    findings = check(parse(request, site), date(2026, 6, 15)).findings
    return [finding.message for finding in findings if finding.rule == "compose-disagrees"]


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A docker client that answers as the body says."""
    client = folder / "bin" / "docker"
    client.parent.mkdir()
    client.write_text(f"#!{sys.executable}\nimport json, os, sys\nif 'version' in sys.argv: sys.exit(0)\n{body}\n")
    client.chmod(client.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(client.parent))


@pytest.mark.skipif(compose_cli.find() is None, reason="docker compose is not at hand")
def test_real_compose_agrees(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the shell of whoever asks changes nothing."""
    monkeypatch.setenv("TAG", "from-the-shell")
    monkeypatch.setenv("FROM_SHELL", "leaked")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "somebody-else")
    assert disagreements(site) == []


def test_disagreement(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said with the place, and without the values."""
    model = {
        "name": "app",
        "services": {
            "web": {"image": "web:9", "environment": {"SECRET_KEY": "other"}},
            "db": {"image": "postgres:17"},
            "more": {},
        },
    }
    fake(site, monkeypatch, f"print(json.dumps({model!r}))")
    (said,) = disagreements(site)
    assert "differently at services.more, services.web.depends_on, services.web.env" in said
    assert "hunter2" not in said
    assert "other" not in said


def test_refusal(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose's last word is passed on."""
    fake(site, monkeypatch, "print('time=now level=warning msg=old', file=sys.stderr); sys.exit('no such thing')")
    (said,) = disagreements(site)
    assert "Docker Compose rejects them: no such thing" in said


def test_not_json(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a traceback nor silence."""
    fake(site, monkeypatch, "print('hello')")
    (said,) = disagreements(site)
    assert "its output is not JSON" in said


def test_hermetic(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose gets a path, an empty home and nothing else; every file is named."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leaked")
    fake(site, monkeypatch, f"json.dump([dict(os.environ), sys.argv[1:]], open({str(site / 'seen')!r}, 'w'))")
    disagreements(site)
    environment, argv = json.loads((site / "seen").read_text())
    assert set(environment) - {"LC_CTYPE"} == {
        "PATH",
        "HOME",
        "DOCKER_CONFIG",
        "COMPOSE_EXPERIMENTAL_GIT_REMOTE",
        "COMPOSE_EXPERIMENTAL_OCI_REMOTE",
    }
    assert environment["HOME"] != str(Path.home())
    assert argv == [
        "compose", "--project-directory", str(site), "--profile", "*", "--file", str(site / "docker-compose.yml"),
        "--env-file", str(site / ".env"), "--project-name", "app", "config", "--format", "json",
    ]  # fmt: skip


def test_slow(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that hangs does not hang the check."""
    monkeypatch.setattr(compose_cli, "_SECONDS", 3)
    fake(site, monkeypatch, "import time; time.sleep(60)")
    (said,) = disagreements(site)
    assert "did not answer within 3 s" in said


def test_absent(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Docker the check is the same, and says nothing of it."""
    monkeypatch.setenv("PATH", str(site))
    assert disagreements(site) == []
