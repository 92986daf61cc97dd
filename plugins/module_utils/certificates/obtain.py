# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have a certificate that is current: when to ask for one, what to make of it, what serves meanwhile. Runs on the
targets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ..core.errors import Failure
from ..core.steps import Step
from ..docker.engine import Engine, EngineError
from ..image.ca_bundle import certificates
from ..state.home import Home
from .challenge import refuse_elsewhere
from .client import Client
from .pem import Certificate, CertificateError, moment, problems, read
from .refusal import RateLimitError
from .serving import WebServers
from .store import Store
from .unverified import clock_of


class Certificates:
    """The certificate of one environment, as its settings want it."""

    def __init__(self, engine: Engine, settings: dict[str, Any], now: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self.settings = settings
        self.now = now
        self.store = Store(settings["prefix"], settings["state_directory"])
        self.client = Client(engine, settings, self.store, now)

    def ensure(self) -> None:
        """Have something for a web server to start with. Raises Failure."""
        require_root()
        if not self.store.current():
            self.store.keep(self.client.placeholder())

    def reason(self) -> str:
        """Why the authority is to be asked; empty if it is not."""
        certificate = self._read()
        if certificate is None or certificate.self_signed:
            return "it has none yet"
        missing = certificate.missing(self.settings["domains"])
        if missing:
            return "it is not for %s" % ", ".join(missing)
        if self.store.authority() != self.settings["authority"]:
            return "it is of another authority"
        if certificate.is_due(self.now()):
            return "two thirds of its life are over, and it ends on %s" % moment(certificate.ends)
        return ""

    def serves(self) -> bool:
        """Whether browsers accept what there is, whatever an authority says today."""
        found = self._read()
        usable = found is not None and not found.self_signed and not found.missing(self.settings["domains"])
        return bool(usable and found and found.is_valid(self.now()))

    def plan(self) -> list[Step]:
        """What :meth:`bring` would do. Raises Failure where the authority is not to be asked."""
        reason = self.reason()
        if reason:
            self._refuse_while_held()
        return [self._step(reason)] if reason else []

    def bring(self, home: Home) -> list[Step]:
        """Have a current certificate in force. Returns the steps. Raises Failure; what served before serves then."""
        self.ensure()
        servers, steps = WebServers(self.engine, home, self.settings), []
        if self.store.place(home):
            servers.reload()
            steps.append(Step("put back", self.settings["prefix"], "certificate", detail="certificate"))
        reason = self.reason()
        if reason:
            self._refuse_while_held()
            try:
                self._obtain(servers)
            except Failure as error:
                if isinstance(error, RateLimitError):
                    self.store.hold(self.request(), error.message, self.now(), error.until)
                self.store.note(error.message, False)
                raise
            steps.append(self._step(reason))
        self.store.note("", True)
        return steps

    def state(self) -> str:
        """Until when there is a certificate, for people."""
        found = self._read()
        if found is None or found.self_signed:
            return "it has no certificate yet"
        return "its certificate for %s is valid until %s" % (", ".join(found.names), moment(found.ends))

    def _obtain(self, servers: WebServers) -> None:
        settings = self.settings
        bundle = ""
        if settings["ca_bundle"]:
            whose = (settings["state_directory"], settings["prefix"], settings["owner"], settings["directory"])
            bundle = certificates(settings["ca_bundle"], *whose, variable="bulkhead_acme_ca_bundle")
        if settings["check"]:
            refuse_elsewhere(self.engine, settings["volume"], settings["domains"])
        text = self.client.obtain(bundle)
        theirs = None if read(text).is_valid(self.now()) else clock_of(settings["authority"])
        wrong = problems(text, settings["domains"], self.now(), theirs)
        if wrong:
            raise CertificateError(
                "the certificate that %s issued is not used: %s" % (settings["authority"], "; ".join(wrong))
            )
        servers.take(text, self.store, settings["authority"])

    def request(self) -> dict[str, Any]:
        """What an authority's limits count: who is asked, and for what."""
        return {key: self.settings[key] for key in ("authority", "domains")}

    def _refuse_while_held(self) -> None:
        """Raise CertificateError as long as the authority wants to be asked no more."""
        held = self.store.held(self.request(), self.now())
        if held:
            raise CertificateError(held)

    def _step(self, reason: str) -> Step:
        return Step("obtain", ", ".join(self.settings["domains"]), "certificate", reason)

    def _read(self) -> Certificate | None:
        try:
            return read(self.store.current())
        except CertificateError:
            return None


def require_root() -> None:
    """Raise EngineError where keys could not be kept from others."""
    if os.geteuid() != 0:
        raise EngineError(
            "bulkhead_acme needs root on the machine, which keeps the keys and runs the renewal: set ansible_become: "
            "true, or set bulkhead_tls_certificate_path and bulkhead_tls_key_path"
        )
