# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy's admin socket and the engine that runs HAProxy, for tests: it starts from the files on disk as HAProxy does,
can be killed at any command, and starts again."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import door, machine, no_links, places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.door import Door, is_ending
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.machine import Machine
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import MAP, DoorSettings, Route


class Killed(Exception):
    """The run is killed here."""


def a_route(prefix: str, *domains: str, container: str = "0123456789ab", **other: Any) -> Route:
    sockets = {"http": f"{container}/http.sock", "https": f"{container}/https.sock"}
    names = domains or (f"{prefix}.test",)
    return Route(**{"prefix": prefix, "domains": names, **sockets, "connections": 100, "rate": 50, **other})


class Haproxy:
    """One process: its map and servers, and the commands that it was given."""

    def __init__(self, state: Path) -> None:
        folder = Path(places.configuration(str(state)))
        text = (folder / "haproxy.cfg").read_text(encoding="utf-8")
        (self.node,) = re.findall(r"^    node (\S+)$", text, re.M)
        lines = (folder / "domains.map").read_text(encoding="utf-8").splitlines()
        self.map = dict(line.split(" ") for line in lines)
        self.servers: dict[str, bool] = {}
        for backend, rest in re.findall(r"^backend (https?)\n((?:    .*\n)*)", text, re.M):
            self.servers.update({f"{backend}/{name}": True for name in re.findall(r"^    server (\S+)", rest, re.M)})

    def answer(self, command: str) -> str:
        words = command.split(" ")
        verb, what = words[0], words[1]
        if verb == "show":
            return self._show(what)
        if what == "server":
            if verb == "add":
                self.servers[words[2]] = False
                return "New server registered.\n"
            if words[2] not in self.servers:
                return "No such server.\n"
            if verb == "set":
                self.servers[words[2]] = words[4] == "ready"
            else:
                del self.servers[words[2]]
            return "" if verb == "set" else "Server deleted.\n"
        assert what == "map" and words[2] == MAP
        assert (words[3] in self.map) == (verb != "add"), command
        if verb == "del":
            del self.map[words[3]]
        else:
            self.map[words[3]] = words[4]
        return ""

    def _show(self, what: str) -> str:
        if what == "info":
            return f"Name: HAProxy\nnode: {self.node}\n"
        if what == "map":
            return "".join(
                f"0x{number:x} {domain} {entry}\n" for number, (domain, entry) in enumerate(self.map.items())
            )
        rows = [server.split("/") for server in self.servers]
        states = ["2 0" if up else "0 1" for up in self.servers.values()]
        lines = [f"3 {row[0]} 1 {row[1]} - {state}\n" for row, state in zip(rows, states, strict=True)]
        return "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n" + "".join(lines)


class Running:
    """A machine with an engine whose only images are HAProxys: what :class:`Engine` offers to the door."""

    docker_host = ""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = state
        self.module = self
        self.process: Haproxy | None = None
        self.made: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.commands: list[str] = []
        #: What it answers instead, and what happens before it does.
        self.refuses: Callable[[str], str] = lambda _command: ""
        self.on_command: Callable[[str], None] = lambda _command: None
        self.on_call: Callable[[str], None] = lambda _call: None
        self.broken: set[str] = set()
        self.lingering = False
        self._listener: socket.socket | None = None
        self.door = Door(self, str(state))
        monkeypatch.setattr(machine, "Engine", lambda *_args: self)
        monkeypatch.setattr(machine, "_END", 0.3)
        monkeypatch.setattr(machine, "listening", lambda: [])
        monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
        monkeypatch.setattr(no_links, "mount", lambda _base: None)
        monkeypatch.setattr(no_links, "keep_over_a_boot", lambda _engine, _state: False)
        monkeypatch.setattr(door, "RETURN", 0.3)

    def machine(self, image: str = "haproxy:1", **settings: Any) -> Machine:
        return Machine(self, str(self.state), image, DoorSettings(**settings))

    # ---- HAProxy --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A process starts from the files on disk and takes the admin socket over."""
        self.stop()
        self.process = Haproxy(self.state)
        path = Path(places.admin_socket(str(self.state)))
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        with contextlib.chdir(path.parent):
            self._listener.bind(path.name)
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener, self.process), daemon=True).start()

    def stop(self) -> None:
        """The process is killed: nobody is at the admin socket, which stays."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._listener = self.process = None

    def _serve(self, listener: socket.socket, process: Haproxy) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                with connection:
                    command = connection.recv(1 << 16).decode().rstrip("\n")
                    self.commands.append(command)
                    self.on_command(command)
                    if self.process is process:  # else it was killed by that
                        answer = self.refuses(command) or process.answer(command)
                        connection.sendall(f"{answer}\n".encode())

    # ---- the engine -----------------------------------------------------------------------------------------------

    def containers(self, *filters: str) -> list[dict[str, Any]]:
        wanted = dict(one.split("=", 1) for one in filters)
        return copy.deepcopy([one for one in self.made if wanted.items() <= one["Config"]["Labels"].items()])

    def inspect(self, ids: list[str]) -> list[dict[str, Any]]:
        return copy.deepcopy([one for one in self.made if one["Id"] in ids])

    def image_ids(self, names: list[str]) -> dict[str, str]:
        return {name: f"sha256:{name}" for name in names}

    def logs(self, identifier: str) -> str:
        return f"last words of {identifier}"

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        call = " ".join(args)
        self.calls.append(call)
        self.on_call(call)
        (found,) = [one for one in self.made if one["Id"] == args[-1]]
        if args[0] == "update":
            found["HostConfig"]["RestartPolicy"]["Name"] = "no"
        if args[0] == "kill" and not self.lingering:
            found["State"]["Running"] = False
        if args[0] == "rm":
            self.made.remove(found)
        return 0, "", ""

    def docker_ok(self, *args: str, **_options: Any) -> str:
        return self.docker(*args)[1]

    def compose(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        self.calls.append(f"compose {' '.join(args)}")
        self.on_call(self.calls[-1])
        said = json.loads((self.state / machine.COMPOSE_FILE).read_text(encoding="utf-8"))
        ((name, service),) = said["services"].items()
        assert args[-1] == name
        broken = service["image"] in self.broken
        for earlier in self.made:
            if earlier["Name"] == f"/{name}":  # as Compose does, whatever became of its restart policy
                earlier["State"]["Running"] = True
                self.start()
                return 0, "", ""
        self.made.append(
            {
                "Id": f"id-of-{name}",
                "Name": f"/{name}",
                "RestartCount": int(broken),
                "Config": {"Labels": service["labels"]},
                "State": {"Running": True},
                "HostConfig": {"RestartPolicy": {"Name": service["restart"]}},
            }
        )
        if not broken:
            self.start()
        return 0, "", ""

    def taking(self) -> list[str]:
        """The doors that take connections."""
        return [one["Name"] for one in self.made if one["State"]["Running"] and not is_ending(one)]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A machine whose front door runs, with a route of production."""
    found = Running(tmp_path / "state", monkeypatch)
    found.machine().bring()
    found.door.publish(a_route("production", "*.production.test", "production.test"))
    found.commands.clear()
    found.calls.clear()
    yield found
    found.stop()
