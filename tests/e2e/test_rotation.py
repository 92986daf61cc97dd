# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every secret of the guide's staging is replaced while people use it: no request fails, and earlier ones are dead."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentences
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsText
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import opened
from guide_stack import SERVICES, Guide, self_signed
from load import Load, Pace
from load_guide import faults_of_rows, peer
from observe import eventually, moment, running
from sabotage import let_time_pass, receipt, started
from support import Place, docker

PACE = Pace(rate=15.0)


@pytest.fixture(autouse=True)
def production_untouched(guide: Guide) -> Iterator[None]:
    """No test of this file touches production."""
    before = moment(guide.production, without=())
    yield
    assert moment(guide.production, without=()) == before


@contextmanager
def without_a_failure(place: Place, *certificates: str) -> Iterator[Load]:
    """Requests of every kind while the block runs, which trust these certificates: none fails, and no note is lost."""
    visitors = peer(place)
    for certificate in certificates:
        visitors.context.load_verify_locations(cadata=certificate)
    with Load([visitors], PACE) as load:
        load.rest(1)
        yield load
        load.rest(1)
    assert load.failures == [], load.report()
    assert load.summary().requests > 30, load.report()
    assert faults_of_rows(load, place) == []


def rotate_all(place: Place) -> None:
    """New values of everything that the stack needs, by the verb."""
    wanted = ("-e", "bulkhead_secret=rotate", "-e", "bulkhead_secret_name=all")
    done = place.deploy(*wanted, playbook="playbooks/secrets.yml", passwords=[place.group]).succeeded()
    folder = place.site.inventory / "group_vars" / place.group
    passwords = [(place.group, VaultSecret(place.password.encode()))]
    values = SecretsText(opened((folder / "vault.yml").read_text(), passwords, place.group)[0]).values
    # The inventory is written anew from what the tests know, and they make no fingerprints.
    (folder / "fingerprints.yml").unlink()
    before = place.secrets["bulkhead_secrets"]
    assert not [value for value in (*before.values(), *values.values()) if value in done.output]
    assert {name for name, value in values.items() if before.get(name) != value} == {
        "SECRET_KEY", "SECRET_KEY_FALLBACKS", "DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD",
    }  # fmt: skip
    place.secrets["bulkhead_secrets"] = dict(values)


