# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run that is killed leaves of its secrets in temporary directories, on the machine and on the controller."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from observe import eventually
from sabotage import kill
from support import ROOT, Site, docker, health_check, only, web

#: A service that never becomes healthy: the module converge waits for it, with all secrets in its arguments.
SLOW = {**health_check(), "test": ["CMD", "false"], "start_period": "60s"}


@contextmanager
def running(site: Site, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of Ansible's that is killed when the block ends, with everything that it started."""
    program = str(Path(sys.executable).with_name(command[0]))
    with (site.directory / "killed.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=ROOT,
            env=site.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            kill(process.pid)
            process.wait()


def holding(site: Site, canary: str) -> list[str]:
    """The files in Ansible's temporary directories that hold a text. Machine and controller are one here."""
    place = site.directory / "home" / ".ansible"
    assert place.is_dir()
    files = [path for path in place.rglob("*") if path.is_file()]
    return [path.name for path in files if canary.encode() in path.read_bytes()]


@pytest.mark.parametrize("pipelining", [None, False], ids=["as Ansible is set up", "without pipelining"])
def test_a_killed_deployment_leaves_no_secret(site: Site, pipelining: bool | None) -> None:
    """Ansible's own default is to send modules as files. The second inventory insists on that."""
    canary = secrets.token_urlsafe(24)
    variables: dict[str, Any] = {} if pipelining is None else {"ansible_pipelining": pipelining}
    site.host_variables.update(variables)
    place = site.small(services=only(web=web(healthcheck=SLOW)), secrets={"bulkhead_secrets": {"CANARY": canary}})
    site.write()
    vault = f"{place.group}@{site.directory / f'{place.group}.password'}"
    command = ("ansible-playbook", "-i", str(site.inventory), "--vault-id", vault, "deploy.yml", "-l", place.group)
    with running(site, *command, ANSIBLE_PIPELINING="false") as process:
        container = ("container", "inspect", "--format", "{{.State.Running}}", f"{place.prefix}_web")
        eventually(lambda: "true" in docker(*container, check=False) or process.poll() is not None, 120)
        assert process.poll() is None, (site.directory / "killed.log").read_text()
    assert canary in (place.directory / ".env").read_text(), "the module had no secret, so this test shows nothing"
    assert holding(site, canary) == []


def test_ansible_alone_leaves_them(site: Site) -> None:
    """The control: a module of Ansible's own that is killed, with a secret in its arguments."""
    canary = secrets.token_urlsafe(24)
    call = ("ansible", "localhost", "-c", "local", "-m", "command", "-a", f"env CANARY={canary} sleep 60")
    with running(site, *call, ANSIBLE_PIPELINING="false") as process:
        assert eventually(lambda: (site.directory / "home/.ansible").is_dir() and holding(site, canary))
        assert process.poll() is None
    assert holding(site, canary) == ["AnsiballZ_command.py"]


def test_modules_are_not_kept_on_purpose(site: Site) -> None:
    """ANSIBLE_KEEP_REMOTE_FILES is refused before a module is sent."""
    site.small(secrets={"bulkhead_secrets": {"CANARY": secrets.token_urlsafe(24)}})
    run = site.play("-l", "small", environment={"ANSIBLE_KEEP_REMOTE_FILES": "true"})
    assert run.code != 0 and "ANSIBLE_KEEP_REMOTE_FILES would leave every module on the machine" in run.error
    assert not list((site.directory / "home/.ansible").rglob("AnsiballZ_*"))
