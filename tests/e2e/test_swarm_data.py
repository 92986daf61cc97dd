# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole default stack with a PostgreSQL moves from one machine to a swarm, while somebody writes to it.

Two servers: the manager, and a worker with the data.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from certificate import self_signed
from container_registry import USER, ContainerRegistry, container_registry
from guide_stack import IMAGES
from observe import eventually
from steady_client import ask
from support import IMAGE, Place, Site, docker, free_port, remove_project
from swarm_servers import SwarmServers, swarm_servers
from swarm_stack import DEPLOY, DOMAIN, HTTP, HTTPS, StackSite, play, trust_registry

pytestmark = pytest.mark.full  # two and a half minutes

#: Every page writes a row and is answered once that is committed.
_LINK = """
import os, psycopg
def link():
    names = {"host": "DB_HOST", "port": "DB_PORT", "dbname": "DB_NAME", "user": "DB_USER", "password": "DB_PASSWORD"}
    return psycopg.connect(autocommit=True, prepare_threshold=None, connect_timeout=5,
                           **{name: os.environ[variable] for name, variable in names.items()})
"""
APPLICATION = f"""{_LINK}
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        number = self.path.rpartition("/")[2]
        try:
            if number:
                with link() as database:
                    database.execute("INSERT INTO visit VALUES (%s) ON CONFLICT DO NOTHING", (number,))
            self.send_response(200)
        except psycopg.Error:
            self.send_response(500)
        self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
#: Given a name and a statement; notes each of its runs.
MIGRATION = f"""{_LINK}
import sys
with link() as database:
    database.execute("CREATE TABLE IF NOT EXISTS visit (number int PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS migration (at timestamptz DEFAULT now(), name text)")
    database.execute(sys.argv[2])
    database.execute("INSERT INTO migration (name) VALUES (%s)", sys.argv[1:2])
"""
UPLOAD = "/srv/storage/media/upload"


def migration(name: str, change: str = "SELECT") -> list[list[str]]:
    """The commands of a release whose migration has a name."""
    return [["python3", "-c", MIGRATION, name, change]]


@dataclass
class Move:
    """The environment on one machine, the same one on a swarm, and its servers."""

    old: Place
    new: Place
    servers: SwarmServers

    def container(self, service: str) -> str:
        """A service's container on the node with the data."""
        label = f"label=com.docker.swarm.service.name={self.new.prefix}_{service}"
        (found,) = self.servers.named("node2").docker("ps", "--quiet", "--filter", label).split()
        return found

    def sql(self, statement: str) -> str:
        """Ask the database of the stack, as its administrator."""
        command = ["psql", "--username", self.new.site.project, "--dbname", self.new.prefix, "-qAt", "-c", statement]
        return self.servers.named("node2").docker("exec", self.container("postgresql"), *command)

    def migrations(self) -> list[str]:
        """Which migrations the stack's database had, in order."""
        return self.sql("SELECT name FROM migration ORDER BY at").split()

    def logins(self) -> list[str]:
        """The roles by which the application may log in."""
        return self.sql(f"SELECT rolname FROM pg_roles WHERE rolname ~ '^{self.new.prefix}_' AND rolcanlogin").split()

    def backups(self) -> int:
        """How many backups the stack has."""
        return len(play(self.new, "backups").succeeded().result("backup")["backups"])


