# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A front door of a test's own, and small servers behind its sockets that stand for environments."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.door import NODE_LABEL, STATE_LABEL, Door
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.machine import Machine
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorSettings, Route

IMAGE = "bulkhead-demo/haproxy:3.0"


class Module:
    """What the engine needs of a module: it finds programs, and runs them."""

    def get_bin_path(self, name: str, opt_dirs: list[str] | None = None) -> str | None:
        return shutil.which(name, path=":".join(opt_dirs or []))

    def run_command(self, command: list[str], **options: Any) -> tuple[int, str, str]:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=options.get("cwd"), input=options.get("data")
        )
        return done.returncode, done.stdout, done.stderr


@dataclass
class Standing:
    """One environment's stand-in: it says its name and the client's address that it was told."""

    name: str
    folder: Path
    context: ssl.SSLContext
    delay: float = 0
    sockets: list[socket.socket] = field(default_factory=list)

    def listen(self) -> None:
        """Serve both sockets until the test ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.folder.parent):
            folder.chmod(0o711)
        for name in ("http", "https"):
            path = self.folder / f"{name}.sock"
            listener = socket.socket(socket.AF_UNIX)
            with contextlib.chdir(self.folder):
                listener.bind(path.name)
            path.chmod(0o666)
            listener.listen(512)
            self.sockets.append(listener)
            threading.Thread(target=self._serve, args=(listener, name == "https"), daemon=True).start()

    def _serve(self, listener: socket.socket, tls: bool) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                threading.Thread(target=self._answer, args=(connection, tls), daemon=True).start()

    def _answer(self, connection: socket.socket, tls: bool) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            connection.settimeout(20)
            told = proxy_header(connection)
            if tls:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = connection.recv(4096)
                    if not part:
                        return
                    request += part
                time.sleep(self.delay)
                body = f"{self.name} {told}".encode()
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ValueError("the connection ended")
        data += part
    return data


def proxy_header(connection: socket.socket) -> str:
    """The client's address of a header of PROXY protocol, version 2."""
    head = exactly(connection, 16)
    if head[:13] != b"\r\n\r\n\0\r\nQUIT\n\x21":
        raise ValueError("no PROXY header")
    rest = exactly(connection, int.from_bytes(head[14:16], "big"))
    return str(ipaddress.ip_address(rest[: 4 if head[13] >> 4 == 1 else 16]))


@dataclass
class Stage:
    """A door, its settings and what stands behind it."""

    state: Path
    settings: DoorSettings
    context: ssl.SSLContext
    server_context: ssl.SSLContext
    standing: list[Standing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = Engine(Module(), "unix:///var/run/docker.sock")
        self.door = Door(self.engine, str(self.state))

    def machine(self, **settings: Any) -> Machine:
        values = {**vars(self.settings), **settings}
        return Machine(self.engine, str(self.state), IMAGE, DoorSettings(**values))

    def route(self, prefix: str, container: str = "0123456789ab", **other: Any) -> Route:
        names = other.pop("domains", (f"{prefix}.test",))
        sockets = {"http": f"{container}/http.sock", "https": f"{container}/https.sock"}
        return Route(**{"prefix": prefix, "domains": names, **sockets, "connections": 400, "rate": 5000, **other})

    def stand(self, prefix: str, container: str = "0123456789ab", delay: float = 0) -> Standing:
        folder = Path(places.sockets(str(self.state)), prefix, container)
        standing = Standing(f"{prefix}/{container}", folder, self.server_context, delay)
        standing.listen()
        self.standing.append(standing)
        return standing

    def container(self) -> dict[str, Any]:
        labels = (f"{STATE_LABEL}={self.state}", f"{NODE_LABEL}={self.door.node()}")
        kept = [c for c in self.engine.containers(*labels) if c["HostConfig"]["RestartPolicy"]["Name"] != "no"]
        (found,) = [c for c in kept if c["State"]["Running"]]
        return found

    def https(self, name: str | None, address: str = "127.0.0.1", timeout: float = 8) -> str:
        """What a client is answered on 443; raises OSError where the connection ends without an answer."""
        plain = socket.create_connection((address, self.settings.https_port), timeout=timeout)
        with plain, self.context.wrap_socket(plain, server_hostname=name) as connection:
            return answer_of(connection, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    def http(self, request: bytes, address: str = "127.0.0.1") -> str:
        with socket.create_connection((address, self.settings.http_port), timeout=8) as connection:
            return answer_of(connection, request)

    def kill(self, name: str) -> float:
        """End the door with ``kill -9``. Returns the seconds until a name is answered again, ten at the most."""
        os.kill(self.container()["State"]["Pid"], signal.SIGKILL)
        killed = time.monotonic()
        while time.monotonic() < killed + 10:
            with contextlib.suppress(OSError):
                if self.https(name, timeout=1):
                    return time.monotonic() - killed
            time.sleep(0.02)
        raise AssertionError("it does not come back")

    def end(self) -> None:
        for container in self.engine.containers(f"{STATE_LABEL}={self.state}"):
            self.engine.docker("rm", "--force", container["Id"])
        for standing in self.standing:
            for listener in standing.sockets:
                listener.close()
        subprocess.run(["umount", "--lazy", places.sockets(str(self.state))], check=False, capture_output=True)


def answer_of(connection: socket.socket, request: bytes) -> str:
    """The body of an answer; empty where the connection ends without one."""
    connection.sendall(request)
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(4096):
            said += part
    return said.decode().partition("\r\n\r\n")[2] if said else ""


@dataclass
class Load:
    """Requests for one name, one after the other in several threads, and what went wrong."""

    tested: Stage
    name: str
    served: int = 0
    failed: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self, threads: int = 2) -> Iterator[Load]:
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    said = self.tested.https(self.name)
                    if not said.startswith(self.name.partition(".")[0]):
                        self.failed.append(f"answered {said!r}")
                    self.served += 1
                except OSError as error:
                    self.failed.append(repr(error))

        workers = [threading.Thread(target=ask) for _round in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield self
        finally:
            done.set()
            for worker in workers:
                worker.join()


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's context that trusts nobody in particular, and a server's."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return client, server


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _round in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
