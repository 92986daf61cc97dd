# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probe one environment from inside its containers and from the machine, read-only. Runs on the targets.

Inside means in the network of a container, with the machine's own Python: as root through ``nsenter``, else in a
container of an empty image that mounts the machine's ``/usr`` read-only. Images need not contain anything for it.
"""

from __future__ import annotations

import contextlib
import http.client
import inspect
import io
import json
import os
import re
import socket
import ssl
import string
import sys
import tarfile
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

from ..core.errors import last_lines
from ..core.process import run_command
from ..docker.engine import Engine, EngineError
from ..docker.labels import PROBE
from . import program
from .layer import Layer

#: The name of the probes' image, which has nothing but a label. Each run creates its own and removes it after use.
IMAGE = "bulkhead-probe"

#: Probes at once: more would look like an attack, fewer would take too long.
_PARALLEL = 16

#: The time limit for all questions in one container, in seconds.
_LIMIT = 60

#: How often a start page may lead to another one.
_REDIRECTS = 3

#: The kind of a question for what a container wrote into itself; it has no command.
LAYER = "layer"

#: Directories that hold what users upload, by the names that frameworks and people give them.
_UPLOADS = re.compile(r"A (/(?:[^/]+/)*(?:media|uploads?|attachments|user[-_]?files)/.+)\Z")

#: Stands for the machine's addresses, as containers see them, in a question.
MACHINE = "machine"


#: The network by which the tasks of a swarm reach everything beside their overlays.
_GATEWAY = "docker_gwbridge"


def targets(
    connect: list[dict[str, Any]], containers: list[dict[str, Any]], networks: list[dict[str, Any]]
) -> list[list[Any]]:
    """The [address, port] to connect to, with the subnet of an address in an overlay.

    The machine stands for all gateways of the containers' networks, which are known only now, because a first
    deployment creates the networks.
    """
    attached = {name: network for container in containers for name, network in container["networks"].items()}
    gateways = [gateway for network in networks if network["name"] in attached for gateway in network["gateways"]]
    if any(network.get("driver") == "overlay" for network in networks if network["name"] in attached):
        # What leaves an overlay goes through a bridge that each node has for it, which no container lists.
        gateways += [gateway for network in networks if network["name"] == _GATEWAY for gateway in network["gateways"]]
    # Networks do not list gateways that the engine chose itself, and containers on internal networks have none.
    gateways += [gateway for network in attached.values() for gateway in network.get("gateways", ())]
    gateways = list(dict.fromkeys(gateways))
    return [
        [address, target["port"], *([target["subnet"]] if target.get("subnet") else [])]
        for target in connect
        for address in (gateways if target["address"] == MACHINE else [target["address"]])
    ]


def _unanswered(request: dict[str, Any]) -> dict[str, Any]:
    """What is known of a request before it has an answer."""
    return dict(request, status=0, headers={}, cookies=[], error="", certificate="")


def first_asset(page: str, below: str) -> str:
    """The path of the first file below a path that a page names; empty if it names none."""
    found = re.search(r"""(?:href|src)=["']?(%s[^"'\s<>?#]+)""" % re.escape(below), page)
    return quote(found.group(1), safe=string.punctuation) if found else ""


def same_host(location: str, host: str) -> str:
    """The path that a redirect leads to; empty where it leads to another host."""
    try:
        target = urlsplit(location)
    except ValueError:
        return ""
    if target.hostname not in (None, host) or not target.path.startswith("/"):
        return ""
    return quote(target.path + ("?" + target.query if target.query else ""), safe=string.punctuation)


def uploads(changes: str, kept: Sequence[str] = ()) -> list[str]:
    """The files among a container's changes, as ``docker diff`` prints them, that somebody seems to have uploaded.

    ``kept`` are directories that hold such files whatever they are called.
    """
    below = tuple("A %s/" % path.rstrip("/") for path in kept)
    found = sorted(line[2:] for line in changes.splitlines() if _UPLOADS.match(line) or line.startswith(below))
    directories = {os.path.dirname(path) for path in found}
    return [path for path in found if path not in directories and "." in os.path.basename(path)]


class Prober:
    """Runs probes with a time limit on each, and cleans up after itself.

    ``timeout`` is the limit for one connection in seconds; ``enters`` uses ``nsenter``, which is root's default.
    """

    def __init__(self, engine: Engine, timeout: float, enters: bool | None = None) -> None:
        self.engine = engine
        self.timeout = timeout
        self._enters = os.getuid() == 0 if enters is None else enters
        self._image = ""
        # Read once, because inspect.getsource is not thread-safe.
        self._program = inspect.getsource(program)

    def inside(self, containers: list[dict[str, Any]], ask: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask the same questions from the network of each container. Returns the answers in the same order."""
        self._enters = self._enters and all(
            os.path.exists("/proc/%d/ns/net" % container["pid"]) for container in containers
        )
        if containers and not self._enters:
            self._make_image()
        try:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                return list(pool.map(lambda container: self._inside_one(container, ask), containers))
        finally:
            if self._image:
                self.engine.docker("image", "rm", "--force", self._image)

    def _make_image(self) -> None:
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        name = "%s:%s" % (IMAGE, uuid.uuid4().hex[:12])
        arguments = ("import", "--change", "LABEL %s=true" % PROBE, "-", name)
        code, output, errors = self.engine.docker(*arguments, data=empty.getvalue(), binary=True)
        if code != 0:
            raise EngineError("the empty image for the probes could not be created", last_lines(errors or output))
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
        """The ``docker run`` arguments for an empty container in another's network, with the machine's programs mounted
        read-only."""
        command = ["run", "--rm", "--interactive", "--network", "container:%s" % identity, "--read-only"]
        command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
        command += ["--pids-limit", "64", "--log-driver", "none", "--label", "%s=true" % PROBE]
        for path in ("/usr", "/bin", "/lib", "/lib64"):
            if os.path.isdir(path):
                command += ["--volume", "%s:%s:ro" % (os.path.realpath(path), path)]
        return command + [self._image]

    def requests(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Make HTTP requests from the machine: [{"address", "port", "tls", "host", "host_header", "path"}].

        Returns each request with its ``status``, ``headers`` and ``cookies``, or the name of its ``error``, and the
        ``certificate`` (PEM) that it came with. A request of kind ``asset`` is for the first file below ``path`` that
        the start page names; its answer's ``path`` is that file's, and empty where the page names none.
        """
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(self._answer, requests))

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["kind"] != "asset":
            return self._request(request)
        found = first_asset(self._start_page(request), request["path"])
        return self._request(dict(request, path=found)) if found else _unanswered(dict(request, path=""))

    def _start_page(self, request: dict[str, Any]) -> str:
        """The page at ``/``, or where that leads on the same host."""
        path = "/"
        for _step in range(_REDIRECTS + 1):
            asked, body = self._exchange(dict(request, path=path))
            if asked["status"] not in (301, 302, 303, 307, 308):
                return body.decode("utf-8", "replace") if asked["status"] == 200 else ""
            path = same_host(asked["headers"].get("location", ""), request["host"])
            if not path:
                break
        return ""

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._exchange(request, length=0)[0]

    def page(self, request: dict[str, Any]) -> tuple[int, bytes]:
        """The status and body of the response to one request; ``(0, b"")`` if there is none."""
        answer, body = self._exchange(request)
        return (0, b"") if answer["error"] else (answer["status"], body)

    def _exchange(self, request: dict[str, Any], length: int = 1 << 20) -> tuple[dict[str, Any], bytes]:
        """The answer to a request, and at most ``length`` bytes of its body."""
        answer, body = _unanswered(request), b""
        try:
            connection = self._connection(request)
            if isinstance(connection.sock, ssl.SSLSocket):
                answer["certificate"] = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True) or b"")
            headers = {"Host": request["host_header"], "User-Agent": "bulkhead-verify"}
            connection.request("GET", request["path"], headers=headers)
            response = connection.getresponse()
            answer["status"] = response.status
            answer["headers"] = {
                name.lower(): value for name, value in response.getheaders() if name.lower() != "set-cookie"
            }
            # Only names and attributes: a cookie's value is private.
            answer["cookies"] = [
                ";".join([value.split("=")[0]] + value.split(";")[1:])
                for value in response.headers.get_all("Set-Cookie") or ()
            ]
            body = response.read(length) if length else b""
            connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:  # a name or a path may be none
            answer["error"] = type(error).__name__
        return answer, body

    def _connection(self, request: dict[str, Any]) -> http.client.HTTPConnection:
        # A long limit: the first response of a new application is slow, while a closed port refuses at once.
        limit = max(self.timeout * 15, 15)
        sock = socket.create_connection((request["address"], request["port"]), limit)
        if request["tls"]:
            # Not the default context: it reads every authority of the machine, for each request, and none is asked.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock, server_hostname=request["host"])
        connection = http.client.HTTPConnection(request["address"], request["port"], timeout=limit)
        connection.sock = sock
        return connection

    def execute(self, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run read-only commands in the environment's own containers: [{"container", "kind", "command"}].

        Returns the exit ``code``, output ``lines`` and ``error`` of each.
        """
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(self._execute_one, questions))

    def _execute_one(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["kind"] == LAYER:
            code, output, errors = self._uploads(question["container"], question.get("kept") or ())
        else:
            code, output, errors = self.engine.docker("exec", question["container"], *question["command"], limit=_LIMIT)
        asked = {key: question[key] for key in ("container", "kind")}
        return dict(asked, code=code, lines=output.splitlines(), error=last_lines(errors, 2))

    def _uploads(self, name: str, kept: Sequence[str]) -> tuple[int, str, str]:
        """The files that seem to be uploads in a container, one a line, as :meth:`Engine.docker` has an answer."""
        for layer in filter(None, map(Layer.of, self.engine.inspect([name]))):
            with contextlib.suppress(OSError):
                new = "\n".join("A %s" % path for path in layer.written(_LIMIT))
                return 0, "\n".join(path for path in uploads(new, kept) if not layer.is_of_image(path)), ""
        code, changes, errors = self.engine.docker("diff", name, limit=_LIMIT)
        return code, "\n".join(uploads(changes, kept)), errors
