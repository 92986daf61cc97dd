# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on the machine, in a form that two moments can be compared in; and requests to what serves there."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support import Place, docker

#: Written by fetching and by looking; no artefact and nothing that serves.
BOOKKEEPING = ("code/.git", ".bulkhead/build")


def containers(prefix: str) -> dict[str, dict[str, Any]]:
    """Every container of an environment, by its exact label, as the engine describes it."""
    ids = docker("ps", "--all", "--quiet", "--filter", f"label=io.bulkhead.prefix={prefix}").split()
    found = json.loads(docker("container", "inspect", *ids)) if ids else []
    return {container["Name"].lstrip("/"): container for container in found}


def running(prefix: str) -> dict[str, tuple[str, str, int]]:
    """Container names with what changes when one is touched: id, start time, restarts."""
    return {
        name: (item["Id"], item["State"]["StartedAt"], item["RestartCount"])
        for name, item in sorted(containers(prefix).items())
    }


def files(directory: Path, without: Iterable[str] = BOOKKEEPING) -> dict[str, tuple[str, str]]:
    """Every file, link and directory below a directory: mode, and digest or target."""
    left_out = tuple(without)
    found: dict[str, tuple[str, str]] = {}
    for folder, folders, names in os.walk(directory):
        base = Path(folder)
        folders[:] = [folder for folder in folders if str((base / folder).relative_to(directory)) not in left_out]
        for name in [*folders, *names]:
            path = base / name
            mode = f"{path.lstat().st_mode:o}"
            if path.is_symlink():
                content = str(path.readlink())
            else:
                content = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(directory))] = (mode, content)
    return found


@dataclass(frozen=True)
class Moment:
    """An environment at one moment."""

    containers: dict[str, tuple[str, str, int]]
    networks: list[str]
    volumes: list[str]
    images: list[str]
    files: dict[str, tuple[str, str]]


def moment(place: Place, without: Iterable[str] = BOOKKEEPING) -> Moment:
    """An environment as it is now."""
    label = ["--filter", f"label=io.bulkhead.prefix={place.prefix}"]
    return Moment(
        running(place.prefix),
        sorted(docker("network", "ls", "--quiet", *label).split()),
        sorted(docker("volume", "ls", "--format", "{{.Name}} {{.Mountpoint}}", *label).splitlines()),
        sorted(docker("image", "ls", "--quiet", *label).split()),
        files(place.directory, without),
    )


def may_schedule() -> bool:
    """Whether this machine's cron is where a deployment puts its schedule, and may be written."""
    return os.geteuid() == 0 and Path("/etc/cron.d").is_dir() and not Path("/run/systemd/system").is_dir()


def far_away() -> str:
    """A schedule that is not due while a test runs, at whatever time of the day that is."""
    return f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"


def cron_file(place: Place) -> Path:
    """Where cron finds an environment's schedule."""
    return Path("/etc/cron.d", f"bulkhead-{place.prefix}-backup")


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def trust(place: Place) -> ssl.SSLContext:
    """Trust the environment's own certificate and no other."""
    return ssl.create_default_context(cadata=place.secrets["bulkhead_tls_certificate"])


def address(place: Place) -> str:
    """Where an environment's ports are reached."""
    given = str(place.variables.get("bulkhead_bind_address", ""))
    return "127.0.0.1" if given in ("", "0.0.0.0") else given


def connect(place: Place, name: str, context: ssl.SSLContext | None = None, timeout: float = 60) -> ssl.SSLSocket:
    """A TLS connection to the environment's HTTPS port, asking for a name."""
    plain = socket.create_connection((address(place), place.variables["bulkhead_https_port"]), timeout)
    return (context or trust(place)).wrap_socket(plain, server_hostname=name)


def ask(
    place: Place, path: str, method: str = "GET", body: Any = None, host: str = "", tls: bool = True, sni: str = "",
    timeout: float = 60,
) -> Answer:  # fmt: skip
    """Ask an environment's nginx over HTTPS (or HTTP), with its own certificate trusted and checked."""
    name = sni or place.variables["bulkhead_domains"][0]
    port = place.variables["bulkhead_https_port" if tls else "bulkhead_http_port"]
    link = http.client.HTTPConnection(address(place), port, timeout=timeout)
    if tls:
        link.sock = connect(place, name, timeout=timeout)
    text = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    link.request(method, path, text, {"Host": host or f"{name}:{port}", "Content-Type": "application/json"})
    answer = link.getresponse()
    found = Answer(answer.status, answer.headers, answer.read())
    link.close()
    return found


def say_by_websocket(place: Place, path: str, text: bytes) -> bytes:
    """Open a websocket through nginx, send a short text, and return the frame's text that comes back."""
    name = place.variables["bulkhead_domains"][0]
    with connect(place, name) as link:
        key = base64.b64encode(os.urandom(16)).decode()
        port = place.variables["bulkhead_https_port"]
        link.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        stream = link.makefile("rb")
        status = stream.readline()
        if b" 101 " not in status:
            raise AssertionError(f"no websocket: {status!r}")
        while stream.readline().strip():
            pass
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
        link.sendall(bytes([0x81, 0x80 | len(text)]) + mask + masked)
        head = stream.read(2)
        return stream.read(head[1] & 0x7F)


def say(prefix: str, service: str = "web") -> str:
    """What the small application answers, asked from inside its container."""
    program = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000', timeout=60).read().decode())"
    return docker("exec", f"{prefix}_{service}", "python3", "-c", program).rstrip("\n")


def eventually(what: Callable[[], Any], seconds: float = 60, pause: float = 0.2) -> Any:
    """Ask until something true comes back."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing came within {seconds} seconds")
        time.sleep(pause)
    return found


class ProcessArguments:
    """Samples the arguments of all processes while a block runs, and notes those that show one of some texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = [text.encode() for text in texts]
        self.seen: set[bytes] = set()
        self.rounds = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessArguments:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            for folder in os.listdir("/proc"):  # noqa: PTH208 - as fast as can be
                if folder.isdigit():
                    self._look(f"/proc/{folder}/cmdline")
            self.rounds += 1
            self._over.wait(0.01)

    def _look(self, path: str) -> None:
        try:
            arguments = Path(path).read_bytes()
        except OSError:
            return
        if any(text in arguments for text in self.texts):
            self.seen.add(arguments[:200])


def by_hand(directory: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell in a directory, as a person would type it."""
    return subprocess.run(["bash", "-ec", command], cwd=directory, capture_output=True, text=True, check=False)
