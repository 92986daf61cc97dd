# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of an authority: had, renewed by the machine, kept while anything fails, gone with the environment."""

from __future__ import annotations

import json
import shlex
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_server import LIMIT, Authority
from cryptography import x509
from guide_stack import IMAGES, behind_nginx, self_signed
from observe import address, may_schedule
from support import Place, Site, docker, free_port, only, web
from test_behind_the_door import front_door

CLIENT = "bulkhead-demo/certbot:4"
SUBNET, GATEWAY = "10.213.78.0/28", "10.213.78.1"

pytestmark = pytest.mark.skipif(not may_schedule(), reason="renewal needs root, and cron without systemd")


def served(place: Place) -> x509.Certificate:
    """The certificate with which an environment answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where = (address(place), place.variables["bulkhead_https_port"])
    name = place.variables["bulkhead_domains"][0]
    with socket.create_connection(where, 10) as plain, context.wrap_socket(plain, server_hostname=name) as link:
        return x509.load_der_x509_certificate(link.getpeercert(True) or b"")


def names(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName)


def cron_file(place: Place) -> Path:
    """Where cron finds the schedule of the renewal."""
    return Path("/etc/cron.d", f"bulkhead-{place.prefix}-certificates")


def renew(place: Place, ahead: int = 0) -> subprocess.CompletedProcess[str]:
    """What cron runs, with a clock that is so many seconds ahead."""
    line = cron_file(place).read_text().splitlines()[-1]
    python, isolated, *words = shlex.split(line.split(" root ")[1])
    shifted = f"now = time.time; time.time = lambda: now() + {ahead}; sys.argv = sys.argv[1:]"
    run = f"import runpy, sys, time; {shifted}; runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run([python, isolated, "-c", run, *words], capture_output=True, text=True, check=False, env={})


def client_ahead(site: Site, seconds: int) -> str:
    """An image of the client whose clock is so many seconds ahead."""
    name = f"{site.project}-certbot:ahead{seconds}"
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    recipe = f"FROM {CLIENT}\nENV LD_PRELOAD={library} FAKETIME={seconds:+}\nLABEL io.bulkhead.project={site.project}\n"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=recipe, text=True, check=True)
    return name


def kept(place: Place) -> Path:
    """The directory of what root keeps of an environment's certificates."""
    return place.site.directory / "machine-state/certificates" / place.prefix


def due(place: Place, authority: str = "", client: str = CLIENT) -> None:
    """Let the certificate look as if another authority had issued it, and let the machine ask one at an address."""
    (kept(place) / "about.json").write_text(json.dumps({"authority": "https://before.example.com/"}))
    settings = json.loads((kept(place) / "settings.json").read_text())
    settings["certificates"]["authority"] = authority or place.variables["bulkhead_acme_directory"]
    settings["certificates"]["image"] = client
    (kept(place) / "settings.json").write_text(json.dumps(settings))


@pytest.fixture
def authority(site: Site, tmp_path: Path) -> Iterator[Authority]:
    made = Authority(tmp_path / "pebble", f"{site.project}-pebble", GATEWAY, free_port())
    yield made
    made.remove()


@pytest.fixture
def place(site: Site, authority: Authority) -> Iterator[Place]:
    """An environment that wants a certificate, at an address of the machine of its own."""
    found = behind_nginx(site)
    found.secrets.clear()
    found.variables.update(
        bulkhead_acme=True,
        bulkhead_acme_email="ops@example.com",
        bulkhead_acme_directory=authority.url,
        bulkhead_acme_ca_bundle=str(authority.bundle),
        bulkhead_acme_image=CLIENT,
        bulkhead_http_port=authority.http_port,
        bulkhead_firewall_allow=[str(authority.port)],
        bulkhead_compose={"networks": {"default": {"ipam": {"config": [{"subnet": SUBNET}]}}}},
    )
    yield found
    cron_file(found).unlink(missing_ok=True)  # of a test that failed before the end


