# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pebble, an authority for tests, with the DNS server that it asks. In front of it stands a server that counts what it
is asked, and can refuse orders as an authority with rate limits does."""

from __future__ import annotations

import http.client
import http.server
import ipaddress
import json
import ssl
import subprocess
import threading
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


#: What an authority says that issues no more for now (RFC 8555, 6.6), as Let's Encrypt words it.
LIMIT = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "detail": "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
    "status": 429,
}


class Front:
    """What clients of an authority connect to. It passes everything on, unless it is told to refuse orders."""

    def __init__(self, port: int, behind: int, certificate: Path, key: Path) -> None:
        self._behind, self._trusted = behind, ssl.create_default_context(cafile=str(certificate))
        self._trusted.check_hostname = False  # it is the same machine
        #: What was asked, and for how many seconds orders are refused.
        self.asked: list[str] = []
        self.patience = 0
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                front.asked.append(self.path)
                status, headers, text = front.answer(self.command, self.path, body, dict(self.headers))
                self.send_response_only(status)
                for header in headers.items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do

            def log_message(self, *_unused: Any) -> None:
                """Say nothing."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """What a request gets."""
        if path == "/order-plz" and self.patience:
            _status, fresh, _text = self._pass_on("HEAD", "/nonce-plz", b"", {})
            fresh |= {"Retry-After": str(self.patience), "Content-Type": "application/problem+json"}
            text = json.dumps(LIMIT).encode()
            return 429, fresh | {"Content-Length": str(len(text))}, text
        return self._pass_on(method, path, body, headers)

    def _pass_on(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        link = http.client.HTTPSConnection("127.0.0.1", self._behind, timeout=60, context=self._trusted)
        link.request(method, path, body, headers)
        response = link.getresponse()
        text = response.read()
        link.close()
        kept = {name: value for name, value in response.getheaders() if name.lower() != "transfer-encoding"}
        return response.status, kept | {"Content-Length": str(len(text))}, text

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Authority:
    """One pebble on the machine's own network. It asks domains at one port, where its DNS server says that they are."""

    def __init__(self, directory: Path, name: str, address: str, http_port: int) -> None:
        self.name, self.http_port = name, http_port
        self.directory = directory
        self.port, self._own, self._dns, self._management = free_port(), free_port(), free_port(), free_port()
        self.url = f"https://{address}:{self.port}/dir"
        self.bundle = directory / "authority.pem"
        directory.mkdir()
        self._write_files(address, http_port)
        self.front = Front(self.port, self._own, self.bundle, directory / "key.pem")

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
        """Remove both containers, and what stands in front of them."""
        self.front.close()
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
            "listenAddress": f"127.0.0.1:{self._own}",
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
