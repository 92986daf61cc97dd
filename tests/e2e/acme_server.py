# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pebble, an authority for tests, with the DNS server that it asks."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support import docker, free_port

IMAGE = "bulkhead-demo/pebble:2"


class Authority:
    """One pebble on the machine's own network. It asks domains at one port, where its DNS server says that they are."""

    def __init__(self, directory: Path, name: str, address: str, http_port: int) -> None:
        self.name, self.http_port = name, http_port
        self.directory = directory
        self.port, self._dns, self._management = free_port(), free_port(), free_port()
        self.url = f"https://{address}:{self.port}/dir"
        self.bundle = directory / "authority.pem"
        directory.mkdir()
        self._write_files(address, http_port)

    def start(self) -> None:
        """Start both, and wait until they answer."""
        mount = ["--volume", f"{self.directory}:/pebble:ro"]
        options = ["run", "--detach", "--network", "host", "--label", f"io.bulkhead.test={self.name}"]
        dns = ["--entrypoint", "pebble-challtestsrv", IMAGE, "-dns01", f"127.0.0.1:{self._dns}", "-defaultIPv6", ""]
        dns += ["-management", f"127.0.0.1:{self._management}", "-http01", "", "-https01", "", "-tlsalpn01", ""]
        docker(*options, "--name", f"{self.name}_dns", *dns, "-doh", "")
        quick = ["--env", "PEBBLE_VA_NOSLEEP=1", "--env", "PEBBLE_WFE_NONCEREJECT=0", "--env", "PEBBLE_AUTHZREUSE=0"]
        own = [IMAGE, "-config", "/pebble/config.json", "-dnsserver", f"127.0.0.1:{self._dns}"]
        docker(*options, "--name", self.name, *mount, *quick, *own)
        deadline = time.monotonic() + 20
        while "ACME directory available" not in self.log():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def log(self) -> str:
        """What pebble said."""
        done = subprocess.run(["docker", "logs", self.name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def send(self, domain: str, address: str) -> None:
        """Let DNS say that a domain is elsewhere."""
        for what in ("clear-a", "add-a"):
            body = json.dumps({"host": f"{domain}.", "addresses": [address]}).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{self._management}/{what}", data=body, timeout=10) as answer:
                assert answer.status == 200

    def remove(self) -> None:
        """Remove both containers."""
        docker("rm", "--force", self.name, f"{self.name}_dns", check=False)

    def _write_files(self, address: str, http_port: int) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.bundle.write_bytes(made.public_bytes(pem))
        (self.directory / "key.pem").write_bytes(key.private_bytes(pem, *plain))
        config: dict[str, Any] = {
            "listenAddress": f"0.0.0.0:{self.port}",
            "managementListenAddress": "",
            "certificate": "/pebble/authority.pem",
            "privateKey": "/pebble/key.pem",
            "httpPort": http_port,
            "tlsPort": 5001,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "certificateValidityPeriod": 90 * 86400,
        }
        (self.directory / "config.json").write_text(json.dumps({"pebble": config}))
