# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a deployment as a user does, against machines that do not exist: what is refused never gets that far."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from checkout import PLAIN_DISPLAY, ROOT
from unit.fleets import PRODUCTION, STAGING, write

#: An address that nobody has (RFC 5737). A run that is not refused says UNREACHABLE.
NOWHERE = {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=1 -o BatchMode=yes"}


class Run(NamedTuple):
    """How a run ended."""

    code: int
    output: str

    @property
    def words(self) -> str:
        """The output without line ends, which depend on the width of the screen."""
        return " ".join(self.output.split())


def fleet(directory: Path, groups: Mapping[str, Any] | None = None, hosts: Mapping[str, Any] | None = None) -> Path:
    """Production and staging, or other groups, on machines that do not exist."""
    return write(directory / "inventory", groups or {"production": PRODUCTION, "staging": STAGING}, hosts, NOWHERE)


def play(inventory: Path, *options: str, playbook: Path | None = None, **variables: str) -> Run:
    """Run a playbook, the deployment if no other is given."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, playbook or ROOT / "deploy.yml", *options],
        cwd=ROOT,
        env={
            **kept,
            **PLAIN_DISPLAY,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout)


def refused(inventory: Path, *options: str, playbook: Path | None = None, **variables: str) -> str:
    """Run a deployment that must be refused before any host is contacted; returns what it says."""
    run = play(inventory, *options, playbook=playbook, **variables)
    assert run.code != 0, run.output
    assert "UNREACHABLE" not in run.output, run.output
    assert "Traceback" not in run.output, run.output
    return run.words


def book(path: Path, *tasks: Mapping[str, Any], **play_keys: Any) -> Path:
    """A playbook of somebody's own."""
    whole = {"name": "Own", "hosts": "all", "gather_facts": False, "tasks": [*tasks], **play_keys}
    path.write_text(yaml.safe_dump([whole], sort_keys=False))
    return path


def gate_alone(path: Path) -> Path:
    """A playbook of nothing but the plan gate: it tells acceptance from refusal without a host."""
    return book(path, {"name": "Prove", "aiia.bulkhead.plan": None})
