# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both environments of the guide at the same time, over HTTPS through their own nginx."""

from __future__ import annotations

import re
import secrets
import socket
import ssl

import pytest
from guide_stack import Guide
from observe import ask, connect, containers, say_by_websocket, trust
from support import Place, docker


def test_each_answers_for_itself(guide: Guide) -> None:
    """Environment, commit, database and role are the environment's own, and no part answers for both."""
    seen = []
    for place in guide.both:
        answer = ask(place, "/whoami/")
        who = answer.json
        assert answer.status == 200
        assert answer.headers["X-Environment"] == place.prefix
        assert who["environment"] == place.name
        assert who["commit"] == guide.commits[place.variables["bulkhead_source_branch"]]
        assert who["database"]["name"] == who["database"]["user"] == place.prefix
        assert containers(place.prefix)[f"{place.prefix}_django"]["Id"].startswith(who["container"])
        seen += [who["container"], who["database"]["started"], who["redis"]["run_id"], who["commit"]]
    assert len(set(seen)) == len(seen)


def test_every_domain_is_answered(guide: Guide) -> None:
    """www is production's, too."""
    answer = ask(guide.production, "/health/", sni="www.eduaiia.com")
    assert answer.status == 200 and answer.json["healthy"] is True


def test_redirect_keeps_the_published_port(guide: Guide) -> None:
    """HTTP leads to HTTPS on the port that the machine publishes, with path and query."""
    for place in guide.both:
        domain, port = place.variables["bulkhead_domains"][0], place.variables["bulkhead_https_port"]
        answer = ask(place, "/notes/?page=2", host=domain, tls=False)
        assert answer.status == 301
        assert answer.headers["Location"] == f"https://{domain}:{port}/notes/?page=2"


def test_unknown_names_get_no_answer(guide: Guide) -> None:
    """A name that is not the environment's, the other environment's included, is refused on both ports."""
    for place in guide.both:
        for name in (guide.other(place).variables["bulkhead_domains"][0], "elsewhere.example", "localhost"):
            with pytest.raises((ConnectionError, OSError, Exception)) as refusal:
                ask(place, "/", host=name, tls=False)
            assert type(refusal.value).__name__ == "RemoteDisconnected", "HTTP: closed without an answer (444)"
            loose = ssl.create_default_context()
            loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
            with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                connect(place, name, loose)


def test_host_header_against_server_name(guide: Guide) -> None:
    """A known name in the handshake does not open the door for a foreign Host header."""
    answer_or_none: int | None
    try:
        answer_or_none = ask(guide.staging, "/whoami/", host=guide.production.variables["bulkhead_domains"][0]).status
    except ConnectionError:
        answer_or_none = None
    assert answer_or_none in (None, 421), "neither environment's page may be served"


def test_certificates_are_the_environments_own(guide: Guide) -> None:
    """Production's certificate is not what staging's nginx shows."""
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(guide.staging, "staging.eduaiia.com", trust(guide.production))


def test_static_files(guide: Guide) -> None:
    """The page names a stylesheet, and nginx serves it from the environment's own volume."""
    for place in guide.both:
        page = ask(place, "/").body.decode()
        found = re.search(r'href="(/static/[^"]+\.css)"', page)
        assert found, page
        answer = ask(place, found[1])
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/css"
        assert answer.headers["Cache-Control"] == "max-age=3600", "not from nginx"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Environment"] == place.prefix


def test_security_headers(guide: Guide) -> None:
    """Headers are there once each, and HSTS is not sent from ports that are not the standard ones."""
    for place in guide.both:
        headers = ask(place, "/").headers
        for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"):
            assert len(headers.get_all(name) or []) == 1, name
        assert headers["Strict-Transport-Security"] is None
        assert not re.search(r"\d", headers["Server"] or "")


def test_websockets(guide: Guide) -> None:
    """A websocket passes nginx in both."""
    for place in guide.both:
        text = f"hello from {place.name}".encode()
        assert say_by_websocket(place, "/ws/echo/", text) == text


