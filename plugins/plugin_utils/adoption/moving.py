# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an environment moves under Bulkhead: what to type, in which order, and how long nothing answers meanwhile."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..isolation.wording import listing
from .model import DATA, Container, Handmade
from .written import Planned, database_name

#: Seconds that a step takes at the most on a small server. What is built and migrated decides; the rest is measured.
_COUNTING, _REMOVING, _JUDGING, _BUILDING, _STARTING, _MIGRATING, _COPYING = 15, 15, 30, 240, 90, 60, 60

#: Prints, for each table of a database, its name and how many rows it has.
_ROWS = (
    "SELECT format($$SELECT %L, count(*) FROM %I.%I$$, table_schema || $$.$$ || table_name, table_schema, table_name) "
    "FROM information_schema.tables WHERE table_type = $$BASE TABLE$$ AND table_schema NOT IN ($$pg_catalog$$, "
    "$$information_schema$$) ORDER BY 1 \\gexec"
)


@dataclass(frozen=True)
class MoveStep:
    """A step: what it does, where it is typed (``server`` or ``here``), the lines, and whether nothing answers then."""

    title: str
    where: str
    lines: tuple[str, ...]
    down: bool = False


def gap(plan: Planned) -> list[tuple[str, int]]:
    """The parts of the time in which nothing answers, with the seconds that each takes at the most."""
    own, stack = plan.own, plan.stack
    server = own.part("postgresql")
    others = [container for container in own.containers if container is not server]
    parts = [("the containers stop", max((container.seen["stop_seconds"] for container in others), default=0))]
    if server:
        parts.append(("rows are counted", _COUNTING))
        if stack.dumped:
            parts.append(("the database is dumped and restored, more for each 500 MB", _COPYING))
        parts.append(("the database stops", max(60, int(server.seen["stop_seconds"]))))
    parts.append(("containers and networks are removed", _REMOVING))
    if stack.copied:
        parts.append(("files are copied, more for each GB", _COPYING))
    parts.append(("the deployment looks, and fetches the source", _JUDGING))
    if "bulkhead_image" not in plan.source:
        parts.append(("the image is built, longer if its build is", _BUILDING))
    if plan.django:
        parts.append(("migrations run", _MIGRATING))
    parts.append(("servers and application start, until they are healthy", _STARTING))
    return parts


def seconds(plan: Planned) -> int:
    """How long nothing answers at the most."""
    return sum(part for _why, part in gap(plan))


def steps(
    plan: Planned, networks: Sequence[Mapping[str, Any]], shared: Sequence[str], inventory: str
) -> list[MoveStep]:
    """The steps of an environment's move. ``networks`` are those of the machine, ``shared`` those of which another
    environment's containers are on as well, ``inventory`` is where the files were written."""
    return list(_steps(plan, networks, shared, inventory))


def _steps(
    plan: Planned, networks: Sequence[Mapping[str, Any]], shared: Sequence[str], inventory: str
) -> Iterator[MoveStep]:
    own, stack = plan.own, plan.stack
    server = own.part("postgresql")
    others = [container.name for container in own.containers if container is not server]
    base = (
        f"ansible-playbook aiia.bulkhead.{{}} -i {shlex.quote(inventory)} -l {own.group} --vault-id {own.group}@prompt"
    )
    yield MoveStep(
        "Prove the inventory. No server is contacted.",
        "here",
        (f"ansible-playbook aiia.bulkhead.plan -i {shlex.quote(inventory)}",),
    )
    redis = own.part("redis")
    if redis and "redis_data" in stack.adopted:
        yield MoveStep(
            "Let Redis write what it holds as an append-only file: Bulkhead's Redis reads that one and no dump.",
            "server",
            tuple(_append_only(redis)),
        )
    if others:
        yield MoveStep(
            "Stop everything but the database. From here on nothing answers.",
            "server",
            (_docker("stop", *others),),
            True,
        )
    rows = f"/root/{own.prefix}.rows"
    if server:
        yield from _database(plan, server, rows)
    yield _removal(own, networks, shared)
    if stack.copied:
        yield _files(plan)
    yield MoveStep("Deploy.", "here", (base.format("deploy"),), True)
    if server:
        yield from _after(plan, server, rows)
    yield MoveStep("Deploy once more: nothing changes.", "here", (base.format("deploy"),))


