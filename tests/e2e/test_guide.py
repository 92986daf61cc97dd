# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide's own commands, run as it writes them, show what it says. Only root, project and ports are ours."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
import yaml
from guide_stack import SERVICES, Guide
from observe import by_hand, containers, running
from support import Place, docker

TEXT = (Path(__file__).parent / "guide.md").read_text(encoding="utf-8")


def translate(guide: Guide, text: str) -> str:
    """The guide's text with the test's own root and project."""
    text = text.replace("/home/ubuntu", str(guide.site.directory / "home/ubuntu"))
    return re.sub(r"(?<![a-z])aiia", guide.site.project, text)


def commands(title: str) -> list[str]:
    """The commands below a title of the guide, comments left out."""
    section = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S)
    assert section, title
    blocks = re.findall(r"```bash\n(.*?)```", section[1], re.S)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def advice(issue: str) -> str:
    """What the guide's troubleshooting says about an issue."""
    section = re.search(rf"^### Issue: {re.escape(issue)}\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S)
    assert section, issue
    return section[1]


@pytest.mark.parametrize("title", ["Check Production Containers", "Check Staging Containers"])
def test_check_containers(guide: Guide, title: str) -> None:
    """`cd …; docker-compose -f … ps` shows the containers of that environment and no others."""
    place = guide.production if "Production" in title else guide.staging
    done = by_hand(Path("/"), translate(guide, "\n".join(commands(title))))
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "Compose warns about something"
    shown = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert sorted(shown) == [f"{place.prefix}_{service}" for service in SERVICES]
    assert all("(healthy)" in line for line in done.stdout.splitlines()[1:])


def test_network_isolation(guide: Guide) -> None:
    """Each network contains the containers of its own environment, all of them and no other."""
    lines = commands("Verify Network Isolation")
    assert len(lines) == 2
    for place, line in zip(guide.both, lines, strict=True):
        network = json.loads(by_hand(Path("/"), translate(guide, line)).stdout)[0]
        names = sorted(Container["Name"] for Container in network["Containers"].values())
        assert network["Name"] == f"{place.prefix}_network"
        assert names == [f"{place.prefix}_{service}" for service in SERVICES]


def test_database_isolation(guide: Guide) -> None:
    """Each server has the environment's own database, and beside it only what every PostgreSQL server has."""
    lines = commands("Verify Database Isolation")
    assert len(lines) == 2
    for place, line in zip(guide.both, lines, strict=True):
        done = by_hand(Path("/"), translate(guide, line))
        assert done.returncode == 0, done.stderr
        rows = [row.split("|")[0].strip() for row in done.stdout.splitlines() if "|" in row]
        assert sorted(name for name in rows[1:] if name) == sorted([place.prefix, "postgres", "template0", "template1"])


def test_containers_conflict(guide: Guide) -> None:
    """The compose file that the guide names is the right one, wherever it is called from."""
    found = re.findall(r"`docker-compose (-f \S+)`", advice("Containers conflict"))
    for place, option in zip(guide.both, found, strict=True):
        done = by_hand(place.directory, f"docker-compose {option} ps --format json")
        shown = {json.loads(line)["Project"] for line in done.stdout.splitlines()}
        assert shown == {place.prefix}


def test_wrong_domain_routing(guide: Guide) -> None:
    """The nginx files that the guide names carry the server names that it gives."""
    found = re.findall(r"`(docker/nginx/\S+)` -> `server_name (\S+)`", advice("Wrong domain routing"))
    for place, (path, name) in zip(guide.both, found, strict=True):
        text = (place.directory / path).read_text(encoding="utf-8")
        names = set(re.findall(r"server_name ([^;]+);", text))
        assert names == {" ".join(place.variables["bulkhead_domains"])}
        assert name in next(iter(names)).split()
        assert guide.other(place).prefix not in text


def test_database_connection(guide: Guide) -> None:
    """DB_NAME and DB_HOST are what the guide says, and the name resolves to the environment's own pgbouncer."""
    found = re.findall(
        r"`(DB_NAME=\S+)`, `(DB_HOST=(\S+))` \(resolves to `(\S+)`\)", advice("Database connection errors")
    )
    for place, (name, host, alias, container) in zip(guide.both, found, strict=True):
        django = f"{place.prefix}_django"
        variables = docker("exec", django, "env").splitlines()
        assert translate(guide, name) in variables and host in variables
        address = docker("exec", django, "getent", "hosts", alias).split()[0]
        networks = containers(place.prefix)[translate(guide, container)]["NetworkSettings"]["Networks"]
        assert [network["IPAddress"] for network in networks.values()] == [address]


def test_names_on_the_machine(guide: Guide) -> None:
    """Containers, network and volumes are called as the guide has it, and nothing else carries their label."""
    for place in guide.both:
        label = ["--filter", f"label=io.bulkhead.prefix={place.prefix}"]
        volumes = docker("volume", "ls", "--format", "{{.Name}}", *label).split()
        assert sorted(running(place.prefix)) == [f"{place.prefix}_{service}" for service in SERVICES]
        assert docker("network", "ls", "--format", "{{.Name}}", *label).split() == [f"{place.prefix}_network"]
        assert sorted(volumes) == [
            f"{place.prefix}_{volume}_{place.name}" for volume in ("pgdata", "redis_data", "storage")
        ]


def test_files_on_the_machine(guide: Guide) -> None:
    """The guide's files are where it has them; `.env` is closed, and the compose file builds nothing."""
    for place in guide.both:
        compose = yaml.safe_load((place.directory / f"docker-compose.{place.name}.yml").read_text(encoding="utf-8"))
        assert compose["name"] == place.prefix
        assert f"django_{place.name}" in compose["services"]
        assert not [name for name, service in compose["services"].items() if "build" in service]
        assert stat.S_IMODE((place.directory / ".env").stat().st_mode) == 0o600
        assert (place.directory / "code/.git").is_dir()
        with_settings = [name for name, service in compose["services"].items() if service.get("env_file")]
        assert with_settings == [f"django_{place.name}"]


def test_ports(guide: Guide) -> None:
    """nginx alone publishes ports; Django listens on 8000 in production and on 8001 in staging, inside."""
    for place in guide.both:
        published = {name: item["HostConfig"]["PortBindings"] or {} for name, item in containers(place.prefix).items()}
        nginx = published.pop(f"{place.prefix}_nginx")
        assert {port: bound[0]["HostPort"] for port, bound in nginx.items()} == {
            "80/tcp": str(place.variables["bulkhead_http_port"]),
            "443/tcp": str(place.variables["bulkhead_https_port"]),
        }
        assert not any(published.values())
    for place, port in ((guide.production, 8000), (guide.staging, 8001)):
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)"
        docker("exec", f"{place.prefix}_django", "python3", "-c", program)


def up_by_hand(place: Place) -> None:
    """The guide's last step, typed."""
    done = by_hand(place.directory, f"docker-compose -f docker-compose.{place.name}.yml up -d")
    assert done.returncode == 0, done.stderr


def test_up_by_hand_recreates_nothing(guide: Guide) -> None:
    """The guide's `docker-compose -f … up -d`, typed after a deployment, leaves every container as it is."""
    before = [running(place.prefix) for place in guide.both]
    for place in guide.both:
        up_by_hand(place)
    assert [running(place.prefix) for place in guide.both] == before
