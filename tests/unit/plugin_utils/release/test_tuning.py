# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers get settings that fit their containers, and an inventory chooses among those that are safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.classes import Class
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.settings import PROGRAMS
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.program_settings import SETTABLE
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.tuning import workers
from unit.fleets import declared, problems, read, write
from unit.plugin_utils.release.test_render import on_the_machine, render, rendered, service, settings, texts
from unit.plugin_utils.release.tuning_page import PAGE, with_lists

CONF = ".bulkhead/private/postgresql/init/bulkhead.conf"
REDIS = ".bulkhead/private/redis/redis.conf"
LIMITS = "docker/nginx/limits"
POOLER = ".bulkhead/private/pgbouncer/pgbouncer.ini"


def limits(**found: Any) -> dict[str, Any]:
    """The part of a service's definition that limits it."""
    return {"deploy": {"resources": {"limits": found}}}


def lines(text: str) -> dict[str, str]:
    """Settings by name, of any of the four kinds of files."""
    split = (line.replace(" = ", " ").split(" ", 1) for line in text.splitlines() if " " in line)
    return {name: value.strip("'\"") for name, value in split}


def test_by_default(tmp_path: Path) -> None:
    release = rendered(tmp_path)
    found = texts(release)
    redis = lines(found[REDIS])
    assert (redis["maxmemory"], redis["maxmemory-policy"]) == (str(384 << 20), "noeviction")
    assert lines(found[CONF].split("over this.", 1)[1]) == {
        "max_connections": "100", "shared_buffers": "256MB", "effective_cache_size": "768MB", "work_mem": "12MB",
        "maintenance_work_mem": "64MB",
    }  # fmt: skip
    assert lines(found[LIMITS]) == {"worker_processes": "1", "worker_connections": "4096"}
    assert settings(release)["WEB_CONCURRENCY"] == "3"
    # As it was before it was derived: another size would recreate the database of those who upgrade.
    assert service(release, "postgresql")["shm_size"] == "128m"


def test_by_the_users_limits(tmp_path: Path) -> None:
    services = {
        "redis": limits(memory="64M"),
        "postgresql": {**limits(memory="8G"), "shm_size": "1g"},
        "nginx": {**limits(cpus="4"), "mem_limit": "1g"},
        "django": limits(cpus="2.0", memory="4G"),
    }
    release = rendered(tmp_path, bulkhead_services=services, bulkhead_pgbouncer_pool_size=150)
    found = texts(release)
    assert lines(found[REDIS])["maxmemory"] == str(48 << 20)
    shown = lines(found[CONF])
    assert (shown["shared_buffers"], shown["max_connections"], shown["work_mem"]) == ("2048MB", "170", "13MB")
    assert lines(found[LIMITS])["worker_processes"] == "4"
    assert settings(release)["WEB_CONCURRENCY"] == "5"
    assert service(release, "postgresql")["shm_size"] == "1g"


@pytest.mark.parametrize(
    ("definition", "number"),
    [
        (limits(cpus="1.0", memory="1G"), 3),
        (limits(cpus="8", memory="1G"), 4),
        (limits(cpus=0.5, memory="128M"), 1),
        (limits(memory="1G"), 4),
        (limits(cpus="x"), 0),
        ({}, 0),
    ],
)
def test_workers(definition: dict[str, Any], number: int) -> None:
    assert workers(definition) == number


def test_without_limits_servers_keep_their_own_defaults(tmp_path: Path) -> None:
    gone = limits(cpus=None, memory=None)
    names = ("nginx", "django", "redis", "postgresql")
    release = rendered(tmp_path, bulkhead_services=dict.fromkeys(names, gone))
    found = texts(release)
    assert lines(found[REDIS])["maxmemory"] == "0"
    assert "shared_buffers" not in found[CONF] and found[LIMITS].strip() == ""
    assert "WEB_CONCURRENCY" not in settings(release)
    assert service(release, "postgresql")["shm_size"] == "128m"