def _database(plan: Planned, server: Container, rows: str) -> Iterator[MoveStep]:
    own, stack = plan.own, plan.stack
    admin, database = server.seen["settings"].get("POSTGRES_USER") or "postgres", database_name(plan)
    yield MoveStep(
        "Count the rows of each table.",
        "server",
        (f"{_count(server.name, admin, database)} > {rows}.before",),
        True,
    )
    if stack.dumped:
        yield MoveStep(
            f"Copy the database, because {stack.dumped}. Its checksum shows later that this very copy was restored.",
            "server",
            (
                f"umask 077; {_dump(server.name, admin, database)} > /root/{own.prefix}.dump",
                f"sha256sum /root/{own.prefix}.dump > /root/{own.prefix}.dump.sha256",
            ),
            True,
        )
    yield MoveStep(
        "Stop the database; it has a minute to write everything.",
        "server",
        (_docker("stop", "-t", "60", server.name),),
        True,
    )
    if stack.dumped:
        yield MoveStep(
            "Restore the copy into a new volume, as a whole or not at all, and compare: its rows are those of before.",
            "server",
            tuple(_copied(plan, server, admin, database, rows)),
            True,
        )


def _removal(own: Handmade, networks: Sequence[Mapping[str, Any]], shared: Sequence[str]) -> MoveStep:
    removed = [_docker("rm", *(container.name for container in own.containers))]
    own_networks = {name for container in own.containers for name in container.seen["networks"]} - set(shared)
    known = {network["name"] for network in networks if network["labels"]}
    if own_networks & known:
        removed.append(_docker("network", "rm", *sorted(own_networks & known)))
    return MoveStep(
        "Remove the stopped containers, which would start again with the machine, and their networks. Volumes stay.",
        "server",
        tuple(removed),
        True,
    )


def _files(plan: Planned) -> MoveStep:
    return MoveStep(
        "Copy what lies in the old directory and is needed in the new one.",
        "server",
        tuple(
            f"mkdir -p {shlex.quote(posixpath.dirname(there))} && "
            # A certificate is usually a link to the newest one.
            f"cp {'-aL' if here in (plan.web.certificate, plan.web.key) else '-a'} {shlex.quote(here)} "
            f"{shlex.quote(there)}"
            for here, there in sorted(plan.stack.copied.items())
        ),
        True,
    )


def _after(plan: Planned, server: Container, rows: str) -> Iterator[MoveStep]:
    own = plan.own
    admin, database = server.seen["settings"].get("POSTGRES_USER") or "postgres", database_name(plan)
    new = f"{own.prefix}_postgresql"
    yield MoveStep(
        "Count again. Every line of before has to be there; only tables of new migrations may be more.",
        "server",
        (
            f"{_count(new, admin, database)} > {rows}.after",
            f"! diff {rows}.before {rows}.after | grep '^<' && echo 'no row was lost'",
        ),
    )


def way_back(plan: Planned) -> list[str]:
    """How to return to what ran before, in sentences."""
    own = plan.own
    if not own.files:
        return [
            f"The Compose file of {own.prefix} is not known, so there is no way back but the volumes, which stay: keep "
            "the output of docker inspect for each container before you remove it."
        ]
    names = " ".join(f"-f {shlex.quote(path)}" for path in own.files)
    found = [
        f"`ansible-playbook aiia.bulkhead.destroy -l {own.group} -e bulkhead_confirm={own.prefix}` removes what "
        "Bulkhead made and leaves the volumes. Then, on the server:",
        f"`cd {shlex.quote(own.directory)} && docker compose -p {shlex.quote(own.compose_project)} {names} up -d`",
    ]
    if "redis_data" in plan.stack.adopted:
        found.append("Redis then reads its dump, if it has one: what came after the move is in its append-only file.")
    if "POSTGRES_PASSWORD" in plan.settings.made or "DB_PASSWORD" in plan.settings.made:
        found.append(
            "The database then has the passwords of the vault. Give the roles their earlier ones back in psql, with "
            r"`\password`."
        )
    return found


