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
from sabotage import doomed
from support import Site, docker, health_check, only, web

#: A service that never becomes healthy: the module converge waits for it, with all secrets in its arguments.
SLOW = {**health_check(), "test": ["CMD", "false"], "start_period": "60s"}


@contextmanager
def running(site: Site, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of Ansible's with Ansible's own defaults, which is killed when the block ends."""
    program = str(Path(sys.executable).with_name(command[0]))
    with doomed(site, [program, *command[1:]], files(site)) as process:
        yield process


def files(site: Site) -> dict[str, str]:
    """Ansible as it is by default, which sends modules as files, with temporary directories of this test's own."""
    return {"ANSIBLE_PIPELINING": "false", "ANSIBLE_REMOTE_TMP": str(remote(site))}


def remote(site: Site) -> Path:
    """Ansible's temporary directory on the machine."""
    return site.directory / "remote"


def holding(site: Site, canary: str) -> list[str]:
    """The files in Ansible's temporary directories on machine and controller that hold a text."""
    places = (remote(site), site.directory / "home" / ".ansible")
    found = [path for place in places for path in place.rglob("*") if path.is_file()]
    return [path.name for path in found if canary.encode() in path.read_bytes()]


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
    with running(site, *command) as process:
        container = ("container", "inspect", "--format", "{{.State.Running}}", f"{place.prefix}_web")
        eventually(lambda: "true" in docker(*container, check=False) or process.poll() is not None, 120)
        assert process.poll() is None, (site.directory / "killed.log").read_text()
    sent_as_file = pipelining is False
    assert bool(list(remote(site).glob("ansible-tmp-*"))) is sent_as_file
    assert canary in (place.directory / ".env").read_text(), "the module had no secret, so this test shows nothing"
    assert holding(site, canary) == []


def test_ansible_alone_leaves_them(site: Site) -> None:
    """The control: a module of Ansible's own that is killed, with a secret in its arguments."""
    canary = secrets.token_urlsafe(24)
    call = ("ansible", "localhost", "-c", "local", "-m", "command", "-a", f"env CANARY={canary} sleep 60")
    with running(site, *call) as process:
        assert eventually(lambda: holding(site, canary))
        assert process.poll() is None
    assert holding(site, canary) == ["AnsiballZ_command.py"]


def test_modules_are_not_kept_on_purpose(site: Site) -> None:
    """ANSIBLE_KEEP_REMOTE_FILES is refused before a module is sent."""
    site.small(secrets={"bulkhead_secrets": {"CANARY": secrets.token_urlsafe(24)}})
    run = site.play("-l", "small", environment={**files(site), "ANSIBLE_KEEP_REMOTE_FILES": "true"})
    assert run.code != 0 and "ANSIBLE_KEEP_REMOTE_FILES would leave every module on the machine" in run.error
    assert not list(remote(site).rglob("AnsiballZ_*"))