class Visitor:
    """Asks for one page after the other, at an address that may change, until it is told to stop."""

    def __init__(self, address: str, port: int) -> None:
        self.where = (address, port)
        self.answered: list[tuple[float, str, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _visit(self) -> None:
        number = 0
        while not self._over.wait(0.05):
            number += 1
            address, port = self.where
            try:
                if ask(address, port, DOMAIN, f"/{number}")[0] == 200:
                    self.answered.append((time.monotonic(), address, number))
            except OSError:
                continue

    def numbers(self) -> set[int]:
        """The rows that were acknowledged."""
        return {number for _at, _address, number in self.answered}


def environment(site: Site, source: str, images: dict[str, str], deploy: dict[str, Any], **more: Any) -> Place:
    """The default stack with the small application."""
    services: dict[str, dict[str, Any]] = {key: {"image": image, "deploy": deploy} for key, image in images.items()}
    services["django"] = {
        "command": ["python3", "-u", "-c", APPLICATION],
        "stop_grace_period": "1s",
        "deploy": deploy,
    }
    return site.add(
        "stack",
        "prod",
        image=f"{source}/shop/application:1",
        image_user=USER,
        domains=[DOMAIN],
        prepare=migration("first"),
        prepare_status=[],
        wait_timeout=150,
        services=services,
        **more,
    )


@pytest.fixture(scope="module")
def move(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    """Neither is deployed yet."""
    directory = tmp_path_factory.mktemp("move")
    with (
        swarm_servers(directory, 2) as servers,
        container_registry(directory / "registry", f"{servers.subnet}.1") as registry,
    ):
        servers.form()
        trust_registry(servers, registry)
        try:
            yield _move(servers, registry, directory)
        finally:
            remove_project(servers.name)
            docker("image", "rm", f"{registry.loopback}/shop/application:1", check=False)


def _move(servers: SwarmServers, registry: ContainerRegistry, directory: Path) -> Move:
    registry.push(IMAGE, "shop/application:1")
    here = {key: one["image"] for key, one in IMAGES.items()}
    for key, image in here.items():
        registry.push(image, f"shop/{key}:1")
    there = {key: f"{registry.address}/shop/{key}:1" for key in here}
    one = Site(directory / "one", servers.name)
    ports = {"bind_address": "127.0.0.1", "http_port": free_port(), "https_port": free_port()}
    old = environment(one, registry.loopback, here, {}, **ports)
    many = StackSite(directory / "many", servers.name, host_variables={"ansible_timeout": 5})
    many.servers, many.beside = servers, {}
    swarm = {"engine": "swarm", "swarm": "tests", "registry": f"{registry.address}/shop"}
    open_networks = {"networks": {"default": {"driver_opts": {"encrypted": "false"}}}}
    new = environment(
        many, registry.address, there, DEPLOY, http_port=HTTP, https_port=HTTPS, compose=open_networks, **swarm
    )
    certificate, key = self_signed([DOMAIN])
    words = ("SECRET_KEY", "REDIS_PASSWORD", "DB_PASSWORD", "POSTGRES_PASSWORD")
    secrets = {name: f"{name.lower().replace('_', '-')}-of-{servers.name}-{'x' * 30}" for name in words}
    for place in (old, new):
        place.secrets = {
            "bulkhead_secrets": {**secrets, "REGISTRY_PASSWORD": registry.password},
            "bulkhead_tls_certificate": certificate,
            "bulkhead_tls_key": key,
        }
    label = f"io.bulkhead.data.{new.prefix}=true"
    servers[0].update_node("--label-add", label, "node2")
    return Move(old, new, servers)


def test_releases_with_a_database(move: Move) -> None:
    """The database starts on the labelled node. Each release is migrated once, from the second on after a backup."""
    move.new.deploy().succeeded()
    assert move.migrations() == ["first"] and move.backups() == 0
    assert ask(move.servers.named("node2").address, HTTPS, DOMAIN, "/1")[0] == 200
    assert move.sql("SELECT number FROM visit") == "1"

    move.new.variables["bulkhead_prepare"] = migration("second", "ALTER TABLE visit ADD COLUMN IF NOT EXISTS kind text")
    done = move.new.deploy().succeeded()
    assert move.migrations() == ["first", "second"] and move.backups() == 1
    assert done.output.index("backup") < done.output.index("prepare django_prod")
    assert move.new.deploy().succeeded().changed == 0


def test_from_one_machine_to_a_swarm(move: Move) -> None:
    """As docs/swarm.md says: no row that was acknowledged is lost, and visitors wait as long as is measured here."""
    old, new, node = move.old, move.new, move.servers.named("node2")
    old.deploy().succeeded()
    docker("exec", f"{old.prefix}_django", "sh", "-c", f"mkdir -p {Path(UPLOAD).parent} && echo uploaded >{UPLOAD}")
    with Visitor("127.0.0.1", old.variables["bulkhead_https_port"]) as visitor:
        eventually(lambda: len(visitor.answered) > 50, 60)
        play(old, "maintenance", "-e", "bulkhead_maintenance=on").succeeded()
        made = play(old, "backup").succeeded().result("backup")["backup"]
        node.run("mkdir", "--mode", "700", "/root/moved")
        docker("cp", made["path"], f"{node.container}:/root/moved/")
        wanted = f"bulkhead_restore=/root/moved/{made['name']}"
        play(new, "restore", "-e", wanted).succeeded()
        assert move.migrations() == ["first"]
        done = new.deploy().succeeded()
        assert "prepare django_prod" in done.output
        visitor.where = (node.address, HTTPS)
        eventually(lambda: len([1 for _at, address, _row in visitor.answered if address == node.address]) > 20, 60)
    before = [at for at, address, _number in visitor.answered if address != node.address]
    after = [at for at, address, _number in visitor.answered if address == node.address]
    gap = after[0] - before[-1]
    print(f"visitors waited {gap:.1f} s; {len(before)} rows before, {len(after)} after")
    assert gap < 120
    rows = {int(row) for row in move.sql("SELECT number FROM visit").split()}
    assert visitor.numbers() <= rows
    assert move.migrations() == ["first", "second"]
    assert node.docker("exec", move.container("django_prod"), "cat", UPLOAD) == "uploaded"
    assert new.deploy().succeeded().changed == 0


def test_a_new_password(move: Move) -> None:
    """The database of a stack takes a new password, and the earlier one ends. Visitors wait as long as is measured."""
    before, migrations = move.logins(), move.migrations()
    words = move.new.secrets["bulkhead_secrets"]
    words["DB_PASSWORD"] = f"new-{words['DB_PASSWORD']}"
    address = move.servers.named("node2").address
    with Visitor(address, HTTPS) as visitor:
        eventually(lambda: len(visitor.answered) > 20, 60)
        move.new.deploy().succeeded()
        answered = len(visitor.answered)
        eventually(lambda: len(visitor.answered) > answered + 20, 60)
    times = [at for at, _address, _number in visitor.answered]
    gap = max(later - earlier for earlier, later in pairwise(times))
    print(f"visitors waited {gap:.1f} s for a new password")
    assert gap < 60 and move.migrations() == migrations
    assert len(before) == len(move.logins()) == 1 and before != move.logins()
    assert move.new.deploy().succeeded().changed == 0


def test_the_label_on_another_node(move: Move) -> None:
    """The database ends and starts empty nowhere, and a deployment is refused. Once its node has the label again,
    all is there again. As docs/swarm.md says, this pgbouncer has to be restarted then."""
    leader, prefix = move.servers[0], move.new.prefix
    rows = int(move.sql("SELECT count(*) FROM visit"))
    label = f"io.bulkhead.data.{prefix}"
    leader.update_node("--label-rm", label, "node2")
    leader.update_node("--label-add", f"{label}=true", "node1")

    def said() -> str:
        how = ("--no-trunc", "--format", "{{.CurrentState}} {{.Error}}")
        return leader.docker("service", "ps", *how, f"{prefix}_postgresql")

    eventually(lambda: "no suitable node" in said(), 60)
    assert leader.docker("volume", "ls", "--quiet", "--filter", f"label=io.bulkhead.prefix={prefix}") == ""
    run = move.new.deploy()
    assert "data-node" in run.error and "node2 had the volumes" in run.output

    leader.update_node("--label-rm", label, "node1")
    leader.update_node("--label-add", f"{label}=true", "node2")
    began = time.monotonic()
    eventually(lambda: said().startswith("Running"), 60)
    eventually(lambda: _answers(move), 60)
    print(f"nginx and the application answered {time.monotonic() - began:.1f} s after the label was given back")
    play(move.new, "restart", "-e", "bulkhead_service=pgbouncer").succeeded()
    eventually(lambda: _answers(move, 10**6), 30)
    assert int(move.sql("SELECT count(*) FROM visit")) == rows + 1
    assert move.new.deploy().succeeded().changed == 0


def _answers(move: Move, row: int | str = "") -> bool:
    """Whether a page is answered, with a number one that writes a row."""
    with suppress(OSError):
        return ask(move.servers.named("node2").address, HTTPS, DOMAIN, f"/{row}")[0] == 200
    return False
