# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database server and the Redis server, as this process sees them."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from redis import Redis

KEY_SECONDS = 24 * 3600


@cache
def redis() -> Redis:
    return Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=3, socket_timeout=3, decode_responses=True, health_check_interval=30
    )


def key_name(key: str) -> str:
    return f"{settings.ENVIRONMENT}:{key}"


def remember(key: str, value: str) -> None:
    redis().set(key_name(key), value, ex=KEY_SECONDS)


def recall(key: str) -> str | None:
    return redis().get(key_name(key))


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_redis() -> None:
    redis().ping()


def describe_database() -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), current_user, host(inet_server_addr()), pg_postmaster_start_time()::text"
        )
        name, user, address, started = cursor.fetchone()
    return {
        "name": name,
        "user": user,
        "address": address,
        "started": started,
        "system_identifier": system_identifier(),
    }


def system_identifier() -> str | None:
    """The number that a database server gets when it is made; some servers keep it from ordinary roles."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
            return cursor.fetchone()[0]
    except DatabaseError:
        return None


def describe_redis() -> dict[str, object]:
    server = redis().info("server")
    return {"run_id": server["run_id"], "version": server["redis_version"]}
