# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""isolation_check as a user calls it: ad hoc, and as a task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

LINK = ROOT / ".ansible" / "collections"
pytestmark = pytest.mark.skipif(not LINK.exists(), reason="the collection's link is made by 'make setup'")

COMPOSE = "name: same\nservices:\n  web: {image: nginx, container_name: web}\n"
CONFIG = """\
environments:
  - {prefix: aiia_prod, directory: /srv/prod, compose_files: [prod/compose.yml]}
  - {prefix: aiia_staging, directory: /srv/staging, compose_files: [staging/compose.yml]}
compose_cli: never
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two environments with one project name."""
    for name in ("prod", "staging"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "compose.yml").write_text(COMPOSE)
    (tmp_path / "check.yml").write_text(CONFIG)
    return tmp_path


def ansible(program: str, *arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run Ansible as a user does, with the collection of this checkout."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "ANSIBLE_COLLECTIONS_PATH": str(LINK),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_HOME": str(directory / ".ansible"),
        "LC_ALL": "C.UTF-8",
    }
    argv = [str(Path(sys.executable).parent / program), *arguments]
    return subprocess.run(
        argv, cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_ad_hoc(site: Path) -> None:
    """The one line of the documentation."""
    done = ansible(
        "ansible", "localhost", "-m", "aiia.bulkhead.isolation_check", "-a", "config=check.yml", directory=site
    )
    assert done.returncode == 2, done.stderr
    head, _unused, body = done.stdout.partition("=> ")
    result = json.loads(body)
    assert result["environments"] == ["aiia_prod", "aiia_staging"]
    assert result["findings"][0]["rule"] == "shared-project"
    assert "FAILED!" in head
    assert result["changed"] is False
    assert result["msg"].startswith("critical  shared-project")


def test_ad_hoc_error(site: Path) -> None:
    """One clear error with everything in it, and no traceback."""
    (site / "check.yml").write_text("environments:\n  - {compose_files: [a]}\n  - {prefix: b}\nfail_on: bad\n")
    done = ansible(
        "ansible", "localhost", "-m", "aiia.bulkhead.isolation_check", "-a", "config=check.yml", directory=site
    )
    output = done.stdout + done.stderr
    assert done.returncode == 2
    for said in (
        "fail_on must be one of",
        "environments[0]: prefix is missing",
        "environments[1]: there is no file to check",
    ):
        assert said in output
    assert "Traceback" not in output


def test_task(site: Path) -> None:
    """With the same keys as arguments, in check mode, with a report, and with what it returns used afterwards."""
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Prove",
                    "aiia.bulkhead.isolation_check": {
                        "environments": [
                            {
                                "prefix": f"aiia_{name}",
                                "directory": f"/srv/{name}",
                                "compose_files": [f"{name}/compose.yml"],
                            }
                            for name in ("prod", "staging")
                        ],
                        "compose_cli": "never",
                        "fail_on": "never",
                        "report": "out/{{ 'report' }}.xml",
                        "report_format": "junit",
                    },
                    "register": "proof",
                },
                {
                    "name": "Use what it returns",
                    "ansible.builtin.assert": {
                        "that": [
                            "proof is not failed",
                            "proof is not changed",
                            "proof.findings | selectattr('severity', 'eq', 'critical') | length > 0",
                        ]
                    },
                },
            ],
        }
    ]
    (site / "play.yml").write_text(json.dumps(play))
    done = ansible("ansible-playbook", "--check", "play.yml", directory=site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<testsuites" in (site / "out" / "report.xml").read_text()
