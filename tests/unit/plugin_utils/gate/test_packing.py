# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next modules are packed meanwhile, once, by Ansible's own packing, and never at the cost of the run."""

from __future__ import annotations

import gc
import marshal
import os
import subprocess
import sys
import time
import warnings
import zipfile
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.package import bytecode
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.packing import following, packed_ahead

ROOT = Path(__file__).resolve().parents[4]

#: Packs as a step does, and then as Ansible does before it calls the module; in a process with Ansible's own loaders.
PROGRAM = """
import base64, os, sys, zipfile
from types import SimpleNamespace
from ansible import constants as C
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action.normal import ActionModule
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar
init_plugin_loader()
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.package import bytecode
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.packing import packed_ahead

shell = SimpleNamespace(env_prefix=str)
action = ActionModule(
    task=SimpleNamespace(delegate_to=None, collections=[], environment=None, async_val=0, action="aiia.bulkhead.plan"),
    connection=SimpleNamespace(
        module_implementation_preferences=("",), become=None, _shell=shell, transport=sys.argv[1]
    ),
    play_context=SimpleNamespace(), loader=DataLoader(), templar=Templar(loader=DataLoader()),
    shared_loader_obj=SimpleNamespace(module_loader=module_loader),
)
pack, packed = module_common.recursive_finder, []
def note(name, *rest):
    packed.append(name)
    with open(sys.argv[2] + ".made", "a") as made:  # by the fork, too
        made.write(name + "\\n")
    return pack(name, *rest)
module_common.recursive_finder = note
with packed_ahead(action, {}, ("machine_info",)):
    pass
for name in ("machine_info", "releases"):
    given = {"ansible_python_interpreter": "/usr/bin/python3"}
    action._configure_module(module_name=f"aiia.bulkhead.{name}", module_args={}, task_vars=given)
print(*packed)
cache = os.path.join(C.DEFAULT_LOCAL_TMP, "ansiballz_cache")
[path] = [os.path.join(cache, name) for name in os.listdir(cache) if ".machine_info-" in name and name[-5:] != ".lock"]
with open(sys.argv[2], "wb") as package:
    package.write(base64.b64decode(module_common._CachedModule.load(path).zip_data))
assert zipfile.ZipFile.__module__ == "zipfile", "the class of the fork reached the run"
"""


class Action:
    """An action that notes what it packs where Ansible would keep it; in a fork, like the packing itself."""

    _connection = SimpleNamespace(transport="local")

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
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))  # packages of earlier runs, too
    (tmp_path / "ansiballz_cache").mkdir()
    return tmp_path / "ansiballz_cache"


def packed(packages: Path) -> dict[str, int]:
    """How often each module was packed."""
    return {
        path.name.partition("-")[0].rpartition(".")[2]: len(path.read_text().splitlines())
        for path in packages.iterdir()
    }


