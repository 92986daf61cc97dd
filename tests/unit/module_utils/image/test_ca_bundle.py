# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates for a build: of a file that holds nothing else and belongs to nobody else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.ca_bundle import certificates
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from unit.module_utils.deployments import pem


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real certificate."""
    folder = tmp_path_factory.mktemp("certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=ca.example", "-days", "2", "-keyout", str(folder / "key"), "-out", str(folder / "pem")]
    subprocess.run(command, capture_output=True, check=True)
    return (folder / "pem").read_text()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of a machine with two environments."""
    path = tmp_path / "state"
    for name in ("prod", "staging"):
        entry = {"prefix": f"aiia_{name}", "directory": str(tmp_path / name)}
        Registry(str(path)).write(f"aiia_{name}", entry, {"finished": "2026-01-01T10:00:00Z"})
    return path


def taken(path: Path, state: Path) -> str:
    return certificates(str(path), str(state), "aiia_staging")


@pytest.mark.parametrize("where", ["ca.pem", "staging/ca.pem"])
def test_only_the_certificates_of_a_file(tmp_path: Path, state: Path, certificate: str, where: str) -> None:
    path = tmp_path / where
    path.write_text(f"# a comment\n{certificate}root:secret\n{certificate}")
    assert taken(path, state) == certificate * 2


@pytest.mark.parametrize("where", ["prod/ca.pem", "state/ca.pem"])
def test_files_of_others(tmp_path: Path, state: Path, certificate: str, where: str) -> None:
    """By their path, and by a link in the own directory."""
    path, link = tmp_path / where, tmp_path / "staging/link.pem"
    path.write_text(certificate)
    link.symlink_to(path)
    for named in (path, link):
        with pytest.raises(EngineError, match=r"it belongs to (aiia_prod|Bulkhead)"):
            taken(named, state)


@pytest.mark.parametrize(
    "content",
    ["", "root:hash:1::\n", "-----BEGIN PRIVATE KEY-----\nMQ==\n-----END PRIVATE KEY-----\n", pem("no certificate")],
)
def test_what_is_no_bundle(tmp_path: Path, state: Path, certificate: str, content: str) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(content + (certificate if "KEY" in content else ""))
    with pytest.raises(EngineError, match=r"is not read \(bulkhead_build_ca_bundle\)") as caught:
        taken(path, state)
    assert "hash" not in str(caught.value) and "MQ==" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path, state: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(EngineError, match="it is not a file"):
            taken(path, state)
