# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user without root who may use Docker: observation, probes, receipt and registry, seen on a real account."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sabotage import keeper, receipt, told
from support import Place, Run, Site, docker, free_port, only, web

SOCKET = Path("/var/run/docker.sock")


def unable() -> str:
    """Why no such user can be made here; empty when one can."""
    missing = [program for program in ("useradd", "userdel", "su") if not shutil.which(program)]
    if os.geteuid() != 0 or missing:
        return "making a user needs root, useradd and su"
    return "" if SOCKET.exists() and SOCKET.stat().st_gid else "the engine's socket has no group of its own"


pytestmark = pytest.mark.skipif(bool(unable()), reason=unable())


@pytest.fixture
def user() -> Iterator[str]:
    """A user with a home, in the group that may use the engine; gone afterwards."""
    name, home = f"e2e{secrets.token_hex(3)}", f"/tmp/bulkhead-home-{secrets.token_hex(3)}"
    group = str(SOCKET.stat().st_gid)
    subprocess.run(["useradd", "--create-home", "--home-dir", home, "--groups", group, name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def places(site: Site, user: str) -> tuple[Place, Place]:
    """Two environments in the user's home, all of whose modules run as that user."""
    home = pwd.getpwnam(user).pw_dir
    site.host_variables |= {
        "ansible_become": True,
        "ansible_become_method": "su",
        "ansible_become_user": user,
        "ansible_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    site.everyone["bulkhead_state_directory"] = ""
    theirs = only(web=web(ports=[f"{free_port()}:8000"]), keeper=keeper())
    production = site.small("production", "prod", services=theirs, directory=f"{home}/production")
    staging = site.small("staging", "staging", directory=f"{home}/staging")
    return production, staging


def look(site: Site) -> dict[str, Any]:
    """The machine as the user sees it."""
    play = [{"hosts": "staging", "gather_facts": False, "tasks": [{"aiia.bulkhead.machine_info": {}}]}]
    path = site.directory / "look.yml"
    path.write_text(yaml.safe_dump(play))
    observation: dict[str, Any] = site.play(playbook=path).succeeded().result("machine_info")["observation"]
    return observation


def test_an_unprivileged_user(places: tuple[Place, Place], site: Site, user: str) -> None:
    """Everything that root has: files and registry are the user's, probes see what is open and leave nothing."""
    production, staging = places
    # Its port is on every address on purpose: from inside containers of others it must be found reachable.
    site.everyone["bulkhead_waivers"] = [
        {"rule": "exposed-port", "resource": "8000", "reason": "a test", "until": "2999-01-01"}
    ]
    first = production.deploy()
    assert receipt(first)["bystanders"] == []
    second: Run = staging.deploy()
    assert second.code != 0 and "foreign-port-connects" in second.error, second.output
    assert "probe-failed" not in told(second)
    production.variables["bulkhead_services"]["web"]["ports"] = []
    production.deploy().succeeded()
    third = staging.deploy()
    said = receipt(third)
    assert said["probed"]["containers"] == 1 and said["probed"]["names"] > 0 and said["probed"]["addresses"] > 0
    assert said["bystanders"] == [production.prefix] and said["bystander_changes"] == []
    assert third.changed == 0
    assert any("no guard in the firewall: bulkhead_firewall needs root" in note for note in said["notes"])
    owner = pwd.getpwnam(user)
    home = Path(owner.pw_dir)
    assert Path(said["path"]).is_relative_to(home / ".local/state/bulkhead")
    assert {path.stat().st_uid for path in home.rglob("*")} == {owner.pw_uid}
    seen = look(site)
    runs = {container["name"]: container["run"] for container in seen["containers"]}
    assert runs[f"{production.prefix}_keeper"] and runs[f"{staging.prefix}_web"] == ""
    assert set(seen["registry"]) == {production.prefix, staging.prefix}
    assert docker("ps", "--all", "--quiet", "--filter", "label=io.bulkhead.probe") == ""
    assert docker("image", "ls", "--quiet", "--filter", "label=io.bulkhead.probe") == ""
    site.play("-l", "staging", playbook="playbooks/verify.yml").succeeded()
