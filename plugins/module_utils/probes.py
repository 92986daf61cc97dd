# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of one environment from inside its containers and from the machine. They only ask; runs on the targets.

Inside means in the network of a container, with the machine's own Python: as root through ``nsenter``, else in a
container of an empty image that sees the machine's ``/usr`` read-only. Images need nothing for it.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import ssl
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.failure import last_lines

#: The image of a probe: nothing but a label. It is removed after use.
IMAGE = "bulkhead-probe:empty"

#: Probes at once; more would look like an attack, fewer would take long.
_PARALLEL = 16

#: Run in the container's network. Reads {"resolve": [...], "connect": [[address, port]], "timeout": seconds}.
_INSIDE = r"""
import json, os, random, socket, struct, sys
from concurrent.futures import ThreadPoolExecutor
ask = json.load(sys.stdin)
limit = ask["timeout"]
def resolve(name):
    query = struct.pack(">HHHHHH", random.randrange(65536), 256, 1, 0, 0, 0)
    query += b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(limit)
        try:
            sock.sendto(query, ("127.0.0.11", 53))
            answer = sock.recv(4096)
        except OSError:
            return False
    return struct.unpack(">H", answer[6:8])[0] > 0 and answer[3] & 15 == 0
def connect(target):
    try:
        socket.create_connection(tuple(target), limit).close()
        return True
    except OSError:
        return False
with ThreadPoolExecutor(16) as pool:
    names, targets = ask["resolve"], ask["connect"]
    resolved = [name for name, yes in zip(names, pool.map(resolve, names)) if yes]
    connected = [each for each, yes in zip(targets, pool.map(connect, targets)) if yes]
print(json.dumps({"resolved": resolved, "connected": connected}))
"""


class Prober:
    """Runs probes with a limit on each, and leaves nothing behind."""

    def __init__(self, engine: Engine, timeout: float) -> None:
        self.engine = engine
        self.timeout = timeout
        self._image_made = False

    def inside(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Probe from the networks of containers: [{"container", "id", "pid", "resolve", "connect"}] → the same "
        "order."""
        if wanted and not self._can_enter(wanted):
            self._make_image()
        try:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                return list(pool.map(self._inside_one, wanted))
        finally:
            if self._image_made:
                self.engine.docker("image", "rm", "--force", IMAGE)

    def _can_enter(self, wanted: list[dict[str, Any]]) -> bool:
        return os.getuid() == 0 and all(os.path.exists("/proc/%d/ns/net" % each["pid"]) for each in wanted)

    def _make_image(self) -> None:
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        code, output, errors = self.engine.docker(
            "import", "--change", "LABEL io.bulkhead.probe=true", "-", IMAGE, data=empty.getvalue(), binary=True
        )
        if code != 0:
            raise EngineError("the probes' empty image could not be made", last_lines(errors or output))
        self._image_made = True

    def _inside_one(self, each: dict[str, Any]) -> dict[str, Any]:
        ask = json.dumps({"resolve": each["resolve"], "connect": each["connect"], "timeout": self.timeout})
        if self._image_made:
            command = ["run", "--rm", "--interactive", "--network", "container:%s" % each["id"], "--read-only"]
            command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--label", "io.bulkhead.probe=true"]
            for path in ("/usr", "/bin", "/lib", "/lib64"):
                if os.path.isdir(path):
                    command += ["--volume", "%s:%s:ro" % (os.path.realpath(path), path)]
            code, output, errors = self.engine.docker(
                *(command + [IMAGE, "/usr/bin/python3", "-I", "-c", _INSIDE]), data=ask
            )
        else:
            command = ["nsenter", "--net=/proc/%d/ns/net" % each["pid"], sys.executable, "-I", "-c", _INSIDE]
            code, output, errors = self.engine.module.run_command(command, data=ask, handle_exceptions=True)
        answer = {"container": each["container"], "resolved": [], "connected": [], "error": ""}
        try:
            answer.update(json.loads(output))
        except ValueError:
            answer["error"] = last_lines(errors or output, 2) or "no answer (exit code %d)" % code
        return answer

    def requests(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """HTTP requests from the machine: [{"address", "port", "tls", "host", "path"}] → what was answered."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(self._request, wanted))

    def _request(self, each: dict[str, Any]) -> dict[str, Any]:
        answer = dict(each, status=0, headers={}, cookies=[], error="")
        try:
            connection = self._connection(each)
            connection.request(
                "GET", each["path"], headers={"Host": each["host_header"], "User-Agent": "bulkhead-verify"}
            )
            response = connection.getresponse()
            answer["status"] = response.status
            answer["headers"] = {
                name.lower(): value for name, value in response.getheaders() if name.lower() != "set-cookie"
            }
            # Only the attributes: the value of a cookie is nobody's business.
            answer["cookies"] = [
                ";".join([value.split("=")[0]] + value.split(";")[1:])
                for value in response.headers.get_all("Set-Cookie") or ()
            ]
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            answer["error"] = type(error).__name__
        return answer

    def _connection(self, each: dict[str, Any]) -> http.client.HTTPConnection:
        limit = max(self.timeout * 5, 5)
        sock = socket.create_connection((each["address"], each["port"]), limit)
        if each["tls"]:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock, server_hostname=each["host"])
        connection = http.client.HTTPConnection(each["address"], each["port"], timeout=limit)
        connection.sock = sock
        return connection

    def execute(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Read-only questions to the environment's own servers: [{"container", "command"}] → output and exit code."""
        answers = []
        for each in wanted:
            code, output, errors = self.engine.docker("exec", each["container"], *each["command"])
            answers.append(
                {
                    "container": each["container"],
                    "kind": each["kind"],
                    "code": code,
                    "lines": output.splitlines(),
                    "error": last_lines(errors, 2),
                }
            )
        return answers