def test_certificates(site: Site, place: Place, authority: Authority) -> None:
    # The name is in no DNS: said before the authority is asked. nginx serves with what is for nobody's domain.
    refused = place.deploy()
    assert refused.error.endswith("is not as proved: placeholder-certificate")
    assert "small.example.com has no address in DNS. The authority was not asked" in " ".join(refused.output.split())
    assert served(place).issuer == served(place).subject
    place.variables["bulkhead_acme_check"] = False
    authority.start()
    place.deploy().succeeded()
    first = served(place)
    assert "Pebble Intermediate" in first.issuer.rfc4514_string() and names(first) == ["small.example.com"]
    # Nobody but root reads the account's key and the client's files; no container is left.
    keys = list(kept(place).glob("client/config/accounts/*/*/*/private_key.json"))
    assert kept(place).stat().st_mode & 0o777 == 0o700 and len(keys) == 1
    assert not docker("ps", "--all", "--quiet", "--filter", f"name={place.prefix}_certificates").strip()
    # The authority wants patience. The deployment says so, and until then nothing asks it again.
    authority.front.patience = 3600
    due(place)
    limit = f"(rate limit): {LIMIT['detail']}. It is not asked again before "
    limited = place.deploy().succeeded()
    assert limit in " ".join(limited.output.split()) and not limited.result("converge")["changed"]
    asked = list(authority.front.asked)
    authority.front.patience = 0
    held = renew(place)
    assert held.returncode == 1 and limit in held.stderr and authority.front.asked == asked
    assert served(place) == first
    done = renew(place, ahead=3700)
    assert done.returncode == 0, done.stderr
    first, before = served(place), first
    assert first != before and len(authority.front.asked) > len(asked)
    # The machine's clock is wrong: the authority is not believed, or what it issued is not put in force.
    for ahead, said in (
        (400 * 86400, " 400 days ahead of the authority's: set the clock"),
        (-7200, " 2 hours behind the authority's: set the clock"),
    ):
        due(place, client=client_ahead(site, ahead))
        failed = renew(place, ahead)
        assert failed.returncode == 1 and said in failed.stderr, failed.stderr
        assert served(place) == first
    # The authority is away: the machine says so, and the one before serves on.
    nobody = f"https://{GATEWAY}:{free_port()}/dir"
    due(place, nobody)
    failed = renew(place)
    assert failed.returncode == 1 and f"the authority {nobody} does not answer" in failed.stderr
    assert served(place) == first
    told = site.play("-l", "small", playbook="aiia.bulkhead.verify").succeeded().output
    assert "renewal-failed" in told and "does not answer" in told
    # It is back: the machine renews without anybody's help.
    due(place)
    done = renew(place)
    assert done.returncode == 0, done.stderr
    renewed = served(place)
    assert renewed != first and names(renewed) == ["small.example.com"]
    assert renew(place).stdout.strip().endswith("nothing is due")
    # DNS leads to production, which has no answer to staging's question: staging's certificate serves on.
    authority.send("small.example.com", "127.0.0.2")
    certificate, key = self_signed(["example.com"])
    site.small(
        "production",
        "prod",
        secrets={"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key},
        app_service="web",
        services=only(web=web(), nginx=IMAGES["nginx"]),
        domains=["example.com"],
        bind_address="127.0.0.2",
        http_port=authority.http_port,
        https_port=free_port(),
    ).deploy().succeeded()
    due(place)
    failed = renew(place)
    assert failed.returncode == 1 and "asked for a proof and did not get it: small.example.com: " in failed.stderr
    assert served(place) == renewed
    authority.send("small.example.com", "127.0.0.1")
    shown = site.play("-l", "small", playbook="aiia.bulkhead.certificates").succeeded().output
    assert f"{place.prefix}: its certificate for small.example.com is valid until " in shown
    assert served(place) != renewed
    # Account, certificates and schedule go with the environment.
    site.play("-l", "small", "-e", "bulkhead_destroy_volumes=true", playbook="aiia.bulkhead.destroy").succeeded()
    assert not kept(place).exists() and not cron_file(place).exists() and not place.directory.exists()


def test_behind_the_front_door(site: Site, place: Place, authority: Authority) -> None:
    """The authority asks through the door, which has no certificate; what was issued is shown there, and outlasts
    nginx."""
    place.variables.update(bulkhead_edge=True, bulkhead_allow_downtime=False, bulkhead_acme_check=False)
    del place.variables["bulkhead_bind_address"]
    authority.start()
    with front_door(site, authority.http_port, place.variables["bulkhead_https_port"]):
        place.deploy().succeeded()
        first = served(place)
        assert "Pebble Intermediate" in first.issuer.rfc4514_string() and names(first) == ["small.example.com"]
        assert place.deploy().succeeded().changed == 0
        due(place)
        done = renew(place)
        assert done.returncode == 0, done.stderr
        renewed = served(place)
        assert renewed != first and "Pebble Intermediate" in renewed.issuer.rfc4514_string()
        place.variables["bulkhead_services"]["nginx"] = {**IMAGES["nginx"], "environment": {"CHANGED": "1"}}
        place.deploy().succeeded()
        assert served(place) == renewed
