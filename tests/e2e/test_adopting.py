# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that were set up by hand are adopted: looked at, written down, proved, and moved without losing a row."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from handmade import Handwork, Outage, Server, guide_server, orders_server, sections, shell, stated
from support import Run, docker, remove_project

ROWS = 250


def word_of() -> str:
    return f"adopt{secrets.token_hex(3)}"


def started(server: Server, containers: list[str]) -> dict[str, str]:
    """The ids of containers and when each was started."""
    return {name: docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name) for name in containers}


@pytest.fixture(scope="module")
def guide_machine(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The guide's server, both environments running with data."""
    word = word_of()
    server = guide_server(tmp_path_factory.mktemp("guide-by-hand"), word)
    try:
        for own in server.environments.values():
            own.up()
        for own in server.environments.values():
            own.wait_for("SELECT to_regclass('notes_note') IS NOT NULL AND to_regclass('django_session') IS NOT NULL")
            own.sql(
                f"INSERT INTO notes_note (text, created) SELECT 'note ' || n, now() FROM generate_series(1, {ROWS}) n"
            )
            docker("exec", own.names[4], "redis-cli", "SET", "kept", own.domain)
        yield server
    finally:
        # The new containers first: they have the volumes mounted that were taken over.
        remove_project(word)
        server.remove()


@pytest.fixture(scope="module")
def orders_machine(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with other names and no Django."""
    word = word_of()
    server = orders_server(tmp_path_factory.mktemp("orders-by-hand"), word)
    try:
        own = server.environments["production"]
        own.up()
        own.sql("CREATE TYPE state AS ENUM ('new', 'paid')")
        own.sql("CREATE TABLE orders (id serial PRIMARY KEY, state state NOT NULL)")
        own.sql(f"INSERT INTO orders (state) SELECT 'paid' FROM generate_series(1, {ROWS})")
        yield server
    finally:
        # The new containers first: they have the volumes mounted that were taken over.
        remove_project(word)
        server.remove()


def moved(server: Server, group: str) -> tuple[float, int, list[Run]]:
    """Do what the guide says for a group, to the letter. Returns the gap, the stated one, and the deployments."""
    own = server.environments[group]
    guide = (server.inventory / "adoption.md").read_text()
    runs = []
    with Outage(own) as outage:
        for where, _down, lines in sections(guide)[group]:
            if where == "sh":
                shell(lines, server.directory)
                continue
            words = [word for word in shlex.split(lines) if word != "--vault-id" and not word.endswith("@prompt")]
            assert words[0] == "ansible-playbook" and words[2:4] == ["-i", str(server.inventory)], lines
            run = server.play(words[1].rpartition(".")[2], *words[4:], inventory=str(server.inventory)).succeeded()
            runs += [run] * words[1].endswith(".deploy")
    print(f"{group}: a gap of {outage.seconds:.0f} s, {stated(guide, group)} s were stated", flush=True)
    return outage.seconds, stated(guide, group), runs


def secrets_in(own: Handwork) -> list[str]:
    """The values that no output may have: those of the files that were written by hand."""
    lines = (own.directory / ".env").read_text().splitlines() if (own.directory / ".env").exists() else []
    pairs = (line.partition("=") for line in lines)
    return [value for name, _equals, value in pairs if name.endswith(("KEY", "PASSWORD"))]


def test_looking_at_the_guides_server_changes_nothing(guide_machine: Server) -> None:
    """It says what both share and what would be written; the containers and the working directory stay as they are."""
    names = [name for own in guide_machine.environments.values() for name in own.names]
    before = started(guide_machine, names)
    run = guide_machine.adopt().succeeded()
    text = " ".join(run.output.split())
    for said in (
        "critical shared-project CP-01",
        "run as one Compose project",
        "nothing was changed. To write it, add",
    ):
        assert said in text
    assert not guide_machine.inventory.exists() and started(guide_machine, names) == before
    assert not [
        value for own in guide_machine.environments.values() for value in secrets_in(own) if value in run.output
    ]


def test_an_unwritten_password_writes_nothing(guide_machine: Server) -> None:
    """Each vault is locked with its own password, or there is no inventory at all."""
    password = guide_machine.directory / "staging.password"
    one = ["--vault-id", f"staging@{password}"]
    run = guide_machine.adopt("-e", "bulkhead_adopt=apply", passwords=one)
    assert run.code != 0 and "add --vault-id production@prompt. Nothing was written" in " ".join(run.output.split())
    assert not guide_machine.inventory.exists() and "Traceback" not in run.output


@pytest.mark.full
def test_the_guides_environments_move_one_after_the_other(guide_machine: Server) -> None:
    """Rows, keys and sessions stay, the gap is within what was stated, and the other environment does not notice."""
    run = guide_machine.adopt("-e", "bulkhead_adopt=apply").succeeded()
    assert not [
        value for own in guide_machine.environments.values() for value in secrets_in(own) if value in run.output
    ]
    again = guide_machine.adopt("-e", "bulkhead_adopt=apply")
    assert again.code != 0 and "exists and is not empty" in again.output
    guide_machine.everyone()
    for group, other in (("staging", "production"), ("production", "staging")):
        own, beside = guide_machine.environments[group], guide_machine.environments[other]
        key = docker("exec", own.names[1], "printenv", "SECRET_KEY")
        before = started(guide_machine, beside.names)
        gap, limit, runs = moved(guide_machine, group)
        assert 0 < gap <= limit
        assert "changed=0" in runs[-1].output, runs[-1].output
        assert own.sql("SELECT count(*) FROM notes_note WHERE text LIKE 'note %'") == str(ROWS)
        assert docker("exec", own.names[1], "printenv", "SECRET_KEY") == key
        kept = 'REDISCLI_AUTH="$(cat /usr/local/etc/redis/password)" redis-cli GET kept'
        assert docker("exec", own.names[4], "sh", "-c", kept).strip() == own.domain
        # The application's own role owns what the administrator had made, or it could not migrate.
        owners = "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables WHERE schemaname = 'public'"
        assert own.sql(owners) == own.database[2]
        assert started(guide_machine, beside.names) == before


def test_another_server_moves_its_database_as_a_checked_copy(orders_machine: Server) -> None:
    """Its data lies in a directory, so a dump goes over, whose checksum and rows are compared."""
    own = orders_machine.environments["production"]
    orders_machine.adopt("-e", "bulkhead_adopt=apply").succeeded()
    orders_machine.everyone()
    gap, limit, runs = moved(orders_machine, "production")
    assert 0 < gap <= limit
    assert "changed=0" in runs[-1].output, runs[-1].output
    prefix = f"{own.project}_prod"
    assert own.sql("SELECT count(*) FROM orders WHERE state = 'paid'", f"{prefix}_postgresql") == str(ROWS)
    assert own.asked() == f"{ROWS} orders of {own.project}"


def test_where_nothing_runs(tmp_path: Path, images: None, projects: Callable[[], str]) -> None:
    """A clear word, and no directory."""
    server = Server(tmp_path, {"production": Handwork(projects(), tmp_path, "", [], [], 1, "")})
    run = server.adopt("-e", "bulkhead_adopt=apply")
    assert run.code != 0 and "so there is nothing to adopt" in " ".join(run.output.split())
    assert not server.inventory.exists() and "Traceback" not in run.output
