# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set the front door of a machine up, and replace it without a refused connection. Runs on the targets.

A new door takes the open ports over from the running one through its admin socket; that one then ends the connections
that it has. A door that does not start leaves the running one as it was.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from ..core.addresses import overlap
from ..core.directory import DesiredFile, Tree, digest
from ..core.steps import Step
from ..docker.containers import labels_of, name_of, published
from ..docker.engine import Engine
from ..docker.labels import PREFIX
from ..host.sockets import is_own_address, listening, process_of
from ..state.locks import Locks
from . import no_links, places
from .admin import ask
from .door import NODE_LABEL, STATE_LABEL, Door, is_ending
from .kept import CONFIGURATION, NODE, SETTINGS
from .routes import DoorError, DoorSettings, listened

COMPOSE_FILE, _DOTENV = (os.path.join(places.FOLDER, name) for name in ("compose.json", ".env"))
#: Seconds until a new door must answer, and until an earlier one that still has connections is left to end by itself.
_START, _END = 30.0, 5.0
#: Seconds in which a connection that was on its way to a port has arrived there.
_SETTLING = 2.0
#: The ports to choose from while environments still publish the door's. Below those that the kernel gives to clients.
_MEANWHILE = range(18080, 18180)

_SCRIPT = """
grep -q ' /sockets .*[ ,]nosymfollow' /proc/self/mountinfo || {
  echo 'links are followed in /sockets: the front door does not start. Run the playbook aiia.bulkhead.edge' >&2
  exit 1
}
if grep -q ' %(admin)s' /proc/net/unix; then
  exec haproxy -db -x %(admin)s -f %(configuration)s/haproxy.cfg
fi
exec haproxy -db -f %(configuration)s/haproxy.cfg
"""


def composed(state: str, settings: DoorSettings, image: str, node: str, turn: int = 0) -> dict[str, Any]:
    """The door's Compose project, whose one service is named by what it was made from.

    ``turn`` tells it from earlier ones of the same node, which still end their connections.
    """
    mounts = [
        (places.configuration(state), places.CONFIGURATION, True),
        (places.run(state), os.path.dirname(places.admin_seen_by_door(state)), False),
        (places.sockets(state), places.SOCKETS, False),
    ]
    script = _SCRIPT % {"admin": places.admin_seen_by_door(state), "configuration": places.CONFIGURATION}
    return {
        "services": {
            "door-%s-%d" % (node, turn): {
                "image": image,
                "pull_policy": "missing",
                "entrypoint": ["/bin/sh", "-c", script],
                "command": [],
                "network_mode": "host",
                "user": "0:0",  # until its ports are open: the worker is nobody's, and has no capability
                "read_only": True,
                "cap_drop": ["ALL"],
                "cap_add": ["NET_BIND_SERVICE", "SETGID", "SETUID"],
                "security_opt": ["no-new-privileges:true"],
                "restart": "unless-stopped",
                "stop_signal": "SIGUSR1",
                "stop_grace_period": "30s",
                "ulimits": {"nofile": 2 * settings.connections + 1000},
                "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
                "labels": {STATE_LABEL: state, NODE_LABEL: node},
                "volumes": [
                    {
                        "type": "bind",
                        "source": source,
                        "target": target,
                        "read_only": read_only,
                        "bind": {"create_host_path": False},
                    }
                    for source, target, read_only in mounts
                ],
            }
        }
    }


def problems(
    settings: DoorSettings, kept: frozenset[int], publishers: Mapping[int, str] | None = None, moves: bool = False
) -> list[str]:
    """Why the door could not listen. Ports in ``kept`` are its own already; ``publishers`` are the containers of
    environments that publish its ports, which are no hindrance where the machine ``moves`` behind it."""
    publishers = publishers or {}
    wrong = []
    for address in settings.addresses:
        if address not in ("0.0.0.0", "::") and not is_own_address(address):  # noqa: S104 - compared, not bound
            wrong.append("bulkhead_edge_addresses: %s is not an address of this machine" % address)
    wanted = {settings.http_port, settings.https_port}
    holders = {} if moves else {port: "container %s" % publishers[port] for port in publishers}
    for address, port, inode in listening():
        free = port in holders or port in publishers or port in kept
        if port in wanted and not free and any(overlap(address, own) for own in settings.addresses):
            holders[port] = process_of(inode) or "a process that this user may not see"
    wrong += [_taken(port, holders[port], port in publishers) for port in sorted(holders)]
    return wrong


