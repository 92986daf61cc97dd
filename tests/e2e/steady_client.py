# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that asks some servers over TLS until its standard input ends, each request over a connection of its own
and never again after a failure. Its one argument is JSON, ``[[address, port, name, X-Environment], …]``, and so is what
it prints, ``{"served": {address and port: count}, "failed": [text, …]}``."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time

PATIENCE = 20

#: One for all requests, and not the default one, which reads every authority of the machine.
_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CONTEXT.check_hostname, _CONTEXT.verify_mode = False, ssl.CERT_NONE


def ask(address: str, port: int, name: str, path: str = "/") -> tuple[int, dict[str, str]]:
    """The status and the headers of one answer, which is read to its end."""
    with (
        socket.create_connection((address, port), timeout=PATIENCE) as plain,
        _CONTEXT.wrap_socket(plain, server_hostname=name) as link,
    ):
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
        said = b""
        while part := link.recv(1 << 16):
            said += part
    head, end, _body = said.decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    if not end:
        raise OSError(f"the answer breaks off after {len(said)} bytes")
    return int(lines[0].split(" ")[1]), {
        key.lower(): value.strip() for key, _colon, value in (line.partition(":") for line in lines[1:])
    }


def main() -> None:
    targets = json.loads(sys.argv[1])
    over, began = threading.Event(), time.monotonic()
    served: dict[str, int] = {f"{address} {port}": 0 for address, port, _name, _who in targets}
    failed: list[str] = []

    def visit(address: str, port: int, name: str, who: str) -> None:
        while not over.wait(0.03):
            try:
                status, headers = ask(address, port, name)
                if status != 200 or headers.get("x-environment") != who:
                    raise OSError(f"{status} of {headers.get('x-environment')}")
                served[f"{address} {port}"] += 1
            except (OSError, ValueError, IndexError) as error:
                failed.append(f"{address} {port} after {time.monotonic() - began:.1f} s: {error!r}")

    threads = [threading.Thread(target=visit, args=target) for target in targets]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"served": served, "failed": failed}))


if __name__ == "__main__":
    main()
