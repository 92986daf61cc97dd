# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of one environment from inside its containers and from the machine. They only ask; runs on the targets.

Inside means in the network of a container, with the machine's own Python: as root through ``nsenter``, else in a
container of an empty image that sees the machine's ``/usr`` read-only. Images need nothing for it.
"""

from __future__ import annotations

import http.client
import inspect
import io
import json
import os
import socket
import ssl
import sys
import tarfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..core.errors import last_lines
from ..core.process import run_command
from ..docker.engine import Engine, EngineError
from ..docker.labels import PROBE
from . import program

#: The image of a probe: nothing but a label. Each run makes its own, and removes it after use.
IMAGE = "bulkhead-probe"

#: Probes at once; more would look like an attack, fewer would take long.
_PARALLEL = 16

#: Seconds for all that is asked in one container.
_LIMIT = 60


#: What stands in a question for the machine as containers see it.
MACHINE = "machine"


def targets(
    connect: list[dict[str, Any]], own: list[dict[str, Any]], networks: list[dict[str, Any]]
) -> list[list[Any]]:
    """The [address, port] pairs to connect to: the machine is every gateway of the containers' networks, of both
    families. Those are known only now: a first deployment makes the networks."""
    attached = {name: network for each in own for name, network in each["networks"].items()}
    gateways = [gateway for network in networks if network["name"] in attached for gateway in network["gateways"]]
    # Networks do not tell a gateway that the engine chose by itself, and containers of internal ones have none.
    gateways += [gateway for each in attached.values() for gateway in each.get("gateways", ())]
    gateways = list(dict.fromkeys(gateways))
    return [
        [address, each["port"]]
        for each in connect
        for address in (gateways if each["address"] == MACHINE else [each["address"]])
    ]


class Prober:
    """Runs probes with a limit on each, and leaves nothing behind."""

    def __init__(self, engine: Engine, timeout: float, enters: bool | None = None) -> None:
        self.engine = engine
        self.timeout = timeout
        self._enters = os.getuid() == 0 if enters is None else enters
        self._image = ""
        # Once: asking for it from several threads at a time fails now and then.
        self._program = inspect.getsource(program)

    def inside(self, containers: list[dict[str, Any]], ask: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask the same from the network of each container; what was answered, in the same order."""
        self._enters = self._enters and all(
            os.path.exists("/proc/%d/ns/net" % container["pid"]) for container in containers
        )
        if containers and not self._enters:
            self._make_image()
        try:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                return list(pool.map(lambda each: self._inside_one(each, ask), containers))
        finally:
            if self._image:
                self.engine.docker("image", "rm", "--force", self._image)

    def _make_image(self) -> None:
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        name = "%s:%s" % (IMAGE, uuid.uuid4().hex[:12])
        code, output, errors = self.engine.docker(
            "import", "--change", "LABEL %s=true" % PROBE, "-", name, data=empty.getvalue(), binary=True
        )
        if code != 0:
            raise EngineError("the probes' empty image could not be made", last_lines(errors or output))
        self._image = name

    def _inside_one(self, container: dict[str, Any], ask: dict[str, Any]) -> dict[str, Any]:
        addresses = [network["address"] for network in container["networks"].values() if network["address"]]
        question = json.dumps(dict(ask, own=addresses[0] if addresses else "", timeout=self.timeout))
        if self._enters:
            command = ["nsenter", "--net=/proc/%d/ns/net" % container["pid"], sys.executable, "-I", "-c", self._program]
            code, output, errors = run_command(self.engine.module, "nsenter", command, EngineError, data=question)
        else:
            command = self._run(container["id"])
            code, output, errors = self.engine.docker(
                *command, "/usr/bin/python3", "-I", "-c", self._program, data=question, limit=_LIMIT
            )
        answer = {"container": container["name"], "resolved": [], "connected": [], "entered": [], "error": ""}
        try:
            answer.update(json.loads(output))
        except ValueError:
            answer["error"] = last_lines(errors or output, 2) or "no answer (exit code %d)" % code
        return answer

    def _run(self, identity: str) -> list[str]:
        """A container of nothing in another one's network, that sees the machine's programs and can change none."""
        command = ["run", "--rm", "--interactive", "--network", "container:%s" % identity, "--read-only"]
        command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
        command += ["--pids-limit", "64", "--log-driver", "none", "--label", "%s=true" % PROBE]
        for path in ("/usr", "/bin", "/lib", "/lib64"):
            if os.path.isdir(path):
                command += ["--volume", "%s:%s:ro" % (os.path.realpath(path), path)]
        return command + [self._image]

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

    def page(self, each: dict[str, Any]) -> tuple[int, bytes]:
        """The status and the body that one request is answered with; ``(0, b"")`` where nobody answers."""
        try:
            connection = self._connection(each)
            connection.request("GET", each["path"], headers={"Host": each["host_header"]})
            response = connection.getresponse()
            body = response.read(1 << 20)
            connection.close()
        except (OSError, http.client.HTTPException):
            return 0, b""
        return response.status, body

    def _connection(self, each: dict[str, Any]) -> http.client.HTTPConnection:
        # An application that has just started answers its first request late; a port of nobody's refuses at once.
        limit = max(self.timeout * 15, 15)
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
            code, output, errors = self.engine.docker("exec", each["container"], *each["command"], limit=_LIMIT)
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
