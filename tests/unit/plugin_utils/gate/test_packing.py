# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next module is packed meanwhile, once, by Ansible's own packing, and never at the cost of the run."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.packing import following, packed_ahead

ROOT = Path(__file__).resolve().parents[4]

#: Packs as a step does, and then as Ansible does before it calls the module; in a process with Ansible's own loaders.
PROGRAM = """
from types import SimpleNamespace
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action.normal import ActionModule
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar
init_plugin_loader()
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.packing import packed_ahead

shell = SimpleNamespace(env_prefix=str)
action = ActionModule(
    task=SimpleNamespace(delegate_to=None, collections=[], environment=None, async_val=0, action="aiia.bulkhead.plan"),
    connection=SimpleNamespace(module_implementation_preferences=("",), become=None, _shell=shell),
    play_context=SimpleNamespace(), loader=DataLoader(), templar=Templar(loader=DataLoader()),
    shared_loader_obj=SimpleNamespace(module_loader=module_loader),
)
pack, packed = module_common.recursive_finder, []
module_common.recursive_finder = lambda name, *rest: packed.append(name) or pack(name, *rest)
with packed_ahead(action, {}, "machine_info"):
    pass
for name in ("machine_info", "releases"):
    given = {"ansible_python_interpreter": "/usr/bin/python3"}
    action._configure_module(module_name=f"aiia.bulkhead.{name}", module_args={}, task_vars=given)
print(*packed)
"""


class Action:
    """An action that notes what it packs where Ansible would keep it; in a fork, like the packing itself."""

    def __init__(self, packages: Path) -> None:
        self.packages = packages

    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> None:
        assert not module_args and task_vars["ansible_python_interpreter"]  # no machine is asked for one
        name = f"ansible_collections.aiia.bulkhead.plugins.modules.{module_name.rpartition('.')[2]}-ZIP_DEFLATED-none"
        with (self.packages / name).open("a", encoding="utf-8") as stream:
            stream.write("packed\n")


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Ansible keeps the packages of a run."""
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))
    (tmp_path / "ansiballz_cache").mkdir()
    return tmp_path / "ansiballz_cache"


def packed(packages: Path) -> dict[str, int]:
    """How often each module was packed."""
    return {
        path.name.partition("-")[0].rpartition(".")[2]: len(path.read_text().splitlines())
        for path in packages.iterdir()
    }


def test_ansible_finds_the_package() -> None:
    """Ansible packs nothing that was packed ahead. Control: it does pack another module."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["aiia.bulkhead.releases"], done.stderr


def test_a_package_is_made_once(packages: Path) -> None:
    """Ten environments in one run do not pack ten times."""
    for _environment in range(3):
        with packed_ahead(Action(packages), {}, "machine_info"):
            pass
    assert packed(packages) == {"machine_info": 1}
    with packed_ahead(Action(packages), {}, "verify"):  # another module, control
        pass
    assert packed(packages) == {"machine_info": 1, "verify": 1}


def test_a_package_is_begun_while_the_step_works(packages: Path) -> None:
    with packed_ahead(Action(packages), {}, "verify"):
        until = time.monotonic() + 10
        while not packed(packages) and time.monotonic() < until:
            time.sleep(0.01)
        assert packed(packages) == {"verify": 1}


def test_the_collector_rests_in_the_fork_alone(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(_action: Any, **_given: Any) -> None:
        (packages / "collects").write_text(str(gc.isenabled()))

    monkeypatch.setattr(Action, "_configure_module", pack)
    with packed_ahead(Action(packages), {}, "verify"):
        assert gc.isenabled()
    assert (packages / "collects").read_text() == "False"


def test_what_goes_wrong_is_not_the_run(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_action: Any, **_given: Any) -> None:
        raise AnsibleError("the module was not found")

    monkeypatch.setattr(Action, "_configure_module", fails)
    for name in ("verify", ""):
        with packed_ahead(Action(packages), {}, name):
            pass
    assert packed(packages) == {}


def test_a_step_that_fails_waits_for_nothing(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Action, "_configure_module", lambda _action, **_given: time.sleep(300))
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), packed_ahead(Action(packages), {}, "verify"):
        raise ZeroDivisionError
    assert time.monotonic() - began < 4


def test_the_modules_of_a_deployment_in_their_order() -> None:
    repository, image = {"bulkhead_source_repository": "x"}, {"bulkhead_image": "x", "bulkhead_source_repository": ""}
    assert following("plan") == "preflight"
    assert [following("preflight", "preflight", values) for values in (repository, image, {})] == [
        "source", "image", "converge",
    ]  # fmt: skip
    assert following("source", "source") == following("source", "image") == "converge"
    assert following("converge", "converge") == following("rollback", "rollback") == "verify"
    assert following("verify", "verify") == "record"
    assert following("backup", "preflight") == following("service", "service") == ""
