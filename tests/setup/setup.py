# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make setup` does: Python packages, the collection's link, an engine. What is done already is not done again."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import engine_state
from steps import REPOSITORY, StepFailed, Steps, call, call_quietly

VENV = REPOSITORY / ".venv"
STAMP = VENV / ".requirements"
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
LINK = REPOSITORY / ".ansible/collections/ansible_collections/aiia/bulkhead"
PYTHON_MINIMUM = (3, 11)


def requirements_digest() -> str:
    """Changes with the wanted packages and with the directory: a moved venv has the wrong paths in its scripts."""
    digest = hashlib.sha256(str(VENV).encode())
    for name in REQUIREMENTS:
        digest.update((REPOSITORY / name).read_bytes())
    return digest.hexdigest()


def venv_is_current() -> bool:
    python = VENV / "bin/python"
    if not STAMP.is_file() or STAMP.read_text(encoding="utf-8") != requirements_digest():
        return False
    return subprocess.run([str(python), "-c", ""], check=False, capture_output=True).returncode == 0


def ensure_venv_module() -> None:
    """Debian keeps what `python3 -m venv` needs in a package of its own."""
    if importlib.util.find_spec("ensurepip") is not None:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        call_quietly(["apt-get", "update", "-q"])
        call_quietly(["apt-get", "install", "-qy", "--no-install-recommends", "python3-venv"])
        return
    raise StepFailed(
        f"{sys.executable} has no ensurepip, so it cannot make a virtual environment. Have root install it"
        " (`apt-get install python3-venv` on Debian and Ubuntu), then run this command again."
    )


def make_venv() -> None:
    """Build the virtual environment; the stamp goes last, so that a broken-off run is done again."""
    if VENV.is_symlink():
        raise StepFailed(
            f"{VENV} is a link to {VENV.resolve()}, which may be another checkout's: making it anew would empty that."
            f" Remove the link (`rm {VENV}`), then run this command again."
        )
    ensure_venv_module()
    STAMP.unlink(missing_ok=True)
    call_quietly([sys.executable, "-m", "venv", "--clear", str(VENV)])
    call_quietly([str(VENV / "bin/python"), "-m", "pip", "install", "-qq", "-r", REQUIREMENTS[-1]])
    STAMP.write_text(requirements_digest(), encoding="utf-8")


def make_link() -> None:
    """Let Ansible find this checkout under the collection's full name."""
    target = os.path.relpath(REPOSITORY, LINK.parent)
    if LINK.is_symlink() and str(LINK.readlink()) == target:
        return
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to(target)


def provision() -> None:
    """Run the collection's own role against this machine."""
    system_python = "/usr/bin/python3"
    interpreter = system_python if os.access(system_python, os.X_OK) else sys.executable
    call(
        [
            str(VENV / "bin/ansible-playbook"),
            "--inventory=localhost,",
            "--connection=local",
            "--extra-vars=ansible_become=false",
            f"--extra-vars=ansible_python_interpreter={interpreter}",
            "playbooks/provision.yml",
        ],
        env={"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false", "ANSIBLE_DISPLAY_OK_HOSTS": "false"},
    )


def ensure_engine() -> str:
    """Leave an engine that answers alone; start or install one where root may; say what to do elsewhere."""
    state = engine_state.look()
    if not state.ready:
        to_do = engine_state.advice(state, os.geteuid() == 0, os.environ)
        if to_do:
            raise StepFailed(to_do)
        provision()
        state = engine_state.look()
    if not state.ready:
        raise StepFailed(f"The engine was set up, and still something is missing: {state}")
    return f"engine {state.engine}, Compose {state.compose}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-engine", action="store_true", help="Python packages and link only")
    arguments = parser.parse_args()
    if sys.version_info < PYTHON_MINIMUM:
        print(
            f"error: Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}.\n"
            "Name another one: make PYTHON=python3.12 …",
            file=sys.stderr,
        )
        return 1
    lock = Path(REPOSITORY / ".cache/setup.lock")
    lock.parent.mkdir(exist_ok=True)
    steps = Steps(1 if arguments.no_engine else 2)
    with lock.open("w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            if venv_is_current():
                make_link()
                if not arguments.no_engine and engine_state.look().ready:
                    return 0
            steps.begin("Python packages")
            if venv_is_current():
                steps.end("there")
            else:
                make_venv()
                steps.end()
            make_link()
            if not arguments.no_engine:
                steps.begin("Docker engine")
                steps.end(ensure_engine())
        except StepFailed as failure:
            print(f"\nerror: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
