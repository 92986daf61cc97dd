# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the programs that are measured, each in an environment of its own, and fail loudly where one fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import guards

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SCRATCH = ROOT / ".cache" / "bench"


class Failed(Exception):
    """A program that did not do what is being measured; its last lines are the message."""


def remove_guards(project: str) -> None:
    """Remove the guards of a project's environments from the machine's firewall."""
    guards.remove_guards(project)


class Work(NamedTuple):
    """What a playbook run consists of."""

    tasks: int
    module_calls: int


def run(command: Sequence[str], variables: Mapping[str, str] | None = None, cwd: Path = ROOT) -> str:
    """Run a program and return its output."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    environment = {
        **kept,
        "LANG": "C.UTF-8",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        **(variables or {}),
    }
    done = subprocess.run(
        list(command), cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        tail = "\n  ".join(done.stdout.strip().splitlines()[-25:])
        raise Failed(f"{' '.join(map(str, command))} ended with exit code {done.returncode}:\n  {tail}")
    return done.stdout


def playbook(name: Path | str, inventory: Path, *options: str, variables: Mapping[str, str] | None = None) -> str:
    """Run a playbook over an inventory."""
    return run([str(BIN / "ansible-playbook"), "-i", str(inventory), str(name), *options], variables)


def must_not_change(output: str) -> str:
    """Raise Failed where a run changed something: then it was not the run that is being measured."""
    changed = re.findall(r"\bchanged=([1-9]\d*)", output)
    if changed or "ok=" not in output:
        raise Failed("a run that should change nothing said:\n  " + "\n  ".join(output.splitlines()[-25:]))
    return output


def work_of(output: str) -> Work:
    """Count tasks and module calls in the output of a run with -vvv."""
    return Work(len(re.findall(r"^TASK \[", output, re.M)), output.count("Using module file "))
