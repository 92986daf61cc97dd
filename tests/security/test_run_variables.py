# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``-e``, the variables and keywords of a play, and modules without their actions cannot do."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT, Place, Run, Site, only, web

#: An address that nobody has (RFC 5737). A run that is not refused says UNREACHABLE.
NOWHERE = {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=1 -o BatchMode=yes"}

PROVE = {"name": "Prove", "aiia.bulkhead.plan": None}
LOOK = {"name": "Lock and look", "aiia.bulkhead.preflight": None}


def book(site: Site, *tasks: Mapping[str, Any], **keys: Any) -> Path:
    """A playbook of one's own."""
    path = site.directory / "own.yml"
    whole = {"name": "Own", "hosts": "all", "gather_facts": False, "tasks": [*tasks], **keys}
    path.write_text(yaml.safe_dump([whole], sort_keys=False))
    return path


def words(run: Run) -> str:
    """The output without line ends, which depend on the width of the screen."""
    assert "Traceback" not in run.output, run.output
    return " ".join(run.output.split())


def refused(run: Run) -> str:
    """What a run says that must end before any machine is reached."""
    assert run.code != 0, run.output
    assert "UNREACHABLE" not in run.output, run.output
    return words(run)


@pytest.fixture
def far(site: Site) -> Place:
    """An environment on a machine that does not exist."""
    site.host_variables = {**NOWHERE}
    return site.small()


# ---- -e against the gate ---------------------------------------------------------------------------------------------


def test_e_cannot_make_a_gate_weaker(site: Site) -> None:
    """A privileged service that shares the host's processes, accepted for one run without a trace."""
    site.host_variables = {**NOWHERE}
    place = site.small(services=only(web=web(privileged=True, pid="host")))
    gate = book(site, PROVE)
    said = refused(site.play("-l", "small", "-e", "bulkhead_fail_on=critical", playbook=gate))
    assert f"-e sets bulkhead_fail_on to critical, which is weaker than medium, as it is for {place.prefix}" in said
    assert "privileged" in said, "what it would have hidden is still reported"
    stricter = site.play("-l", "small", "-e", "bulkhead_fail_on=low", playbook=gate)
    assert "-e sets" not in refused(stricter)


def test_what_one_environment_accepts_no_other_has_to(site: Site) -> None:
    """Control: the finding passes where both environments accept it."""
    site.host_variables = {**NOWHERE}
    one, other = site.small("one", "one", fail_on="critical"), site.small("other", "other")
    for place in (one, other):
        ipam = {"config": [{"subnet": "10.231.7.0/24"}]}
        place.variables["bulkhead_compose"] = {"networks": {"default": {"ipam": ipam}}}
    gate = book(site, PROVE)
    assert "overlapping-subnets" in refused(site.play("-l", "one", playbook=gate))
    other.variables["bulkhead_fail_on"] = "critical"
    assert site.play("-l", "one", playbook=gate).code == 0


def test_e_cannot_change_what_an_environment_is_made_of(far: Place) -> None:
    """Control: Ansible itself lets the value of ``-e`` through."""
    far.variables.update(base="/srv/own", bulkhead_directory="{{ base }}/app")
    far.site.write()
    file = far.site.inventory / "group_vars/small/main.yml"
    file.write_text(file.read_text().replace("!unsafe ", ""))
    shown = {"name": "Show", "ansible.builtin.debug": {"msg": "at {{ bulkhead_directory }}"}}
    run = far.site.play("-l", "small", "-e", "base=/srv/prod", playbook=book(far.site, shown, PROVE), write=False)
    assert "at /srv/prod/app" in run.output
    assert "-e sets base, and bulkhead_directory is made from it" in refused(run)


# ---- elsewhere than judged -------------------------------------------------------------------------------------------

#: Keywords by which a task acts on the controller, or with other programs, and what the refusal says.
KEYWORDS: dict[str, tuple[dict[str, Any], str]] = {
    "delegate_to": ({"delegate_to": "localhost"}, "delegate_to: localhost: remove it"),
    "connection": ({"connection": "local"}, "the connection is local"),
    "vars": ({"vars": {"ansible_connection": "local"}}, "the connection is local"),
    "host": ({"vars": {"ansible_host": "192.0.2.9"}}, "ansible_host is '192.0.2.9' here, but '192.0.2.1' in the"),
    "port": ({"port": 2222}, "port: 2222"),
    "python": ({"vars": {"ansible_python_interpreter": "/tmp/x"}}, "ansible_python_interpreter is '/tmp/x' here"),
    "shell": ({"vars": {"ansible_shell_executable": "/tmp/sh"}}, "ansible_shell_executable is '/tmp/sh' here"),
    "environment": ({"environment": {"LD_PRELOAD": "/tmp/x.so"}}, "environment: sets LD_PRELOAD"),
    "become_user": ({"become": True, "become_user": "nobody"}, "become_user: nobody"),
}


def test_a_task_of_ones_own_cannot_act_elsewhere(far: Place, tmp_path: Path) -> None:
    """Controls: the same keywords have tasks of Ansible's own act on the controller, and without any of them nothing
    but the network keeps our action from the machine."""
    tasks: list[dict[str, Any]] = [PROVE]
    for name in ("delegate_to", "connection", "vars"):
        tasks.append({"name": name, "ansible.builtin.raw": f"touch {tmp_path / name}", **KEYWORDS[name][0]})
    tasks += [{**LOOK, **keyword, "ignore_errors": True} for keyword, _reason in KEYWORDS.values()]
    run = far.site.play("-l", "small", playbook=book(far.site, *tasks))
    assert {path.name for path in tmp_path.iterdir()} >= {"delegate_to", "connection", "vars"}
    said = [task.result["msg"] for task in run.tasks if task.action == "aiia.bulkhead.preflight"]
    assert "UNREACHABLE" not in words(run)
    for (_keyword, reason), message in zip(KEYWORDS.values(), said, strict=True):
        assert reason in message
    allowed = {"environment": {"https_proxy": "http://proxy.example.com", "LC_ALL": "C"}}
    assert "UNREACHABLE" in far.site.play("-l", "small", playbook=book(far.site, PROVE, {**LOOK, **allowed})).output


def test_a_play_of_ones_own_cannot_act_elsewhere(far: Place) -> None:
    said = refused(far.site.play("-l", "small", playbook=book(far.site, PROVE, LOOK, connection="local")))
    assert "the connection is local: set ansible_connection: local in group_vars of the environment" in said


@pytest.mark.parametrize("option", ["-e", "--ssh-common-args"])
def test_options_of_ssh_cannot_lead_elsewhere(site: Site, tmp_path: Path, option: str) -> None:
    """Control: ssh runs the proxy that they name, here a program that leaves a mark."""
    site.host_variables = {"ansible_host": "192.0.2.1"}
    site.small()
    marker = tmp_path / "proxied"
    options = f"-oProxyCommand='touch {marker}'"
    given = json.dumps({"ansible_ssh_common_args": options}) if option == "-e" else options
    plain = {"name": "Act", "ansible.builtin.raw": "true", "ignore_unreachable": True}
    site.play("-l", "small", f"{option}={given}" if option != "-e" else "-e", *([given] if option == "-e" else []),
              playbook=book(site, plain))  # fmt: skip
    assert marker.exists()
    marker.unlink()
    arguments = ["-e", given] if option == "-e" else [f"{option}={given}"]
    said = refused(site.play("-l", "small", *arguments, playbook=book(site, PROVE, LOOK)))
    assert "ssh_common_args" in said if option == "-e" else "--ssh-common-args: remove it" in said
    assert not marker.exists()


# ---- modules without their actions -----------------------------------------------------------------------------------


def test_a_module_called_by_path_refuses(tmp_path: Path) -> None:
    """Control: with the permit that the gate's action makes, the same call lists what it would remove."""
    prefix = f"nobody_{tmp_path.name}".lower()

    def call(**options: str) -> str:
        given = {"prefix": prefix, "directory": str(tmp_path), "project": prefix, "image_repository": prefix,
                 "state_directory": str(tmp_path / "state"), **options}  # fmt: skip
        command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-M", str(ROOT / "plugins/modules")]
        command += ["-m", "destroy", "-a", json.dumps(given), "-e", f"ansible_python_interpreter={sys.executable}"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8",
                       "ANSIBLE_MODULE_UTILS": str(ROOT / "plugins/module_utils")}  # fmt: skip
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    assert "the module destroy was called directly" in call()
    permit = hashlib.sha256("\0".join(["bulkhead", "destroy", prefix, ""]).encode()).hexdigest()
    assert "goes: []" in call(permit=permit)
