# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of code for the hosts share: Ansible's own module object, and environments that are deployed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.aiia.bulkhead.plugins.module_utils.release import store as releases_module
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.settling import Settling
from unit.module_utils.deployments import Machine, files
from unit.module_utils.rolled import Rolled


@pytest.fixture
def module() -> Iterator[AnsibleModule]:
    """The real thing: what a module on a host has."""
    with patch_module_args({}):
        yield AnsibleModule(argument_spec={})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which nothing is deployed yet."""
    return Machine(tmp_path / "env")


@pytest.fixture
def deployed(machine: Machine) -> Machine:
    """A machine with an environment."""
    machine.deploy()
    machine.engine.calls.clear()
    return machine


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for nginx, nor for the disk."""
    monkeypatch.setattr(Settling, "before", lambda _settling, _way: None)
    monkeypatch.setattr(Settling, "after", lambda _settling, _way="": None)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def rolled(tmp_path: Path, quick: None) -> Rolled:
    """An environment whose application is replaced without a gap; somebody has to serve at every call."""
    machine = Rolled(tmp_path / "env")
    machine.deploy()
    machine.engine.calls.clear()
    machine.watch()
    return machine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Releases are named by the second: each deployment gets one of its own."""
    seconds, real = [0], time.strftime

    def strftime(form: str, _when: object) -> str:
        seconds[0] += 1
        return real(form, time.gmtime(seconds[0]))

    monkeypatch.setattr(releases_module.time, "strftime", strftime)
    yield seconds


@pytest.fixture
def three(tmp_path: Path, clock: list[int]) -> Machine:
    """An environment with three releases, of which the last is in force."""
    machine = Machine(tmp_path / "env")
    for number in (1, 2, 3):
        machine.deploy(**files(web=f"web:{number}", conf=str(number)), commit=f"c{number}", keep_releases=3)
    return machine