def package(transport: str, path: Path, **variables: str) -> list[str]:
    """Pack ``machine_info`` for a connection. Returns what Ansible packed itself after that."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PYTHONDONTWRITEBYTECODE": ""}
    environment |= {"PYTHONPYCACHEPREFIX": str(path.parent / "kept"), **variables}
    command = [sys.executable, "-c", PROGRAM, transport, str(path)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def origins(path: Path) -> tuple[str, ...]:
    """Where Python takes three modules from that lie in a package: ours, Ansible's, and a package of Ansible's."""
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import ansible_collections.aiia.bulkhead.plugins.modules.machine_info as ours, ansible.module_utils.basic as basic
import ansible.module_utils.common as common
print(ours.__file__, basic.__file__, common.__file__)
"""
    command = [sys.executable, "-I", "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(one.removeprefix(f"{path}/") for one in done.stdout.split())


@pytest.mark.parametrize("transport", ["local", "ssh"])
def test_ansible_finds_the_package(transport: str, tmp_path: Path) -> None:
    """Ansible packs nothing that was packed ahead. Control: it does pack another module."""
    assert package(transport, tmp_path / "package.zip") == ["aiia.bulkhead.releases"]


def test_a_later_run_makes_no_package(tmp_path: Path) -> None:
    """The package of an earlier run is taken whole, and that of the other kind of connection is another one."""
    own = "aiia.bulkhead.releases"
    assert package("local", tmp_path / "first.zip") == [own]
    assert package("local", tmp_path / "second.zip") == [own]
    assert package("ssh", tmp_path / "third.zip") == [own]
    made = {name: (tmp_path / f"{name}.zip.made").read_text().split() for name in ("first", "second", "third")}
    both = ["aiia.bulkhead.machine_info", own]
    assert made == {"first": both, "second": [own], "third": both}
    assert (tmp_path / "second.zip").read_bytes() == (tmp_path / "first.zip").read_bytes()


def test_bytecode_crosses_no_network(tmp_path: Path) -> None:
    """It is three times as large. Where it is there, each source is there too, and Python takes the bytecode."""
    package("ssh", tmp_path / "ssh.zip")
    package("local", tmp_path / "local.zip")
    sent, here = (zipfile.ZipFile(tmp_path / name).namelist() for name in ("ssh.zip", "local.zip"))
    compiled = {name for name in here if name.endswith(".pyc")}
    assert sorted(sent) == sorted({*here} - compiled)
    assert compiled == {f"{name}c" for name in sent}
    assert all(name.endswith("c") for name in origins(tmp_path / "local.zip"))
    assert not any(name.endswith("c") for name in origins(tmp_path / "ssh.zip"))


def test_another_python_compiles_the_source(tmp_path: Path) -> None:
    """Python ignores bytecode of another version, which its first bytes name."""
    package("local", tmp_path / "local.zip")
    with zipfile.ZipFile(tmp_path / "local.zip") as ours, zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        for name in ours.namelist():
            content = ours.read(name)
            other.writestr(name, b"\0\0\r\n" + content[4:] if name.endswith(".pyc") else content)
    found = origins(tmp_path / "other.zip")
    assert len(found) == 3 and not any(name.endswith("c") for name in found)


def test_bytecode_is_that_of_the_source() -> None:
    """In the form of PEP 552. Python would warn of how this source is written, in the middle of a run."""
    source = b'found = "\\d"'
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = bytecode("ansible_collections/x.py", source)
    assert content[:16] == MAGIC_NUMBER + b"\1\0\0\0" + source_hash(source)
    assert "\\d" in marshal.loads(content[16:]).co_consts


def test_bytecode_that_is_not_kept_is_not_made(tmp_path: Path) -> None:
    """Compiling it for each run takes as long as it saves."""
    package("local", tmp_path / "local.zip", PYTHONDONTWRITEBYTECODE="1")
    assert not [name for name in zipfile.ZipFile(tmp_path / "local.zip").namelist() if name.endswith(".pyc")]


def test_a_package_is_made_once(packages: Path) -> None:
    """Ten environments in one run do not pack ten times."""
    for _environment in range(3):
        with packed_ahead(Action(packages), {}, ("machine_info",)):
            pass
    assert packed(packages) == {"machine_info": 1}
    with packed_ahead(Action(packages), {}, ("verify",)):  # another module, control
        pass
    assert packed(packages) == {"machine_info": 1, "verify": 1}


def test_a_package_is_begun_while_the_step_works(packages: Path) -> None:
    with packed_ahead(Action(packages), {}, ("verify",)):
        until = time.monotonic() + 10
        while not packed(packages) and time.monotonic() < until:
            time.sleep(0.01)
        assert packed(packages) == {"verify": 1}


def test_the_collector_rests_in_the_fork_alone(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(_action: Any, **_given: Any) -> None:
        (packages / "collects").write_text(str(gc.isenabled()))

    monkeypatch.setattr(Action, "_configure_module", pack)
    with packed_ahead(Action(packages), {}, ("verify",)):
        assert gc.isenabled()
    assert (packages / "collects").read_text() == "False"


def test_what_goes_wrong_is_not_the_run(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_action: Any, **_given: Any) -> None:
        raise AnsibleError("the module was not found")

    monkeypatch.setattr(Action, "_configure_module", fails)
    for names in (("verify",), ()):
        with packed_ahead(Action(packages), {}, names):
            pass
    assert packed(packages) == {}


def test_a_step_that_fails_waits_for_nothing(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Action, "_configure_module", lambda _action, **_given: time.sleep(300))
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), packed_ahead(Action(packages), {}, ("verify",)):
        raise ZeroDivisionError
    assert time.monotonic() - began < 4


def test_what_is_there_already_leaves_room_for_what_follows(packages: Path) -> None:
    """One is packed in the time of a module, and two in that of the proof, however many were packed before."""
    for expected in (["preflight", "source"], ["converge"], ["verify"], []):
        before = packed(packages)
        with packed_ahead(Action(packages), {}, ("preflight", "source", "converge", "verify"), 1 if before else 2):
            pass
        assert [name for name in packed(packages) if name not in before] == expected


def test_the_modules_of_a_deployment_in_their_order() -> None:
    repository, image = {"bulkhead_source_repository": "x"}, {"bulkhead_image": "x", "bulkhead_source_repository": ""}
    releasing = ("converge", "verify", "record")
    assert following("plan") == ("preflight", "source", *releasing)
    assert [following("preflight", "preflight", values) for values in (repository, image, {})] == [
        ("source", *releasing), ("image", *releasing), releasing,
    ]  # fmt: skip
    assert following("source", "source") == following("source", "image", image) == releasing
    assert following("converge", "converge") == following("rollback", "rollback") == releasing[1:]
    assert following("verify", "machine_info") == releasing[1:]
    assert following("verify", "verify") == ("record",)
    assert following("backup", "preflight") == following("service", "service") == ()
