# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ansible-test sanity` on the oldest and the newest supported core, each in an environment of its own: what is
released on both, and on the newest this repository's tests as well.

ansible-test wants the collection under a real path `ansible_collections/aiia/bulkhead`, outside of any repository that
ignores it, so the files are copied there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from stages.tools import CACHE, build_archive, copy_collection, run_tool

SANITY = CACHE / "sanity"
CORES = {
    "oldest": ("ansible-core>=2.19,<2.20", ("3.11",)),
    "newest": ("ansible-core>=2.21,<2.22", ("3.13", "3.12")),
}
#: Those on which the tests are read too. They are never run by another core than that of this environment.
WHOLE = ("newest",)
# ansible-test fetches this script from the network, to put pip into its environments; Python brings a pip itself.
GET_PIP = """\
import ensurepip, os, subprocess, sys
environment = {name: value for name, value in os.environ.items() if name != "GET_PIP"}
ensurepip.bootstrap()
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments], env=environment))
"""


def find_python(version: str) -> Path | None:
    """An interpreter of that version that runs: one in the PATH may be a shim with nothing behind it."""
    candidates = [Path(sys.executable), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    if named := shutil.which(f"python{version}"):
        candidates.insert(1, Path(named))
    for candidate in candidates:
        command = [str(candidate), "-c", "import sys, ensurepip; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def prepare_core(name: str, requirement: str, python: Path) -> Path:
    """A virtual environment with that core and nothing else; made once."""
    venv = SANITY / name
    stamp = venv / ".requirement"
    wanted = f"{requirement} {python}"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        run_tool(f"sanity-{name}-venv", [str(python), "-m", "venv", "--clear", str(venv)])
        run_tool(f"sanity-{name}-core", [str(venv / "bin/python"), "-m", "pip", "install", "-qq", requirement])
        stamp.write_text(wanted, encoding="utf-8")
    return venv


def prepare_pip(venv: Path, home: Path) -> None:
    """Have what ansible-test would fetch, under the name of the version that it asks for."""
    [source] = venv.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py")
    versions = set(re.findall(r"""\bpip='([0-9.]+)'""", source.read_text(encoding="utf-8")))
    assert versions, f"{source} names no version of pip"
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in versions:
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(GET_PIP, encoding="utf-8")


def released(parent: Path) -> Path:
    """What the archive holds, at a path as ansible-test wants it."""
    target = parent / "ansible_collections/aiia/bulkhead"
    shutil.unpack_archive(build_archive(copy_collection(parent / "source"), parent), target)
    return target


def sanity(name: str) -> str:
    requirement, versions = CORES[name]
    found = [(version, python) for version in versions if (python := find_python(version))]
    if not found:
        pytest.skip(
            f"{requirement} needs Python {' or '.join(versions)}, and none is in the PATH or in ~/.pyenv/versions"
        )
    version, python = found[0]
    venv = prepare_core(name, requirement, python)
    home = SANITY / "home"
    prepare_pip(venv, home)
    pip_configuration = Path.home() / ".config/pip/pip.conf"
    environment = {
        "HOME": str(home),
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",
        **({"PIP_CONFIG_FILE": str(pip_configuration)} if pip_configuration.exists() else {}),
    }
    command = [str(venv / "bin/ansible-test"), "sanity", "--local", "--color", "no", "--python", version]
    with tempfile.TemporaryDirectory(prefix="bulkhead-sanity-") as parent:
        tree = copy_collection(Path(parent)) if name in WHOLE else released(Path(parent))
        return run_tool(f"sanity-{name}", command, environment, tree, complaint="^(ERROR|FATAL): ")


@pytest.mark.parametrize("name", CORES)
def test_sanity(name: str) -> None:
    ran = re.findall(r"^Running sanity test \"([a-z0-9-]+)\"", sanity(name), re.MULTILINE)
    assert {"validate-modules", "import", "pylint", "yamllint"} <= set(ran)
