# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What listens on staging's ports gets nothing of production's, and sharing a secret is found without sending it."""

from __future__ import annotations

import json
import secrets

from observe import eventually
from support import Place, Site, docker, free_port, only, web

#: A Redis and a PostgreSQL that only want to hear a password: whatever arrives is printed, and each first message is
#: answered with a demand for one.
FAKE = """
import socket, struct, threading
def answer(peer, demand):
    peer.settimeout(10)
    try:
        while words := peer.recv(4096):
            print(words.hex() + "\\n", end="", flush=True)  # in one piece: there are two threads
            peer.sendall(demand)
    except OSError:
        pass
def serve(port, demand):
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0], demand), daemon=True).start()
MD5 = b"R" + struct.pack(">II", 12, 5) + b"salt"
threading.Thread(target=serve, args=(5432, MD5), daemon=True).start()
serve(6379, b"-NOAUTH Authentication required.\\r\\n")
"""

#: What earlier versions sent from production's container.
AUTH = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as server:
    server.sendall(b"PING\\r\\n")
    assert server.recv(100).startswith(b"-NOAUTH")
    server.sendall(b"AUTH " + sys.argv[3].encode() + b"\\r\\n")
    server.recv(100)
"""

PING = b"PING\r\n"
START = b"\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"


def heard(place: Place) -> list[bytes]:
    """Everything that the fake servers of an environment received."""
    return [bytes.fromhex(line) for line in docker("logs", f"{place.prefix}_web").split()]


def test_no_password_is_sent_to_see_whether_it_is_refused(site: Site) -> None:
    """Production's verification meets servers of staging that demand a password, and ends the exchange there."""
    redis_port, postgresql_port = free_port(), free_port()
    fake = web(command=["python3", "-u", "-c", FAKE], healthcheck={"disable": True})
    fake["ports"] = [f"{redis_port}:6379", f"{postgresql_port}:5432"]
    password = secrets.token_urlsafe(24)
    known = {"bulkhead_secrets": {"DB_PASSWORD": password, "REDIS_PASSWORD": password}}
    # Without the guard, which would not let the probes through, and with the fake's open ports as a finding.
    site.everyone = {"bulkhead_firewall": False, "bulkhead_fail_on": "critical"}
    staging = site.small("staging", "staging", services=only(web=fake))
    production = site.small("production", "prod", secrets=known)
    staging.deploy().succeeded()
    report = site.directory / "receipt.json"
    production.deploy("-e", f"bulkhead_receipt={report}").succeeded()

    received = heard(staging)
    assert {PING, START} <= set(received), "the fake servers were not probed, so this test shows nothing"
    assert set(received) <= {PING, START}
    assert json.loads(report.read_text(encoding="utf-8"))["probed"]["addresses"]

    gateway = json.loads(docker("network", "inspect", f"{production.prefix}_network"))[0]["IPAM"]["Config"][0]
    attack = ["python3", "-c", AUTH, gateway["Gateway"], str(redis_port), password]
    docker("exec", f"{production.prefix}_web", *attack)
    assert eventually(lambda: password.encode() in b"".join(heard(staging)))


def test_a_shared_secret_is_found_without_sending_it(site: Site) -> None:
    """Staging's pipeline has no password for production's vault, so the plan cannot see what the machine knows."""
    shared = {"bulkhead_secrets": {"API_TOKEN": secrets.token_urlsafe(24)}}
    production = site.small("production", "prod", secrets=shared)
    staging = site.small("staging", "staging", secrets=shared)
    production.deploy(passwords=["production"]).succeeded()
    run = staging.deploy(passwords=["staging"])
    assert run.code != 0 and "shared-secret" in run.error
    assert f"API_TOKEN of {staging.prefix} and API_TOKEN of {production.prefix} have the same" in " ".join(
        run.output.split()
    )
    staging.secrets["bulkhead_secrets"] = {"API_TOKEN": secrets.token_urlsafe(24)}
    staging.deploy(passwords=["staging"]).succeeded()
