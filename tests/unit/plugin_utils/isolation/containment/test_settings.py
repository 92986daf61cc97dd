# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of settings: each value that reaches outside refused beside one that does not."""

from __future__ import annotations

import crossplane.analyzer
import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.boundary import Boundary
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.classes import Class
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.settings import PROGRAMS, judge

OWN = Boundary(
    "aiia_staging",
    "/srv/aiia_staging",
    ("staging.example.com",),
    {"address": frozenset({"10.9.9.9"})},
    frozenset({"web", "db", "redis"}),
    frozenset({"primary"}),
)

# Of each setting a value that reaches outside, and one that does not.
CASES = [
    ("nginx", "access_log", "syslog:server=aiia_prod_log:514,tag=x", "/dev/stdout main"),
    ("nginx", "error_log", "syslog:server=10.1.2.3", "syslog:server=web:514"),
    ("nginx", "include", "/srv/storage/media/more.conf", "/etc/nginx/mime.types"),
    ("nginx", "include", "../more.conf", "fastcgi_params"),
    ("nginx", "load_module", "modules/x.so", None),
    ("nginx", "mail", "", None),
    ("nginx", "quic_bpf", "on", "off"),
    ("nginx", "resolver", "192.168.1.1 valid=1s", "127.0.0.11 valid=1s ipv6=off"),
    ("nginx", "resolver", "169.254.169.254", "9.9.9.9"),
    ("nginx", "server_name", "staging.example.com example.com", "staging.example.com www.staging.example.com"),
    ("nginx", "server_name", "*.example.com", "localhost _"),
    ("nginx", "ssl_engine", "pkcs11", None),
    ("nginx", "stream", "", None),
    ("nginx", "worker_priority", "-20", "5"),
    ("pgbouncer", "%include", "/srv/aiia_prod/pgbouncer.ini", None),
    ("postgresql", "bonjour", "on", None),
    ("postgresql", "huge_pages", "on", "off"),
    ("postgresql", "include_dir", "conf.d", None),
    ("postgresql", "INCLUDE", "x.conf", None),
    ("postgresql", "primary_conninfo", "host=aiia_prod_postgresql user=x", "host=primary user=x"),
    ("postgresql", "primary_conninfo", "host=db,10.1.2.3", "host=db,10.9.9.9"),
    ("postgresql", "primary_conninfo", "postgresql://x@example.com/x", "postgresql://x@db.staging.example.com:5432/x"),
    ("postgresql", "primary_conninfo", "service=prod", ""),
    ("redis", "include", "/etc/redis/more.conf", None),
    ("redis", "oom-score-adj", "absolute", "no"),
    ("redis", "oom-score-adj-values", "-900 0 0", "0 200 800"),
    ("redis", "replicaof", "aiia_prod_redis 6379", "redis 6379"),
    ("redis", "slaveof", "redis.example.com 6379", "NO ONE"),
    ("redis", "socket-mark-id", "1", None),
]


@pytest.mark.parametrize(("program", "setting", "bad", "good"), CASES, ids=lambda value: str(value)[:30])
def test_setting(program: str, setting: str, bad: str, good: str | None) -> None:
    """What reaches outside is refused, and what is like it but stays inside is not."""
    assert judge(program, setting, bad, OWN).problem
    if good is not None:
        assert judge(program, setting, good, OWN).problem == ""


@pytest.mark.parametrize(
    ("program", "setting"),
    [
        ("nginx", "client_max_body_size"),
        ("pgbouncer", "databases.app.pool_size"),
        ("pgbouncer", "max_client_conn"),
        ("postgresql", "Shared_Buffers"),
        ("postgresql", "pg_stat_statements.track"),
        ("redis", "maxmemory-policy"),
    ],
)
def test_known(program: str, setting: str) -> None:
    """Ordinary settings are allowed, in the spelling that the program takes."""
    judged = judge(program, setting, "1", OWN)
    assert judged.kind in (Class.INSIDE, Class.TEXT)
    assert judged.problem == ""


@pytest.mark.parametrize(
    ("program", "setting"),
    [
        ("nginx", "teleport_pass"),
        ("nginx", "CLIENT_MAX_BODY_SIZE"),
        ("nginx", "content_by_lua_block"),
        ("pgbouncer", "databases.app.teleport"),
        ("pgbouncer", "teleport"),
        ("postgresql", "teleport"),
        ("postgresql", ".track"),
        ("postgresql", "a.b.c"),
        ("redis", "teleport"),
        ("redis", "sentinel"),
    ],
)
def test_unknown(program: str, setting: str) -> None:
    """What nobody classified has no class, and is named."""
    judged = judge(program, setting, "1", OWN)
    assert judged.kind is None
    assert setting in judged.problem


#: Modules that the official image of nginx does not load: a commercial edition's, and those of ``stream`` and ``mail``.
_OTHER_MODULES = (
    "api auth_http auth_http_header auth_http_pass_client_cert auth_http_timeout f4f f4f_buffer_size hls least_time "
    "limit_zone match ntlm perl perl_modules perl_require perl_set preread_buffer_size "
    "preread_timeout protocol proxy_buffer proxy_download_rate proxy_pass_error_message proxy_protocol "
    "proxy_protocol_timeout proxy_requests proxy_responses proxy_ssl proxy_timeout proxy_upload_rate queue "
    "spdy_chunk_size spdy_headers_comp ssl_handshake_timeout ssl_preread starttls state status status_format "
    "status_zone sticky sticky_cookie_insert timeout upstream_conf xclient google_perftools_profiles"
)
_OTHER_FAMILIES = (
    "auth_jwt", "geoip_", "health_check", "hls_", "image_filter", "imap_", "js_", "keyval", "pop3_", "session_log",
    "smtp_", "xml_", "xslt_", "zone_sync", "fastcgi_cache_purge", "proxy_cache_purge", "scgi_cache_purge",
    "uwsgi_cache_purge",
)  # fmt: skip


def test_nginx_directives_are_complete() -> None:
    """Every directive that another parser knows has a class, or is of a module that the image does not have."""
    others = {
        name
        for name in crossplane.analyzer.DIRECTIVES
        if name in _OTHER_MODULES.split() or name.startswith(_OTHER_FAMILIES)
    }
    assert sorted(crossplane.analyzer.DIRECTIVES.keys() - PROGRAMS["nginx"].keys() - others) == []
    assert sorted(others & PROGRAMS["nginx"].keys()) == []


def test_what_is_bounded_says_up_to_what() -> None:
    """What is bounded or refused says up to what, or why."""
    assert [
        (program, name)
        for program, table in PROGRAMS.items()
        for name, entry in table.items()
        if entry.kind.name not in ("INSIDE", "TEXT") and not entry.note
    ] == []