def _taken(port: int, by: str, by_environment: bool) -> str:
    way = (
        "to let that environment move behind it without a refused connection, run the playbook with "
        "bulkhead_edge_move: true (docs/behind-the-front-door.md)"
        if by_environment
        else "stop what holds it, or choose another port with bulkhead_edge_http_port and bulkhead_edge_https_port"
    )
    return "port %d is taken by %s: the front door needs it; %s" % (port, by, way)


class Machine:
    """Brings the door of a state directory to the wanted image and settings."""

    def __init__(self, engine: Engine, state: str, image: str, settings: DoorSettings, moves: bool = False) -> None:
        """``moves``: whether environments that publish ports are being moved behind the door."""
        self.engine = engine
        self.state = state
        self.image = image
        self.settings = _without_missing_family(settings)
        self.moves = moves
        self.door = Door(engine, state)
        self._tree = Tree(state, private=True, inner=0o700)

    def bring(self, check: bool = False) -> list[Step]:
        """What was done, or with ``check`` what would be. Raises DoorError before anything changed, or with the earlier
        door in place."""
        if os.geteuid() != 0:
            raise DoorError("the front door is the machine's: it needs root. Set become: true")
        containers = self.engine.containers("%s=%s" % (STATE_LABEL, self.state))
        running = [container for container in containers if container["State"].get("Running")]
        own = self._own_ports() if running else frozenset()
        publishers = self._publishers()
        wrong = problems(self.settings, own, publishers, self.moves)
        if wrong:
            raise DoorError("the front door was not changed: %s" % "; ".join(wrong))
        self._listen_meanwhile(publishers, bool(running))
        node = self._node(check)
        current = [container for container in running if _node_of(container) == node and not is_ending(container)]
        turn = sum(_node_of(container) == node for container in running if is_ending(container))
        meanwhile = [port for port in (self.settings.http_meanwhile, self.settings.https_meanwhile) if port]
        where = "on port %s until its own are free" % " and ".join(map(str, meanwhile)) if meanwhile else ""
        steps = [] if current else [Step("start", self.image, "front door", detail=where)]
        leaving = [container for container in running if _node_of(container) != node and not is_ending(container)]
        steps += [Step("end", container["Name"].lstrip("/"), "front door") for container in leaving]
        moving = self.door.moving
        led = moving.plan(self.settings, self.moves)
        if check:
            return steps + led
        with Locks(self.state).machine():
            for relative in (places.FOLDER, places.ROUTES, places.GENERATED, places.RUN):
                self._tree.make_directory(relative)
            if self.moves:
                moving.begin()
            no_links.mount(places.sockets(self.state))
            for prefix in self.door.routes():  # after a boot the relay of a stack cannot start without
                no_links.make_directory(os.path.join(places.sockets(self.state), prefix))
            if no_links.keep_over_a_boot(self.engine, self.state):
                steps.append(Step("prepare", "the sockets' directory", "unit", detail="made when the machine starts"))
            before = {name: self._tree.read(name) for name in (SETTINGS, NODE, COMPOSE_FILE)}
            self._write(node, turn)
            self.door.write_configuration(self.settings, self.door.routes(), node)
            for container in containers:
                if container not in running:  # Compose would start it again instead of a new one
                    self.engine.docker("rm", "--force", container["Id"])
            if not current:
                self._start(node, turn, before)
            steps += led
            if moving.bring(self.settings, self.moves) and leaving:
                time.sleep(_SETTLING)  # a connection that was on its way to the earlier door is taken by it
            for container in leaving:
                self._end(container["Id"])
            for container in running:
                if is_ending(container):  # a run that was killed may not have come to say so
                    self.engine.docker("kill", "--signal", "USR1", container["Id"])
        return steps

    def _publishers(self) -> dict[int, str]:
        """The containers of environments that publish the door's ports, by port."""
        running = (one for one in self.engine.containers() if one["State"].get("Running"))
        return {
            port: name_of(container)
            for port, address, container in published(running)
            if port in (self.settings.http_port, self.settings.https_port)
            and labels_of(container).get(PREFIX)
            and any(overlap(address, own) for own in self.settings.addresses)
        }

    def _listen_meanwhile(self, publishers: Mapping[int, str], running: bool) -> None:
        """Choose other ports for those that environments still publish; a running door keeps its own."""
        earlier = DoorSettings()
        if running:
            with contextlib.suppress(DoorError):
                earlier = self.door.settings()
        taken = {port for _address, port, _inode in listening()}
        free = (port for port in _MEANWHILE if port not in taken)
        http = earlier.http_meanwhile or next(free, None) if self.settings.http_port in publishers else 0
        https = earlier.https_meanwhile or next(free, None) if self.settings.https_port in publishers else 0
        if http is None or https is None:
            raise DoorError("all ports from %d to %d of this machine are taken" % (_MEANWHILE[0], _MEANWHILE[-1]))
        self.settings = dataclasses.replace(self.settings, http_meanwhile=http, https_meanwhile=https)

    def _own_ports(self) -> frozenset[int]:
        """The ports of the running door: its configuration has them where its settings are damaged."""
        try:
            return frozenset(self.door.settings().listens.values())
        except DoorError:
            return listened((self._tree.read(CONFIGURATION) or b"").decode(errors="replace"))

    def _node(self, check: bool) -> str:
        """A digest of everything that a door is made from."""
        image = self.engine.image_ids([self.image]).get(self.image)
        if not image and not check:
            self.engine.docker_ok("pull", "--quiet", self.image)
            image = self.engine.image_ids([self.image]).get(self.image)
        made_of = [image, dataclasses.asdict(self.settings), composed(self.state, self.settings, self.image, "")]
        return digest(json.dumps(made_of, sort_keys=True).encode())[:12]

    def _write(self, node: str, turn: int) -> None:
        settings = json.dumps(dataclasses.asdict(self.settings), indent=2, sort_keys=True) + "\n"
        project = json.dumps(composed(self.state, self.settings, self.image, node, turn), indent=2) + "\n"
        texts = {SETTINGS: settings, NODE: node + "\n", COMPOSE_FILE: project, _DOTENV: ""}
        for name, text in texts.items():
            file = DesiredFile(name, text.encode(), 0o600)
            if self._tree.differs(file):
                self._tree.write(file)

    def _start(self, node: str, turn: int, before: dict[str, bytes | None]) -> None:
        """Start a door and wait until it answers. Raises DoorError with the earlier files in place."""
        directory = self._tree.path(places.FOLDER)
        engine = Engine(
            self.engine.module, self.engine.docker_host, places.project(self.state), directory, "compose.json"
        )
        code, _output, errors = engine.compose("up", "--detach", "--no-build", "door-%s-%d" % (node, turn))
        deadline = time.monotonic() + _START
        while code == 0 and time.monotonic() < deadline:
            if self._answers(node):
                return
            if any(container["RestartCount"] for container in self._started(node)):
                break
            time.sleep(0.1)
        for container in self._started(node):
            errors = engine.logs(container["Id"]) or errors
            engine.docker("rm", "--force", container["Id"])
        for name, content in before.items():
            if content is None:
                self._tree.install([], [name])
            else:
                self._tree.write(DesiredFile(name, content, 0o600))
        with contextlib.suppress(DoorError):  # there was none, or its settings were damaged: what runs goes on
            self.door.write_configuration(self.door.settings(), self.door.routes(), self.door.node())
        raise DoorError("the new front door does not start; an earlier one goes on as it was", errors)

    def _started(self, node: str) -> list[dict[str, Any]]:
        labels = ("%s=%s" % (STATE_LABEL, self.state), "%s=%s" % (NODE_LABEL, node))
        return [container for container in self.engine.containers(*labels) if not is_ending(container)]

    def _answers(self, node: str) -> bool:
        try:
            return "node: %s" % node in ask(self.state, "show info").splitlines()
        except DoorError:
            return False

    def _end(self, container: str) -> None:
        """Have an earlier door end when its last connection does, which may be long after this run."""
        self.engine.docker_ok("update", "--restart", "no", container)
        self.engine.docker_ok("kill", "--signal", "USR1", container)
        deadline = time.monotonic() + _END
        while time.monotonic() < deadline:
            found = self.engine.inspect([container])
            if not found or not found[0]["State"].get("Running"):
                self.engine.docker("rm", "--force", container)
                return
            time.sleep(0.2)


def _node_of(container: dict[str, Any]) -> str:
    labels = container["Config"].get("Labels") or {}
    return str(labels.get(NODE_LABEL, ""))


def _without_missing_family(settings: DoorSettings) -> DoorSettings:
    """Without addresses of IPv6 on a machine that has none."""
    if os.path.exists("/proc/net/if_inet6"):
        return settings
    return dataclasses.replace(settings, addresses=tuple(text for text in settings.addresses if ":" not in text))