def _copied(plan: Planned, server: Container, admin: str, database: str, rows: str) -> Iterator[str]:
    """Restore the dump with the server's own image, out of reach of everybody. The deployment sets the passwords."""
    name, volume = f"{plan.own.prefix}_copy", plan.stack.adopted["pgdata"]
    dump = f"/root/{plan.own.prefix}.dump"
    yield _docker("volume", "create", volume)
    given = ("-e", f"POSTGRES_USER={admin}", "-e", f"POSTGRES_DB={database}", "-e", "POSTGRES_PASSWORD")
    run = ("run", "--detach", "--name", name, "--network", "none", *given, "-v", f"{volume}:{DATA['postgresql']}")
    yield f"POSTGRES_PASSWORD=$(openssl rand -hex 24) {_docker(*run, str(server.seen['image']))}"
    asked = _docker("exec", name, "pg_isready", "-q", "-h", "127.0.0.1", "-U", admin, "-d", database)
    yield f"until {asked}; do sleep 1; done"
    yield f"sha256sum --check {dump}.sha256"
    restore = ("exec", "-i", name, "pg_restore", "-U", admin, "-d", database, "--no-owner")
    yield f"{_docker(*restore, '--single-transaction', '--exit-on-error')} < {dump}"
    yield f"{_count(name, admin, database)} > {rows}.copied"
    yield f"cmp {rows}.before {rows}.copied"
    yield _docker("stop", "-t", "60", name)
    yield _docker("rm", name)


def _append_only(redis: Container) -> Iterator[str]:
    ask = _docker("exec", redis.name, "sh", "-c", 'REDISCLI_AUTH="${REDIS_PASSWORD-}" redis-cli "$@"', "sh")
    if any("requirepass" in word for word in redis.seen["command"]):
        yield (
            f"# Redis asks for its password: put REDISCLI_AUTH into the environment of {redis.name}, or type it there."
        )
    yield f"{ask} CONFIG SET appendonly yes"
    yield f"until {ask} INFO persistence | grep -q '^aof_rewrite_in_progress:0'; do sleep 1; done"
    yield f"{ask} INFO persistence | grep '^aof_last_bgrewrite_status:ok'"


def _count(container: str, admin: str, database: str) -> str:
    sql = shlex.quote(_ROWS)
    return f"printf '%s\\n' {sql} | {_docker('exec', '-i', container, 'psql', '-U', admin, '-d', database, '-XAtq')}"


def _dump(container: str, admin: str, database: str) -> str:
    return _docker("exec", container, "pg_dump", "-U", admin, "-Fc", "--no-owner", "--no-privileges", database)


def _docker(*words: str) -> str:
    return shlex.join(["docker", *words])


def written(plan: Planned, every: Sequence[MoveStep]) -> str:
    """The move of one environment as a section of the guide that is written beside the inventory."""
    own = plan.own
    lines = [
        f"## {own.group}: {own.prefix}",
        "",
        f"Nothing answers for **at most {seconds(plan)} seconds**: "
        + ", ".join(f"{why} ({part})" for why, part in gap(plan))
        + ".",
        "",
    ]
    if plan.stack.kept:
        adopted = listing(f"{name} (as {key})" for key, name in plan.stack.kept.items())
        lines += [f"Taken over by name, with what they hold: {adopted}.", ""]
    for number, step in enumerate(every, 1):
        where = "on the server, as root" if step.where == "server" else "here"
        prompt = "$ " if step.where == "here" else ""
        block = "console" if step.where == "here" else "sh"
        lines += [f"{number}. {step.title} ({where}{', nothing answers' if step.down else ''})", ""]
        lines += [f"   ```{block}", *(f"   {prompt}{line}" for line in step.lines), "   ```", ""]
    lines += ["The way back, as long as the old directory is there:", "", *(f"- {line}" for line in way_back(plan)), ""]
    return "\n".join(lines)
