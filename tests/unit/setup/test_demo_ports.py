# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo takes the guide's ports, or others where one of them is taken, and says by whom."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "setup"))

import demo_ports
import demo_secrets
import steps


def test_the_guides_ports_where_they_are_free() -> None:
    assert demo_ports.chosen(demo_ports.wanted(True), lambda _port: "") == (0, [])


def test_others_where_one_is_taken() -> None:
    taken = {443: "nginx (pid 7)", 10080: "apache2 (pid 8)"}
    offset, said = demo_ports.chosen(demo_ports.wanted(True), lambda port: taken.get(port, ""))
    assert offset == 20000
    assert said == ["port 443 is taken by nginx (pid 7)", "port 10080 is taken by apache2 (pid 8)"]
    # Behind the front door nobody needs 8443.
    assert demo_ports.chosen(demo_ports.wanted(True), lambda port: {8443: "x"}.get(port, ""))[0] == 0
    assert demo_ports.chosen(demo_ports.wanted(False), lambda port: {8443: "x"}.get(port, ""))[0] == 10000


def test_the_demo_stays_where_it_is() -> None:
    """Whoever had 443 may be gone by now."""
    assert demo_ports.chosen(demo_ports.wanted(True), lambda _port: "", {10080, 10443}) == (10000, [])
    assert demo_ports.chosen(demo_ports.wanted(True), lambda _port: "", {10080, 8443}) == (0, [])


def test_a_machine_that_has_none() -> None:
    with pytest.raises(steps.StepFailed, match=r"port 30443 is taken by me; .*BULKHEAD_DEMO_PORT_OFFSET"):
        demo_ports.chosen([443, 444], lambda _port: "me")


def test_who_has_a_port_is_this_process() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert f"(pid {os.getpid()})" in demo_ports.holder(listener.getsockname()[1])


def test_what_a_person_has_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(demo_ports.VARIABLE, "7000")
    monkeypatch.setattr(demo_ports, "own", lambda: pytest.fail("it looked"))
    demo_ports.choose()
    assert os.environ[demo_ports.VARIABLE] == "7000"


@pytest.mark.parametrize(
    ("user", "engine", "wanted", "behind"),
    [
        (0, "", "", True),
        (0, demo_secrets.LOCAL_ENGINE, "", True),
        (0, "ssh://elsewhere", "", False),
        (1000, "", "", False),
        (0, "", "false", False),
    ],
)
def test_a_front_door_needs_root_and_an_engine_of_this_machine(
    user: int, engine: str, wanted: str, behind: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_secrets.os, "geteuid", lambda: user)
    for name, value in (("DOCKER_HOST", engine), ("BULKHEAD_DEMO_EDGE", wanted)):
        monkeypatch.setenv(name, value)
        if not value:
            monkeypatch.delenv(name)
    monkeypatch.setenv("BULKHEAD_DEMO_INVENTORY", str(tmp_path))
    (tmp_path / "group_vars/all").mkdir(parents=True)
    demo_secrets.write_choices()
    written: dict[str, Any] = yaml.safe_load((tmp_path / "group_vars/all/own.yml").read_text())
    assert written.get("bulkhead_edge", True) is behind is demo_secrets.front_door()