def rotate(place: Place) -> None:
    """The same, with values that need quoting wherever they stand."""
    words = place.secrets["bulkhead_secrets"]
    words["SECRET_KEY_FALLBACKS"] = words["SECRET_KEY"]
    for name in ("SECRET_KEY", "DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        words[name] = f"{name.lower()}'\"\\ $#{secrets.token_hex(16)}"


def settings(place: Place) -> dict[str, str]:
    """The settings of the application as it runs."""
    text = docker("exec", f"{place.prefix}_django", "cat", "/proc/1/environ")
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def opens_database(place: Place, user: str, password: str, server: str = "pgbouncer", port: int = 6432) -> bool:
    """Whether a login opens the environment's database, by the way that the application comes."""
    command = ["docker", "exec", "--env", "PGPASSWORD", f"{place.prefix}_pgbouncer", "psql", "-XAtw"]
    url = f"host={server} port={port} dbname={place.prefix} user='{user}'"
    said = subprocess.run(
        [*command, "-c", "SELECT 1", url],
        env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return said.stdout.strip() == "1"


def django(place: Place, script: str, *arguments: str) -> str:
    """What a line of Python says in the application as it runs, with its settings."""
    command = ["env", "DJANGO_SETTINGS_MODULE=config.settings", "python3", "-c", script, *arguments]
    return docker("exec", f"{place.prefix}_django", *command).strip()


def signed(place: Place) -> str:
    """Something that the application signed, as it signs sessions and links in mails."""
    return django(place, "from django.core import signing; print(signing.dumps('somebody'))")


def accepts(place: Place, token: str) -> bool:
    """Whether the application accepts what it signed earlier."""
    script = """
import sys
from django.core import signing
try:
    print(signing.loads(sys.argv[1]))
except signing.BadSignature:
    print("refused")
"""
    return django(place, script, token) == "somebody"


def served(place: Place) -> str:
    """The certificate with which the environment answers."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    address = ("127.0.0.1", place.variables["bulkhead_https_port"])
    domain = place.variables["bulkhead_domains"][0]
    with (
        socket.create_connection(address, 10) as connection,
        trusting.wrap_socket(connection, server_hostname=domain) as client,
    ):
        return ssl.DER_cert_to_PEM_cert(client.getpeercert(binary_form=True) or b"")


def opens_redis(place: Place, password: str) -> bool:
    """Whether a password opens Redis."""
    command = ["docker", "exec", "--env", "REDISCLI_AUTH", f"{place.prefix}_redis", "redis-cli", "ping"]
    environment = {**os.environ, "REDISCLI_AUTH": password}
    return "PONG" in subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def asked(place: Place, question: str) -> set[str]:
    """What the environment's database server says to its administrator."""
    arguments = ["psql", "-U", place.site.project, "-d", place.prefix, "-Atc", question]
    return set(docker("exec", f"{place.prefix}_postgresql", *arguments).split())


def assert_alone(place: Place, user: str, words: dict[str, str], earlier: dict[str, str]) -> None:
    """The new login and passwords open everything, and the earlier ones nothing."""
    now, admin = settings(place), place.site.project
    for server, port in (("pgbouncer", 6432), ("postgresql", 5432)):
        assert opens_database(place, now["DB_USER"], words["DB_PASSWORD"], server, port)
        assert not opens_database(place, user, earlier["DB_PASSWORD"], server, port)
        assert not opens_database(place, now["DB_USER"], earlier["DB_PASSWORD"], server, port)
    assert opens_database(place, admin, words["POSTGRES_PASSWORD"], "postgresql", 5432)
    assert not opens_database(place, admin, earlier["POSTGRES_PASSWORD"], "postgresql", 5432)
    assert opens_redis(place, words["REDIS_PASSWORD"]) and not opens_redis(place, earlier["REDIS_PASSWORD"])
    assert asked(place, "SELECT rolname FROM pg_roles WHERE rolcanlogin") == {admin, now["DB_USER"]}
    assert asked(place, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == {place.prefix}


def test_all_secrets_in_one_release(guide: Guide) -> None:
    """By `rotate all`, from the layout of earlier versions, where the owner of the database logs in, and back to it by
    a rollback."""
    place = guide.staging
    place.variables["bulkhead_database_login"] = place.prefix
    place.deploy(passwords=["staging"]).succeeded()
    user, earlier, before = settings(place)["DB_USER"], dict(place.secrets["bulkhead_secrets"]), running(place.prefix)
    assert user == place.prefix
    del place.variables["bulkhead_database_login"]
    rotate_all(place)
    old = dict(place.secrets)
    certificate, key = self_signed(["rotated.example.com", *place.variables["bulkhead_domains"]])
    place.secrets |= {"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key}
    certificates = (certificate, old["bulkhead_tls_certificate"])
    with without_a_failure(place, *certificates):
        run = place.deploy(passwords=["staging"]).succeeded()
    steps = sentences(receipt(run)["changed"])
    for service in ("pgbouncer", "postgresql", "redis"):
        step = f"end the earlier passwords of {place.prefix}_{service}, and try that they open nothing"
        assert step in steps
    after = running(place.prefix)
    assert {name for name in SERVICES if before[f"{place.prefix}_{name}"] != after[f"{place.prefix}_{name}"]} == {
        "django"
    }
    assert_alone(place, user, place.secrets["bulkhead_secrets"], earlier)
    later, words = settings(place)["DB_USER"], dict(place.secrets["bulkhead_secrets"])
    place.secrets = {**old, "bulkhead_secrets": earlier}
    with without_a_failure(place, *certificates):
        place.deploy(playbook="playbooks/rollback.yml", passwords=["staging"]).succeeded()
    assert_alone(place, later, earlier, words)


@pytest.mark.parametrize("step", ["both", pytest.param("replaced", marks=pytest.mark.full)])
def test_a_run_that_is_killed(guide: Guide, step: str) -> None:
    """While old and new containers run, or when only the new one does: no request fails, the next run finishes."""
    place = guide.staging
    user, earlier = settings(place)["DB_USER"], dict(place.secrets["bulkhead_secrets"])
    token = signed(place)
    rotate(place)
    certificates = [place.secrets["bulkhead_tls_certificate"]]
    certificate, key = self_signed(["killed.example.com", *place.variables["bulkhead_domains"]])
    certificates.append(certificate)
    place.secrets |= {"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key}
    name = f"{place.prefix}_django"

    def there() -> dict[str, str]:
        return dict(line.split() for line in docker("ps", "--format", "{{.Names}} {{.ID}}").splitlines())

    serving = there()[name]

    def reached() -> bool:
        now = there()
        return f"{name}_next" in now if step == "both" else now.get(name, serving) != serving

    with without_a_failure(place, *certificates):
        with started(place.site, "-l", place.group) as process:
            eventually(lambda: reached() or process.poll() is not None, 120, pause=0.03)
            assert process.poll() is None, (place.site.directory / "killed.log").read_text()
        assert opens_database(place, user, earlier["DB_PASSWORD"])
        let_time_pass(place)
        place.deploy(passwords=["staging"]).succeeded()
    assert_alone(place, user, place.secrets["bulkhead_secrets"], earlier)
    assert served(place).split() == certificate.split()
    # What the old key signed is valid until that key is retired, and then no longer.
    assert accepts(place, token)
    del place.secrets["bulkhead_secrets"]["SECRET_KEY_FALLBACKS"]
    with without_a_failure(place):
        place.deploy(passwords=["staging"]).succeeded()
    assert not accepts(place, token) and accepts(place, signed(place))
