# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mount in which no link is followed, made now and when the machine starts: for real, which needs root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import no_links, places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorError


class Machine:
    """An engine whose machine has a systemd that is told things."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fails = False

    def tool(self, *command: str) -> tuple[int, str, str]:
        self.told.append(" ".join(command))
        return (1, "", "no such unit") if self.fails else (0, "", "")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory whose name is as difficult as one can be, with routes of two environments."""
    for name, place in (("SYSTEMD", tmp_path), ("UNITS", tmp_path / "units"), ("_SCRIPTS", tmp_path / "scripts")):
        monkeypatch.setattr(no_links, name, str(place))
    found = tmp_path / "state 50%"
    routes = Path(places.routes(str(found)))
    routes.mkdir(parents=True)
    for name in ("aiia_prod.json", "aiia_staging.json", ".aiia_staging.json.bulkhead-7", "notes.txt"):
        (routes / name).touch()
    yield found
    subprocess.run(["umount", "--lazy", places.sockets(str(found))], check=False, capture_output=True)


def test_what_systemd_is_given(state: Path) -> None:
    machine = Machine()
    assert no_links.keep_over_a_boot(machine, str(state))
    (unit,) = Path(no_links.UNITS).iterdir()
    (script,) = Path(no_links._SCRIPTS).iterdir()
    text = unit.read_text(encoding="utf-8")
    assert f'RequiresMountsFor="{str(state).replace("%", "%%")}"\n' in text and "Before=docker.service\n" in text
    assert f'ExecStart=/usr/bin/env python3 "{script}"\n' in text
    assert (script.stat().st_mode & 0o777, unit.stat().st_mode & 0o777) == (0o700, 0o644)
    assert machine.told == ["systemctl daemon-reload", f"systemctl enable {unit.name}"]
    assert not no_links.keep_over_a_boot(machine, str(state)) and len(machine.told) == 2


def test_systemd_refuses(state: Path) -> None:
    machine = Machine()
    machine.fails = True
    with pytest.raises(DoorError, match="systemctl daemon-reload failed") as caught:
        no_links.keep_over_a_boot(machine, str(state))
    assert caught.value.detail == "no such unit"


def test_without_systemd_nothing_is_written(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(no_links, "SYSTEMD", str(state / "none"))
    machine = Machine()
    assert not no_links.keep_over_a_boot(machine, str(state))
    assert machine.told == [] and not Path(no_links.UNITS).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("first", ["now", "boot"])
def test_the_mount_now_and_when_the_machine_starts(state: Path, first: str) -> None:
    no_links.keep_over_a_boot(Machine(), str(state))
    (script,) = Path(no_links._SCRIPTS).iterdir()
    base = Path(places.sockets(str(state)))
    steps = [lambda: no_links.mount(str(base)), lambda: subprocess.run([sys.executable, script], check=True)]
    for step in steps if first == "now" else steps[::-1]:
        step()
        assert no_links.is_mounted(str(base))
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    assert len([line for line in mounts if f" {no_links._escaped(str(base))} " in line]) == 1, "one upon the other"
    assert {path.name for path in base.iterdir()} == {"aiia_prod", "aiia_staging"}
    assert {path.stat().st_mode & 0o777 for path in (base, *base.iterdir())} == {0o711}
    (base / "aiia_staging/link").symlink_to("../aiia_prod")
    with pytest.raises(OSError, match="symbolic"):
        (base / "aiia_staging/link").stat()
