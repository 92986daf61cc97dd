# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schedule of backups under a real systemd, in a container that is a machine of its own beside the engine's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import schedule as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.job import unit_name
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.schedule import Schedule
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.scheduled_run import Runner
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import no_links, places
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.schedules import Times, times
from observe import eventually, far_away
from support import ROOT, Place, Site, docker, only, web

SOCKET = Path("/var/run/docker.sock")
#: What systemd needs of an engine that cannot give a container all rights. Version 256 and later wants to be asked for
#: a machine with cgroup v1; the words of its command line are the kernel's in a container.
RIGHTS = [
    ["--privileged"],
    ["--cap-add=ALL", *(f"--security-opt={option}=unconfined" for option in ("seccomp", "apparmor", "systempaths"))],
]
INIT = ["/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]


@pytest.fixture(scope="module")
def image() -> str:
    """A Debian with systemd and Docker's client."""
    subprocess.run([sys.executable, str(ROOT / "tests/images/servers.py"), "--only", "machine"], check=True)
    return "bulkhead-test/machine:trixie"


def due(when: Times, after: datetime) -> datetime:
    """The first minute after a moment at which a schedule is due, found by trying them all."""
    each = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while (each.minute, each.hour in when.hours) != (when.minute, True) or (when.weekly and each.isoweekday() != 7):
        each += timedelta(minutes=1)
    return each


def test_the_units_are_what_systemd_takes_them_for(image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd itself reads the units that a schedule writes, and knows the very minutes that are meant."""
    units, state = tmp_path / "units", tmp_path / "state 50%"
    units.mkdir()
    monkeypatch.setattr(module, "SYSTEMD", str(tmp_path))
    monkeypatch.setattr(module, "UNITS", str(units))
    monkeypatch.setattr(Schedule, "_systemctl", lambda *_args: None)
    wanted = {word: times(word, "aiia_prod") for word in ("hourly", "6h", "daily", "weekly", "03:30", "23:59")}
    for number, when in enumerate(wanted.values()):
        schedule = Schedule(Engine(Runner(), ""), f"aiia_pr-{number}", str(state))
        schedule.bring({"cron": when.cron, "calendar": when.calendar, "docker_host": "", "backup": {}})
    now = datetime.now(UTC)
    calendar = ["systemd-analyze", "calendar", f"--base-time=@{int(now.timestamp())}", "--iterations=3"]
    script = f'{" ".join(calendar)} "$@" && exec systemd-analyze verify --man=no /etc/systemd/system/bulkhead-*'
    mounts = ["--volume", f"{units}:/etc/systemd/system:ro", "--volume", f"{state}:{state}:ro"]
    command = ["docker", "run", "--rm", "--network", "none", "--tmpfs", "/run", *mounts, image, "sh", "-ec", script]
    said = subprocess.run(
        [*command, "-", *(when.calendar for when in wanted.values())],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0 and "bulkhead-" not in said.stdout, said.stdout
    found = re.findall(r"(?:Next elapse|Iteration #\d): \w+ (\S+ \S+) UTC", said.stdout)
    moments = [datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) for moment in found]
    expected = []
    for when in wanted.values():
        expected += [first := due(when, now), second := due(when, first), due(when, second)]
    assert moments == expected, said.stdout


class Machine:
    """A container whose first process is systemd, and that shares the engine and one directory with this machine."""

    def __init__(self, site: Site, image: str) -> None:
        self.name = f"{site.project}-machine"
        shared = ["--volume", f"{site.directory}:{site.directory}", "--volume", f"{SOCKET.resolve()}:/run/docker.sock"]
        how = ["--name", self.name, "--cgroupns", "private", "--env", "container=docker", "--tmpfs", "/run", *shared]
        how += ["--label", f"io.bulkhead.project={site.project}", "--stop-signal", "SIGRTMIN+3"]
        for rights in RIGHTS:
            started = docker("run", "--detach", *how, *rights, image, *INIT, check=False)
            if started:
                break
            docker("rm", "--force", self.name, check=False)
        eventually(lambda: self.run("test", "-S", "/run/dbus/system_bus_socket").returncode == 0, 120)
        state = self.run("systemctl", "is-system-running", "--wait").stdout.strip()
        assert state in ("running", "degraded"), docker("logs", self.name, check=False)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return subprocess.run(["docker", "exec", self.name, *command], capture_output=True, text=True, check=False)

    def units(self, pattern: str) -> list[str]:
        """Everything that systemd knows of these names: loaded, failed, enabled or only a file."""
        found = []
        for listing in ("list-units", "list-unit-files", "list-timers"):
            lines = self.run("systemctl", listing, "--all", "--plain", "--no-legend", pattern).stdout.splitlines()
            found += lines
        return found

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        lines = self.run("systemctl", "show", unit, f"--property={','.join(names)}").stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def machine(site: Site, image: str) -> Iterator[Machine]:
    if not SOCKET.exists() or os.geteuid() != 0:
        pytest.skip("needs the engine's socket, and root, whose files the container's are")
    made = Machine(site, image)
    try:
        yield made
    finally:
        docker("rm", "--force", "--volumes", made.name, check=False)


def _place(site: Site, machine: Machine) -> Place:
    """An environment of one service with files, deployed to the machine that is a container."""
    site.host_variables = {
        "ansible_connection": "community.docker.docker",
        "ansible_host": machine.name,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    keeps = {"backup": {"kind": "files", "path": "/srv/storage"}}
    kept = web(volumes=["storage:/srv/storage"], **{"x-bulkhead": keeps})
    return site.small("staging", "staging", services=only(web=kept), backup_schedule=far_away())


def _last(site: Site, place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (site.directory / "machine-state/schedules" / place.prefix / "last.json").read_text()
    )
    return found


def _front_doors_sockets(site: Site, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine with a front door does when it starts: systemd takes the unit, and its script makes the mount."""
    state = site.directory / "state 50%"
    routes, made = Path(places.routes(str(state))), site.directory / "units"
    routes.mkdir(parents=True)
    (routes / "aiia_staging.json").touch()
    monkeypatch.setattr(no_links, "SYSTEMD", str(site.directory))
    monkeypatch.setattr(no_links, "UNITS", str(made))
    monkeypatch.setattr(no_links, "_SCRIPTS", str(made / "scripts"))
    assert no_links.keep_over_a_boot(_Tools(), str(state))
    (unit,) = made.glob("*.service")
    assert machine.run("systemctl", "enable", "--now", str(unit)).returncode == 0, machine.run(
        "journalctl", "--unit", unit.name
    ).stdout
    mounts = machine.run("cat", "/proc/1/mountinfo").stdout
    assert [line for line in mounts.splitlines() if "state\\04050%/edge/sockets " in line and "nosymfollow" in line]
    assert machine.run("ls", places.sockets(str(state))).stdout == "aiia_staging\n"
    shown = machine.show(unit.name, "Before", "RequiresMountsFor", "ActiveState")
    assert "docker.service" in shown["Before"].split() and shown["ActiveState"] == "active"
    assert shown["RequiresMountsFor"].strip('"') == str(state)
    assert machine.run("systemctl", "disable", "--now", unit.name).returncode == 0
    machine.run("umount", places.sockets(str(state)))


class _Tools:
    """An engine whose machine runs another systemd."""

    def tool(self, *_command: str) -> tuple[int, str, str]:
        return 0, "", ""


def test_systemd_backs_up_says_when_it_fails_and_forgets(
    site: Site, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deployed, due, run, failed, told of, and taken away with nothing left of it."""
    place = _place(site, machine)
    place.deploy().succeeded()
    name, when = unit_name(place.prefix), times(place.variables["bulkhead_backup_schedule"], place.prefix)
    next_time = machine.show(f"{name}.timer", "NextElapseUSecRealtime")["NextElapseUSecRealtime"]
    expected = due(when, datetime.now(UTC))
    assert next_time == f"{expected:%a %Y-%m-%d %H:%M:%S} UTC"
    timers = machine.run("systemctl", "list-timers", "--no-legend").stdout
    assert re.search(rf"{expected:%Y-%m-%d %H:%M}:00 UTC .* {name}\.timer +{name}\.service", timers), timers
    assert machine.run("systemctl", "is-enabled", f"{name}.timer").stdout == "enabled\n"

    docker("exec", f"{place.prefix}_web", "sh", "-c", "echo kept > /srv/storage/one")
    started = machine.run("systemctl", "start", f"{name}.service")
    assert started.returncode == 0, started.stderr + machine.run("journalctl", "--unit", name).stdout
    made = Path(_last(site, place)["message"])
    manifest = json.loads((made / "manifest.json").read_text())
    assert (manifest["trigger"], manifest["parts"][0]["files"]) == ("schedule", 1)
    assert machine.show(f"{name}.service", "Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}

    docker("rm", "--force", f"{place.prefix}_web")
    began = time.monotonic()
    failed = machine.run("systemctl", "start", f"{name}.service")
    assert failed.returncode == 1 and time.monotonic() - began < 60
    assert machine.run("systemctl", "is-failed", f"{name}.service").stdout == "failed\n"
    # The journal writes down what a unit says when it gets to it.
    eventually(lambda: "no container to copy /srv/storage from" in machine.run("journalctl", "--unit", name).stdout)
    listed = site.play("-l", "staging", playbook="playbooks/backups.yml").succeeded().output
    assert made.name in listed, listed
    assert re.search(r"the last scheduled backup \(\S+\) failed: .*no container to copy", listed), listed

    _front_doors_sockets(site, machine, monkeypatch)
    place.variables["bulkhead_backup_schedule"] = ""
    place.deploy().succeeded()
    assert machine.units("*bulkhead*") == []
    left = machine.run("find", "/etc", "/run/systemd", "/var/lib/systemd", "-name", "*bulkhead*").stdout
    assert left == ""
