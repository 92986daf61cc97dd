# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of the guide know the limits of their containers, and take others while they run."""

from __future__ import annotations

from guide_stack import Guide
from observe import containers, running
from support import Place, docker


def redis(place: Place, *command: str) -> str:
    """What redis-cli says."""
    said = 'REDISCLI_AUTH="$(cat /usr/local/etc/redis/password)" redis-cli "$@"'
    return docker("exec", f"{place.prefix}_redis", "sh", "-c", said, "sh", *command)


def postgresql(place: Place, name: str) -> str:
    """A setting as the server has it."""
    ask = ("psql", "-U", place.site.project, "-d", "postgres", "-Atc", f"SHOW {name}")
    return docker("exec", f"{place.prefix}_postgresql", *ask).strip()


def workers(place: Place) -> int:
    """How many workers nginx has."""
    return docker("top", f"{place.prefix}_nginx", "-o", "pid,args").count("nginx: worker process")


def test_they_know_their_limits(guide: Guide) -> None:
    """1 GiB for PostgreSQL and the application, 512 MiB for the others, one processor for each."""
    for place in guide.both:
        assert redis(place, "CONFIG", "GET", "maxmemory").split() == ["maxmemory", str(384 << 20)]
        assert redis(place, "CONFIG", "GET", "maxmemory-policy").split()[-1] == "noeviction"
        shown = {name: postgresql(place, name) for name in ("shared_buffers", "effective_cache_size", "work_mem")}
        # Three operations of each pooled connection; other tests give staging a pool of another size.
        pool = int(place.variables.get("bulkhead_pgbouncer_pool_size", 20))
        work = min(64, (1024 - 256) // (3 * pool))
        assert shown == {"shared_buffers": "256MB", "effective_cache_size": "768MB", "work_mem": f"{work}MB"}
        assert workers(place) == 1
        found = containers(place.prefix)
        assert "WEB_CONCURRENCY=3" in found[f"{place.prefix}_django"]["Config"]["Env"]
        assert found[f"{place.prefix}_postgresql"]["HostConfig"]["ShmSize"] == 128 << 20


def test_settings_are_taken_by_what_runs(guide: Guide) -> None:
    """No container is recreated; a setting that PostgreSQL takes when it starts is reported until then."""
    place = guide.staging
    before = running(place.prefix)
    place.variables |= {
        "bulkhead_redis_use": "cache",
        "bulkhead_redis_settings": {"notify-keyspace-events": "Ex", "activedefrag": False, "maxmemory": "100mb"},
        "bulkhead_postgresql_settings": {
            "statement_timeout": "45s",
            "timezone": "Europe/Vienna",
            "max_connections": 120,
        },
        "bulkhead_pgbouncer_settings": {"ignore_startup_parameters": "extra_float_digits, options"},
    }
    place.deploy("--diff").succeeded()
    assert running(place.prefix) == before
    assert redis(place, "CONFIG", "GET", "maxmemory").split()[-1] == str(100 << 20)
    assert redis(place, "CONFIG", "GET", "maxmemory-policy").split()[-1] == "allkeys-lru"
    assert redis(place, "CONFIG", "GET", "notify-keyspace-events").split()[-1] in ("Ex", "xE")
    assert (postgresql(place, "statement_timeout"), postgresql(place, "timezone")) == ("45s", "Europe/Vienna")
    assert postgresql(place, "max_connections") == "100"
    verified = place.site.play("-l", place.group, playbook="playbooks/verify.yml").succeeded()
    assert "setting-waits" in verified.output and "max_connections" in verified.output


def test_what_goes_with_the_next_release_is_said(guide: Guide) -> None:
    """An upload that lies in the container, and a static file that is not there: advice, which stops nothing."""
    place = guide.staging
    container = f"{place.prefix}_django"
    moved = (
        "cd /srv/storage && mv static hidden && mkdir static && mkdir -p /tmp/uploads && echo x > /tmp/uploads/a.png"
    )
    docker("exec", container, "sh", "-c", moved)
    try:
        seen = " ".join(place.site.play("-l", place.group, playbook="playbooks/verify.yml").succeeded().output.split())
    finally:
        docker("exec", container, "sh", "-c", "cd /srv/storage && rm -r static /tmp/uploads && mv hidden static")
    assert f"{container} keeps /tmp/uploads/a.png in itself" in seen
    assert "The start page of" in seen and "names /static/notes/style." in seen
    seen = place.site.play("-l", place.group, playbook="playbooks/verify.yml").succeeded().output
    assert "static-missing" not in seen and "uploads-in-container" not in seen