def test_the_users_settings_win(tmp_path: Path) -> None:
    release = rendered(
        tmp_path,
        bulkhead_env={"WEB_CONCURRENCY": "7"},
        bulkhead_redis_use="sessions",
        bulkhead_redis_settings={"maxmemory": "100mb", "activedefrag": True, "notify-keyspace-events": "Ex"},
        bulkhead_postgresql_settings={"work_mem": "1MB", "jit": False, "timezone": "Europe/Vienna"},
        bulkhead_pgbouncer_settings={"ignore_startup_parameters": "extra_float_digits, options", "verbose": True},
    )
    found = texts(release)
    assert settings(release)["WEB_CONCURRENCY"] == "7"
    redis = lines(found[REDIS])
    assert [redis[name] for name in ("maxmemory", "maxmemory-policy", "activedefrag")] == [
        "100mb", "volatile-ttl", "yes",
    ]  # fmt: skip
    shown = lines(found[CONF])
    assert [shown[name] for name in ("work_mem", "jit", "timezone")] == ["1MB", "off", "Europe/Vienna"]
    pooler = lines(found[POOLER])
    assert (pooler["ignore_startup_parameters"], pooler["verbose"]) == ("extra_float_digits, options", "1")
    assert found[POOLER].count("ignore_startup_parameters") == 1


@pytest.mark.parametrize(
    ("program", "name", "value"),
    [
        ("postgresql", "archive_command", "curl example.com"),
        ("postgresql", "shared_preload_libraries", "x"),
        ("postgresql", "include", "/etc/passwd"),
        ("postgresql", "listen_addresses", "*"),
        ("postgresql", "Work_Mem", "1MB"),
        ("postgresql", "work_mem", "1MB'\narchive_command = 'x"),
        ("postgresql", "timezone", ["UTC"]),
        ("postgresql", "shared_buffers", "1GB"),
        ("redis", "requirepass", ""),
        ("redis", "dir", "/"),
        ("redis", "maxmemory", "512mb"),
        ("redis", "maxmemory", 0),
        ("redis", "maxmemory", "0mb"),
        ("redis", "maxmemory", "half"),
        ("postgresql", "shared_buffers", 131072),
        ("postgresql", "shared_buffers", "9" * 5000),
        ("redis", "maxmemory-policy", "noeviction\nloadmodule /x"),
        ("pgbouncer", "auth_query", "SELECT"),
        ("pgbouncer", "%include", "/etc/passwd"),
        ("pgbouncer", "pool_mode", "session\n[databases]"),
    ],
)
def test_what_is_refused(tmp_path: Path, program: str, name: str, value: Any) -> None:
    variable = f"bulkhead_{program}_settings"
    chosen: dict[str, Any] = {variable: {name: value}}
    declaration = declared(tmp_path, **chosen)
    render(declaration, tmp_path)
    assert problems(declaration) == [("invalid-setting", f"{variable}.{name}")]
    assert "\n" not in declaration.problems[0].message


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("Work_Mem", "write work_mem;"),
        ("shared_buffer", "write shared_buffers;"),
        ("archive_command", "leave it out;"),
    ],
)
def test_a_mistyped_setting_is_told_the_right_name(tmp_path: Path, written: str, fix: str) -> None:
    declaration = declared(tmp_path, bulkhead_postgresql_settings={written: "1MB"})
    render(declaration, tmp_path)
    assert declaration.problems[0].fix.startswith(fix)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bulkhead_redis_use", "queue"),
        ("bulkhead_nginx_header_size", "16 kB; evil on"),
        ("bulkhead_nginx_streaming", ["/events/ { } location /x"]),
        ("bulkhead_nginx_streaming", ["/"]),
        ("bulkhead_nginx_server", "gzip on"),
        ("bulkhead_nginx_server", "gzip on; } server {"),
        ("bulkhead_nginx_server", "# nothing"),
        ("bulkhead_nginx_server", "listen 8443;"),
        ("bulkhead_nginx_server", "server_name any.example.com;"),
        ("bulkhead_nginx_locations", [{"path": "/", "directives": "gzip on;"}]),
        ("bulkhead_nginx_locations", [{"path": "/x { } location /y", "directives": "gzip on;"}]),
        ("bulkhead_nginx_locations", [{"path": "/upload/", "directives": "if ($uri) {"}]),
        ("bulkhead_nginx_locations", [{"path": "/upload/"}]),
        ("bulkhead_trusted_proxies", ["0.0.0.0/0"]),
        ("bulkhead_trusted_proxies", ["::/0"]),
        ("bulkhead_trusted_proxies", ["10.0.0.1/8"]),
        ("bulkhead_trusted_proxies", ["balancer.example.com"]),
    ],
)
def test_values_that_are_none(tmp_path: Path, name: str, value: Any) -> None:
    declaration = declared(tmp_path, **{name: value})
    render(declaration, tmp_path)
    assert problems(declaration) == [("invalid-variable", name)]