def test_bodies_beyond_the_limit_are_refused(guide: Guide) -> None:
    """20 MB is the limit; one of 21 is refused by nginx."""
    with socket.create_connection(("127.0.0.1", guide.staging.variables["bulkhead_https_port"])):
        pass
    assert ask(guide.staging, "/redis/large", "PUT", b"x" * 1_000_000).status == 204
    try:
        status = ask(guide.staging, "/redis/large", "PUT", b"x" * 21_000_000).status
    except (ConnectionError, ssl.SSLError):
        pytest.skip("nginx closed the connection before its answer could be read")
    assert status == 413


def test_rows_stay_in_their_environment(guide: Guide) -> None:
    """What one writes is read back there, and is not seen in the other: neither rows nor keys."""
    for place in guide.both:
        text, key = f"only in {place.name} {secrets.token_hex(8)}", secrets.token_hex(8)
        assert ask(place, "/notes/", "POST", {"text": text}).status == 201
        assert ask(place, f"/redis/{key}", "PUT", text.encode()).status == 204
        assert text in [note["text"] for note in ask(place, "/notes/").json["notes"]]
        assert ask(place, f"/redis/{key}").body.decode() == text
        other = guide.other(place)
        assert text not in [note["text"] for note in ask(other, "/notes/").json["notes"]]
        assert ask(other, f"/redis/{key}").status == 404
        assert key not in docker(
            "exec", f"{other.prefix}_redis", "sh", "-c",
            'REDISCLI_AUTH="$(cat /usr/local/etc/redis/password)" redis-cli --scan',
        )  # fmt: skip


def query(place: Place, sql: str) -> str:
    """Ask the environment's server as its administrator."""
    arguments = ["psql", "-U", place.site.project, "-d", "postgres", "-Atc", sql]
    return docker("exec", f"{place.prefix}_postgresql", *arguments).strip()


def test_the_applications_role_is_small(guide: Guide) -> None:
    """The owner of the database logs in to nothing, its login owns nothing, and nobody connects who is not named."""
    for place in guide.both:
        flags = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin"
        login = docker("exec", f"{place.prefix}_django", "printenv", "DB_USER").strip()
        for role, logs_in in ((place.prefix, "f"), (login, "t")):
            assert query(place, f"SELECT {flags} FROM pg_roles WHERE rolname = '{role}'") == f"f|f|f|f|f|{logs_in}"
        owner = f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{place.prefix}'"
        assert query(place, owner) == place.prefix
        may = query(
            place, f"SELECT datname FROM pg_database WHERE has_database_privilege('{place.prefix}', oid, 'CONNECT')"
        )
        assert set(may.splitlines()) <= {place.prefix, "template0"}
        public = (
            "SELECT datname FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) "
            "WHERE grantee = 0 AND datallowconn"
        )
        assert query(place, public) == ""


def sign_in(place: Place, database: str, password: str, host: str = "postgresql", port: int = 5432) -> str:
    """Try to connect as the application's role from its own container; returns the error, empty where it works."""
    program = (
        "import psycopg, sys, os\n"
        f"try: psycopg.connect(host={host!r}, port={port}, dbname={database!r}, "
        f"user=os.environ['DB_USER'], password={password!r}, connect_timeout=30).execute('SELECT 1')\n"
        "except psycopg.Error as error: print(error)"
    )
    return docker("exec", f"{place.prefix}_django", "python3", "-c", program).strip()


def test_signing_in(guide: Guide) -> None:
    """The application's password opens its own database, no other, and not the other environment's."""
    for place in guide.both:
        password = place.secrets["bulkhead_secrets"]["DB_PASSWORD"]
        foreign = guide.other(place).secrets["bulkhead_secrets"]["DB_PASSWORD"]
        assert sign_in(place, place.prefix, password) == ""
        assert "permission denied for database" in sign_in(place, "postgres", password)
        assert "password authentication failed" in sign_in(place, place.prefix, foreign)
        other = guide.other(place).prefix
        assert sign_in(place, place.prefix, password, host=f"{other}_postgresql") != "", "the other's server is reached"
