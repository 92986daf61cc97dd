# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role engine would install where. Debian is also tried for real, by molecule; Ubuntu only here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[3] / "roles/engine"

DEBIAN = {"engine": ["docker.io", "docker-cli"], "compose": ["docker-compose"], "buildx": ["docker-buildx"]}
UBUNTU = {"engine": ["docker.io"], "compose": ["docker-compose-v2"], "buildx": ["docker-buildx"]}
PLATFORMS = [
    # distribution, version, major version, codename, parts, suite
    ("Debian", "12.11", "12", "bookworm", DEBIAN, "trixie"),
    ("Debian", "13.1", "13", "trixie", DEBIAN, None),
    ("Ubuntu", "22.04", "22", "jammy", UBUNTU, None),
    ("Ubuntu", "24.04", "24", "noble", UBUNTU, None),
]
BARE = (
    "uid",
    "daemon",
    "client",
    "engine",
    "compose",
    "buildx",
    "package",
    "pinned",
    "docker_source",
    "flags",
    "config",
    "age",
)


class Machine:
    """The role's own variables, over the facts and the probe's answer of a machine that is not there."""

    def __init__(self, distribution: str, version: str, major: str, found: dict[str, str], **variables: Any) -> None:
        loader = DataLoader()
        lines = [f"{key}={value}" for key, value in {**dict.fromkeys(BARE, ""), **found}.items()]
        values: dict[str, Any] = {
            "ansible_facts": {
                "distribution": distribution,
                "distribution_version": version,
                "distribution_major_version": major,
                "service_mgr": "systemd",
            },
            "_engine_probe": {"stdout_lines": lines},
        }
        for name in ("defaults/main.yml", "vars/main.yml"):
            values.update(loader.load_from_file(str(ROLE / name), trusted_as_template=True))
        self._templar = Templar(loader, variables={**values, **variables})

    def value(self, name: str) -> Any:
        return self._templar.template(trust_as_template("{{ " + name + " }}"))

    def render(self, template: str) -> str:
        return self._templar.template(trust_as_template((ROLE / "templates" / template).read_text(encoding="utf-8")))


def fields(source: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in source.splitlines() if line and not line.startswith("#"))


def test_the_table_has_exactly_the_promised_platforms() -> None:
    table = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))["_engine_platforms"]
    assert sorted(table) == ["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04"]


@pytest.mark.parametrize(("distribution", "version", "major", "codename", "parts", "suite"), PLATFORMS)
def test_bare_machine_gets_the_distributions_packages(
    distribution: str, version: str, major: str, codename: str, parts: dict[str, list[str]], suite: str | None
) -> None:
    machine = Machine(distribution, version, major, {})
    assert machine.value("_engine_missing") == ["engine", "compose", "buildx"]
    assert machine.value("_engine_parts") == parts
    assert machine.value("_engine_platform.codename") == codename
    assert machine.value("_engine_from_suite") is (suite is not None)


@pytest.mark.parametrize(("distribution", "version", "major", "codename", "parts", "suite"), PLATFORMS)
def test_dockers_own_repository(
    distribution: str, version: str, major: str, codename: str, parts: dict[str, list[str]], suite: str | None
) -> None:
    machine = Machine(distribution, version, major, {}, engine_source="docker")
    assert machine.value("_engine_parts.engine") == ["docker-ce", "docker-ce-cli", "containerd.io"]
    assert machine.value("_engine_from_suite") is False
    assert fields(machine.render("docker.sources.j2")) == {
        "Types": "deb",
        "URIs": f"https://download.docker.com/linux/{distribution.lower()}",
        "Suites": codename,
        "Components": "stable",
        "Signed-By": "/etc/apt/keyrings/docker.asc",
    }


def test_debian_12_takes_only_dockers_packages_from_trixie() -> None:
    machine = Machine("Debian", "12.11", "12", {})
    assert fields(machine.render("suite.sources.j2"))["Suites"] == "trixie"
    ours, others = machine.render("suite.preferences.j2").strip().split("\n\n")
    assert fields(ours)["Package"] == "docker.io docker-cli docker-compose docker-buildx"
    assert fields(others) == {"Package": "*", "Pin": "release n=trixie", "Pin-Priority": "-1"}


def test_an_engine_that_was_there_is_not_pinned_to_another_suite() -> None:
    found = {"client": "/usr/bin/docker", "daemon": "/usr/sbin/dockerd", "engine": "20.10.24", "package": "docker.io"}
    machine = Machine("Debian", "12.11", "12", found)
    assert machine.value("_engine_missing") == ["compose", "buildx"]
    assert machine.value("_engine_pinned_packages") == ["docker-compose", "docker-buildx"]


def test_a_client_without_an_engine_is_no_engine() -> None:
    machine = Machine(
        "Ubuntu", "24.04", "24", {"client": "/usr/local/bin/docker", "compose": "2.40.0", "buildx": "0.30.0"}
    )
    assert machine.value("_engine_missing") == ["engine"]


@pytest.mark.parametrize(
    ("package", "source", "origin"),
    [
        ("docker-ce", "distribution", "docker"),
        ("docker.io", "docker", "distribution"),
        ("", "docker", "docker"),
        ("", "distribution", "distribution"),
    ],
)
def test_missing_parts_come_from_where_the_engine_came_from(package: str, source: str, origin: str) -> None:
    machine = Machine("Ubuntu", "22.04", "22", {"package": package}, engine_source=source)
    assert machine.value("_engine_origin") == origin


@pytest.mark.parametrize(("compose", "missing"), [("", True), ("1.29.2", True), ("2.23.9", True), ("2.24.0", False)])
def test_compose_that_is_too_old_is_missing(compose: str, missing: bool) -> None:
    machine = Machine("Debian", "13.1", "13", {"compose": compose})
    assert ("compose" in machine.value("_engine_missing")) is missing


def test_settings_of_the_user_are_kept_and_only_differences_are_written() -> None:
    same = "eyJsaXZlLXJlc3RvcmUiOiB0cnVlLCAibXR1IjogMTQwMH0="  # {"live-restore": true, "mtu": 1400}
    machine = Machine("Debian", "13.1", "13", {"config": same}, engine_daemon_options={"mtu": 1400})
    assert machine.value("_engine_changed_settings") == []
    machine = Machine("Debian", "13.1", "13", {"config": same}, engine_daemon_options={"mtu": 1500, "debug": True})
    assert machine.value("_engine_changed_settings") == ["mtu", "debug"]
    assert machine.value("_engine_waiting") == ["mtu"]


@pytest.mark.parametrize(
    ("found", "variables", "lacks"),
    [
        ("", {}, False),
        ("", {"bulkhead_backup_recipients": []}, False),
        ("", {"bulkhead_backup_recipients": ["age1q"]}, True),
        ("", {"engine_age": True}, True),
        ("/usr/local/bin/age", {"bulkhead_backup_recipients": ["age1q"]}, False),
    ],
)
def test_age_is_installed_where_backups_are_encrypted(found: str, variables: dict[str, Any], lacks: bool) -> None:
    assert Machine("Debian", "13.1", "13", {"age": found}, **variables).value("_engine_lacks_age") is lacks


def test_argument_specs_and_defaults_agree() -> None:
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    assert {name: option["default"] for name, option in specs["options"].items()} == defaults