@pytest.mark.parametrize("part", [0, -8, "eight", [8]])
def test_a_part_that_is_none(tmp_path: Path, part: Any) -> None:
    declaration = declared(tmp_path, bulkhead_services={"postgresql": {"x-bulkhead": {"shm_part": part}}})
    loader = read(write(tmp_path / "any", {})).loader
    assert Renderer(loader, []).render(declaration) is None
    assert "x-bulkhead.shm_part is" in declaration.problems[0].message


def test_settings_of_redis_reach_the_one_that_runs(tmp_path: Path) -> None:
    """Passwords as well."""
    redis = on_the_machine(rendered(tmp_path))["redis"]
    assert redis.start_files == () and redis.overlaps == (".bulkhead/private/redis/passwords",)
    assert REDIS in redis.files and redis.on_change and redis.retire


def test_behind_a_balancer(tmp_path: Path) -> None:
    """One server for both ports, which believes the balancer and nobody else."""
    changed = {"bulkhead_trusted_proxies": ["10.0.0.0/24", "fd00::1"], "bulkhead_nginx_streaming": ["/events/"]}
    text = texts(rendered(tmp_path / "behind", **changed))["docker/nginx/prod.conf"]
    for line in ("set_real_ip_from 10.0.0.0/24;", "set_real_ip_from fd00::1;", "fd00::1 1;", "location /events/ {"):
        assert line in text
    assert text.count("server_name") == 1
    assert "X-Forwarded-Proto $bulkhead_scheme;" in text
    plain = texts(rendered(tmp_path / "plain"))["docker/nginx/prod.conf"]
    assert "X-Forwarded-Proto https;" in plain and "real_ip" not in plain
    assert "proxy_buffer_size           16k;" in plain


def test_directives_of_ones_own(tmp_path: Path) -> None:
    """At the server, and at locations: what does not answer itself goes to the application."""
    locations = [
        {"path": "/upload/", "directives": "client_max_body_size 2g;\nproxy_request_buffering off;\n"},
        {"path": "/gone/", "directives": "return 410;"},
        {"path": "/raw/", "directives": "if ($arg_x) { return 410; }\nproxy_pass http://prod_django:8000;"},
    ]
    changed: dict[str, Any] = {"bulkhead_nginx_server": "gzip on; # own\n", "bulkhead_nginx_locations": locations}
    text = texts(rendered(tmp_path / "own", **changed))["docker/nginx/prod.conf"]
    assert "    gzip on; # own\n" in text
    assert (
        "    location /upload/ {\n        client_max_body_size 2g;\n        proxy_request_buffering off;\n"
        "        error_page 502 504 = @again;\n        proxy_pass http://$bulkhead_application:8000;\n    }\n"
    ) in text
    assert "    location /gone/ {\n        return 410;\n    }\n" in text
    assert "proxy_pass http://prod_django:8000;\n    }\n" in text
    plain = texts(rendered(tmp_path / "plain"))["docker/nginx/prod.conf"]
    assert "bulkhead_nginx_" not in plain and "2g" not in plain


def test_the_page_is_not_stale() -> None:
    """`.venv/bin/python tests/unit/plugin_utils/release/tuning_page.py` writes its lists anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_lists(text)


def test_what_may_be_set_is_contained() -> None:
    """The containment table knows every setting that an inventory may choose, and none of them reaches outside."""
    for program, names in SETTABLE.items():
        classes = {name: PROGRAMS[program][name].kind for name in names}
        assert set(classes.values()) <= {Class.INSIDE, Class.TEXT}, classes
