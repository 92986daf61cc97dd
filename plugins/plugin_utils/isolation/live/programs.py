# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment's own servers say of themselves: memory that was short, and settings that are not in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..model import Environment, Finding, Severity, Where
from ..numbers import number_of
from ..wording import number
from .health import own_containers

#: What servers and the application say of themselves. A verification shows their findings although they are advice.
SERVER_RULES = (
    "collation-changed",
    "memory-full",
    "not-saved",
    "out-of-memory",
    "setting-waits",
    "static-missing",
    "uploads-in-container",
)


def server_findings(
    environment: Environment, replies: Iterable[Mapping[str, Any]], observation: Mapping[str, Any]
) -> Iterator[Finding]:
    """Judge the replies of an environment's servers, and whether the kernel killed processes of its containers.

    All are advice: they lie in the past, or wait for a start, and no deployment mends them.
    """
    for container in own_containers(environment, observation):
        if container.get("killed"):
            yield _finding(
                environment,
                "out-of-memory",
                f"container {container['name']}",
                f"The kernel has killed a process of {container['name']} since it started: the container needed more "
                "memory than its limit.",
                "Raise deploy.resources.limits.memory of the service in bulkhead_services, or let it start fewer "
                "processes.",
            )
    for reply in replies:
        if reply["kind"] == "database":
            yield from _database(environment, reply)
        elif reply["kind"] == "memory":
            yield from _memory(environment, reply)
        elif reply["kind"] == "layer" and reply["lines"]:
            yield _uploads(environment, reply)


def _database(environment: Environment, reply: Mapping[str, Any]) -> Iterator[Finding]:
    parts = [line.split("|") for line in reply["lines"]]
    waiting = [part[1] for part in parts if part[0] == "pending"]
    if waiting:
        yield _finding(
            environment,
            "setting-waits",
            f"container {reply['container']}",
            f"PostgreSQL of {environment.prefix} has new values for {', '.join(waiting)}, which take effect when it "
            "restarts.",
            "Restart it when it may be away for a few seconds: ansible-playbook aiia.bulkhead.restart -l "
            "<environment> -e bulkhead_service=postgresql",
        )
    aged = [part[1] for part in parts if part[0] == "collation" and part[1]]
    for database in aged:
        yield _finding(
            environment,
            "collation-changed",
            f"database {database}",
            f"PostgreSQL's image sorts texts differently from the one that made {database}: indexes on texts may "
            "miss rows, and unique ones may let duplicates in.",
            f"In that database: REINDEX DATABASE {database}; then ALTER DATABASE {database} REFRESH COLLATION VERSION",
        )


def _uploads(environment: Environment, reply: Mapping[str, Any]) -> Finding:
    first, name, more = reply["lines"][0], reply["container"], len(reply["lines"]) - 1
    others = f" and {number(more, 'more file')}" if more else ""
    variables = environment.variables
    services = variables.get("bulkhead_services")
    kept = variables.get("bulkhead_media_root") or variables.get("bulkhead_storage_path")
    if isinstance(services, Mapping) and services.get("django", kept) is None:
        kept = ""  # It has no service with the default stack's volume.
    below = (
        f"let the application write uploads below {kept}, which is on the default stack's volume, or " if kept else ""
    )
    return _finding(
        environment,
        "uploads-in-container",
        f"container {name}",
        f"{name} keeps {first}{others} in itself, on no volume: the next release takes that away, and no backup has it",
        f"copy it out (docker cp), then {below}mount a volume where it writes them (bulkhead_services)",
    )


def _memory(environment: Environment, reply: Mapping[str, Any]) -> Iterator[Finding]:
    said = dict(line.strip().split(":", 1) for line in reply["lines"] if ":" in line)
    refused = _number(said.get("errorstat_OOM", "").partition("=")[2])
    evicted = _number(said.get("evicted_keys", ""))
    resource, name = f"container {reply['container']}", reply["container"]
    fix = "Raise its memory limit in bulkhead_services, give keys an expiry, or let it evict (bulkhead_redis_use)."
    if refused:
        message = f"{name} has refused {number(refused, 'command')} since it started, because its memory was full."
        yield _finding(environment, "memory-full", resource, message, fix)
    if evicted and not said.get("maxmemory_policy", "").startswith("allkeys"):
        message = f"{name} has dropped {number(evicted, 'key')} early since it started, because its memory was full."
        yield _finding(environment, "memory-full", resource, message, fix)
    for key, what in (("aof_last_write_status", "append to"), ("rdb_last_bgsave_status", "write")):
        if said.get(key, "ok") != "ok":
            yield _finding(
                environment,
                "not-saved",
                resource,
                f"{name} failed to {what} its file: what it holds is lost when it stops, and it may refuse writes.",
                f"See docker logs {name}, and the space on the disk with its volume.",
            )


def _number(text: str) -> int:
    return number_of(text) if text.isdecimal() else 0


def _finding(environment: Environment, rule: str, resource: str, message: str, fix: str) -> Finding:
    where = (Where(item="seen on the machine"),)
    return Finding(rule, Severity.LOW, (environment.prefix,), resource, message, fix, where, environment.machine)
