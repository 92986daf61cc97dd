# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of the engine's interface that makes a swarm and looks at it, over its socket. Runs on the targets.

Docker's client takes a join token as an argument, where every user of the machine reads it in the list of processes.
The socket takes it in a request.
"""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any
from urllib.parse import quote

from ..core.errors import Failure
from ..docker.direct import INTERFACE, UNIX
from ..docker.socket_connection import SocketConnection
from .ports import CONTROL

#: Seconds to wait for one answer. The engine itself gives up joining after 20.
_LIMIT = 60.0


class SwarmError(Failure):
    """The engine did not do what was asked of its swarm. ``status`` is HTTP's; 0 where no answer came."""

    def __init__(self, message: str, detail: str = "", status: int = 0) -> None:
        super().__init__(message, detail)
        self.status = status


class SwarmApi:
    """Questions and orders to one engine, each a method. Raises SwarmError where it refuses, or gives no answer."""

    def __init__(self, docker_host: str) -> None:
        if not docker_host.startswith(UNIX):
            raise SwarmError(
                "a swarm is made over the engine's own socket, and bulkhead_docker_host is %s" % docker_host
            )
        self._path = docker_host[len(UNIX) :]

    def info(self) -> dict[str, Any]:
        """What the engine says of itself, in whichever version of its interface it speaks."""
        found: dict[str, Any] = self._ask("GET", "/info", versioned=False)
        return found

    def swarm(self) -> dict[str, Any]:
        """The swarm as a manager sees it. It has the join tokens: never return it as it is."""
        found: dict[str, Any] = self._ask("GET", "/swarm")
        return found

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes as a manager sees them."""
        found: list[dict[str, Any]] = self._ask("GET", "/nodes")
        return found

    def node(self, identity: str) -> dict[str, Any]:
        """One node by its whole id."""
        found: dict[str, Any] = self._ask("GET", "/nodes/%s" % quote(identity, safe=""))
        return found

    def services(self) -> list[dict[str, Any]]:
        """All services of the swarm, with how many tasks of each run."""
        found: list[dict[str, Any]] = self._ask("GET", "/services?status=true") or []
        return found

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks of the swarm, also those that ended and are still known."""
        found: list[dict[str, Any]] = self._ask("GET", "/tasks") or []
        return found

    def networks(self) -> list[dict[str, Any]]:
        """The networks of the whole swarm."""
        found: list[dict[str, Any]] = self._ask("GET", "/networks?filters=%s" % quote('{"scope":["swarm"]}')) or []
        return found

    def configs(self) -> list[dict[str, Any]]:
        """All configs of the swarm, with what is in them."""
        found: list[dict[str, Any]] = self._ask("GET", "/configs") or []
        return found

    def secrets(self) -> list[dict[str, Any]]:
        """All secrets of the swarm, without their content."""
        found: list[dict[str, Any]] = self._ask("GET", "/secrets") or []
        return found

    def make_config(self, name: str, labels: dict[str, str], content: bytes) -> str:
        """Keep a config that no service has yet. Returns its id."""
        body = {"Name": name, "Labels": labels, "Data": base64.b64encode(content).decode()}
        return str(self._ask("POST", "/configs/create", body)["ID"])

    def label_config(self, identity: str, version: int, spec: dict[str, Any]) -> None:
        """Change the labels of a config; all else of ``spec`` must be as it is."""
        self._ask("POST", "/configs/%s/update?version=%d" % (quote(identity, safe=""), version), spec)

    def update_service(self, identity: str, version: int, spec: dict[str, Any]) -> None:
        """Change a service, which keeps the login with which its nodes fetch images."""
        path = "/services/%s/update?version=%d&registryAuthFrom=spec" % (quote(identity, safe=""), version)
        self._ask("POST", path, spec)

    def remove_object(self, kind: str, identity: str) -> None:
        """Remove a ``service``, ``network``, ``config`` or ``secret`` by its whole id."""
        self._ask("DELETE", "/%ss/%s" % (kind, quote(identity, safe="")))

    def form(self, address: str, autolock: bool) -> str:
        """Make a swarm with this engine as its only manager, which listens on one address. Returns its node's id."""
        body = {
            **_addresses(address),
            "Spec": {"EncryptionConfig": {"AutoLockManagers": autolock}},
        }
        return str(self._ask("POST", "/swarm/init", body))

    def join(self, address: str, managers: list[str], token: str) -> None:
        """Join the swarm of some managers, ``address:port`` each."""
        self._ask("POST", "/swarm/join", {**_addresses(address), "RemoteAddrs": managers, "JoinToken": token})

    def leave(self, force: bool = False) -> None:
        """Leave the swarm."""
        self._ask("POST", "/swarm/leave%s" % ("?force=1" if force else ""))

    def unlock(self, key: str) -> None:
        """Let a manager that was restarted read its part of the swarm."""
        self._ask("POST", "/swarm/unlock", {"UnlockKey": key})

    def unlock_key(self) -> str:
        """The key for :meth:`unlock`; empty where managers are not locked."""
        return str(self._ask("GET", "/swarm/unlockkey").get("UnlockKey") or "")

    def update(self, version: int, spec: dict[str, Any]) -> None:
        """Change what holds for the whole swarm."""
        self._ask("POST", "/swarm/update?version=%d" % version, spec)

    def update_node(self, identity: str, version: int, spec: dict[str, Any]) -> None:
        """Change a node's role, availability and labels."""
        self._ask("POST", "/nodes/%s/update?version=%d" % (quote(identity, safe=""), version), spec)

    def remove_node(self, identity: str) -> None:
        """Forget a node that is down."""
        self._ask("DELETE", "/nodes/%s" % quote(identity, safe=""))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, versioned: bool = True) -> Any:
        connection = SocketConnection(self._path, _LIMIT)
        given = None if body is None else json.dumps(body)
        try:
            headers = {"Content-Type": "application/json"} if given else {}
            connection.request(method, (INTERFACE if versioned else "") + path, given, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise SwarmError(
                "the Docker engine at unix://%s gives no answer: start it (systemctl start docker, or "
                "ansible-playbook aiia.bulkhead.provision), or set bulkhead_docker_host to where it listens"
                % self._path,
                str(error),
            ) from error
        finally:
            connection.close()
        found: Any = None
        try:
            found = json.loads(text) if text.strip() else None
        except ValueError:
            found = None
        if status >= 400:
            said = str(found.get("message") if isinstance(found, dict) else "") or "status %d" % status
            raise SwarmError(said.replace("rpc error: ", "").strip(), status=status)
        return found


def _addresses(address: str) -> dict[str, Any]:
    """Where a node listens and is reached: this one address, not also those that the world may see."""
    shown = "[%s]:%d" % (address, CONTROL) if ":" in address else "%s:%d" % (address, CONTROL)
    return {"ListenAddr": shown, "AdvertiseAddr": shown, "DataPathAddr": address}
