# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let the web servers of an environment take a certificate, or keep the one before. Runs on the targets."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from ..core.errors import Failure, last_lines
from ..docker.containers import is_running, labels_of, name_of
from ..docker.engine import Engine
from ..docker.labels import SERVICE
from ..state.home import Home
from .pem import CertificateError, first
from .store import SERVED, Store, served
from .unverified import certificate_of

#: Seconds until workers with the earlier certificate accept no more connections, and those that taking it may take.
_WAIT, _TAKING = 15, 60

#: The port at which nginx listens inside of its container.
_TLS = 443


class WebServers:
    """The web servers of one environment that read its certificate."""

    def __init__(self, engine: Engine, home: Home, settings: dict[str, Any]) -> None:
        self.engine = engine
        self.home = home
        self.settings = settings

    def take(self, text: bytes, store: Store, authority: str) -> None:
        """Serve with another certificate from now on.

        It is kept once it was seen in an answer. Raises CertificateError after the one before is in force again.
        """
        before = self.home.read(SERVED)
        try:
            self.home.write(served(text))
            self.reload()
            self._see(text)
        except Failure as error:
            if before is not None:
                self.home.write(served(before))
                with contextlib.suppress(Failure):  # what it says is the reason that is told already
                    self.reload()
            error.message += ". The certificate before serves on"
            raise
        store.keep(text, authority)

    def _containers(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        running = [container for container in self.engine.project_containers() if is_running(container)]
        return [
            (server, container)
            for server in self.settings["servers"]
            for container in running
            if labels_of(container).get(SERVICE) == server["key"]
        ]

    def reload(self) -> None:
        """Let them take what lies where they read it. Raises CertificateError where one does not."""
        for server, container in self._containers():
            command = server["on_change"]
            if not command:
                continue
            code, output, errors = self.engine.docker("exec", container["Id"], *command, limit=_TAKING)
            if code != 0:
                why = "%s does not take the new certificate" % name_of(container)
                raise CertificateError(why, last_lines(errors or output))

    def _see(self, text: bytes) -> None:
        """Raise CertificateError where no answer comes with this certificate."""
        places = self._places()
        if not places:
            return  # nothing serves, and what starts reads the new one
        deadline, said = time.monotonic() + _WAIT, ""
        while time.monotonic() < deadline:
            for address, port in places:
                try:
                    if certificate_of(address, port, self.settings["domains"][0]) == first(text):
                        return
                    said = "it still answers with another one"
                except OSError as error:
                    said = said or str(error)
            time.sleep(0.3)
        raise CertificateError(
            "port %d does not answer with the new certificate: %s" % (self.settings["port"] or _TLS, said)
        )

    def _places(self) -> list[tuple[str, int]]:
        """Where an environment answers: at its published port, and at its containers' own addresses where something
        else is in front of them."""
        containers, port = [container for _server, container in self._containers()], self.settings["port"] or _TLS
        attached = [network for found in containers for network in _networks(found)]
        own = [str(network.get("IPAddress")) for network in attached if network.get("IPAddress")]
        places = [(self.settings["address"], port), *((address, at) for address in own for at in (_TLS, port))]
        return list(dict.fromkeys(places)) if containers else []


def _networks(container: dict[str, Any]) -> list[dict[str, Any]]:
    return list(((container.get("NetworkSettings") or {}).get("Networks") or {}).values())
