# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the default stack's servers: from the limits of their containers, and from the user's own maps.

A server does not see the limits of its container. It takes the machine's memory and processors for its own, and is
killed by the kernel where it could have refused a write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from typing import Any

from ..isolation.facts.capacity import cpu_limit, memory_limit, size
from ..isolation.numbers import number_of

#: What Redis does when its memory is full, by ``bulkhead_redis_use``. A queue must not lose jobs; sessions have an end,
#: and the ones that are closest to it go first.
REDIS_POLICIES = {"broker": "noeviction", "cache": "allkeys-lru", "sessions": "volatile-ttl"}

#: What PostgreSQL keeps for connections beside pgbouncer's pool: the administrator, backups, health checks.
_SPARE_CONNECTIONS = 20

#: The memory that one worker process of an application may need before it counts.
_WORKER = 256 << 20

#: The memory that nginx may need for one connection: its buffers, TLS, and the connection to the application.
_CONNECTION = 64 << 10


def tuned(definitions: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The settings of each server of the default stack, by service: derived ones, and the user's over them.

    ``definitions`` are the complete Compose definitions of the services by name, ``values`` the variables.
    """
    derived = {"nginx": _nginx, "pgbouncer": _pgbouncer, "postgresql": _postgresql, "redis": _redis}
    found = {}
    for name, derive in derived.items():
        settings = derive(definitions.get(name) or {}, values)
        own = values.get(f"bulkhead_{name}_settings") or {}
        found[name] = {**settings, **{key: text_of(name, value) for key, value in own.items()}}
    return found


def workers(service: Mapping[str, Any]) -> int:
    """The number of worker processes for an application's limits: two for each processor and one more, as gunicorn
    advises, as far as the memory goes. 0 where neither is limited."""
    memory, cpus = memory_limit(service), cpu_limit(service)
    bounds = [int(2 * cpus) + 1] if cpus else []
    bounds += [memory // _WORKER] if memory else []
    return max(1, min(bounds)) if bounds else 0


def fit_to_limits(name: str, complete: dict[str, Any], extra: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Give a service the part of its memory for ``/dev/shm`` that its ``shm_part`` says, unless its user chose one.

    Raises ValueError for a part that is none.
    """
    part = extra.get("shm_part")
    if part is None or "shm_size" in own:
        return
    if not isinstance(part, int) or part < 1:
        raise ValueError(f"bulkhead_services.{name}: x-bulkhead.shm_part is {part!r}; use a whole number such as 8")
    memory = memory_limit(complete)
    complete["shm_size"] = f"{max(64, memory // part >> 20) if memory else 128}m"


def text_of(program: str, value: Any) -> str:
    """A value as a program's configuration has it: truth values in the program's own words."""
    if isinstance(value, bool):
        words = {"redis": ("no", "yes"), "pgbouncer": ("0", "1")}.get(program, ("off", "on"))
        return words[value]
    return str(value)


def lines(program: str, settings: Mapping[str, str]) -> str:
    """Settings as lines of a program's configuration file."""
    return "\n".join(_line(program, name, value) for name, value in settings.items())


def _line(program: str, name: str, value: str) -> str:
    if program == "redis":
        return f"{name} {json.dumps(value)}"
    if program == "postgresql":
        quoted = value.replace("\\", "\\\\").replace("'", "''")
        return f"{name} = '{quoted}'"
    return f"{name} {value}" if program == "nginx" else f"{name} = {value}"


def _nginx(service: Mapping[str, Any], _values: Mapping[str, Any]) -> dict[str, str]:
    """nginx counts the machine's processors, and would start a worker for each."""
    memory, cpus = memory_limit(service), cpu_limit(service)
    if not (memory and cpus):
        return {}
    processes = max(1, round(cpus))
    connections = min(16384, max(512, memory // 2 // _CONNECTION // processes))
    return {"worker_processes": str(processes), "worker_connections": str(connections)}


def _pgbouncer(_service: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    pool = str(values["bulkhead_pgbouncer_pool_size"])
    # While a password is replaced there are two logins, each with a pool: together they get no more.
    chosen = {"default_pool_size", "reserve_pool_size"} & set(values.get("bulkhead_pgbouncer_settings") or {})
    return {
        "pool_mode": "transaction",
        "default_pool_size": pool,
        **({} if chosen else {"max_db_connections": pool}),
        "max_client_conn": str(values["bulkhead_pgbouncer_max_clients"]),
        "server_reset_query_always": "1",
        "server_login_retry": "1",
        "ignore_startup_parameters": "extra_float_digits",
    }


def _postgresql(service: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """A quarter of the memory for shared buffers; the rest, over three operations of each pooled connection."""
    pool = int(values["bulkhead_pgbouncer_pool_size"] or 1)
    found = {"max_connections": str(max(100, pool + _SPARE_CONNECTIONS))}
    mebibytes = memory_limit(service) >> 20
    if not mebibytes:
        return found
    shared = max(1, mebibytes // 4)
    return {
        **found,
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{max(1, mebibytes * 3 // 4)}MB",
        "work_mem": f"{min(64, max(1, (mebibytes - shared) // (3 * max(1, pool))))}MB",
        "maintenance_work_mem": f"{min(1024, max(16, mebibytes // 16))}MB",
    }


def _redis(service: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """Three quarters of the memory; the rest is for buffers, and for what changes while Redis writes its file anew."""
    found = {"maxmemory": str(memory_limit(service) * 3 // 4)}
    return {**found, "maxmemory-policy": REDIS_POLICIES.get(str(values["bulkhead_redis_use"]), "noeviction")}


def beyond(definitions: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The settings that let a server take at least the memory of its container, as ``<service>.<setting>``."""
    found = []
    for program, name in (("redis", "maxmemory"), ("postgresql", "shared_buffers")):
        limit = memory_limit(definitions.get(program) or {})
        if limit and _may_take(program, settings[program].get(name)) >= limit:
            found.append(f"{program}.{name}")
    return found


def _may_take(program: str, written: str | None) -> float:
    """The bytes that a setting lets a server take. Redis has no bound at 0, and PostgreSQL counts pages of 8 KiB."""
    if program == "postgresql" and str(written).isdecimal():
        return number_of(str(written)) << 13
    return size(written) or (inf if program == "redis" else 0)
