# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ACME client, as a one-off container of the environment. Runs on the targets.

It has the environment's network and labels, no port, no capability, and two places to write: its own directory and the
volume from which nginx answers the authority. It sees neither the engine nor what nginx serves with.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Any

from ..core.directory import DesiredFile
from ..core.errors import last_lines
from ..docker.containers import belongs_to, labels_of
from ..docker.engine import TIMED_OUT, Engine, EngineError
from ..docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, WORKING_DIRECTORY
from .pem import combined
from .refusal import Attempt, is_out_of_date, refusal
from .store import CLIENT, Store
from .unverified import clock_of

#: What the one-off container does in the environment's project.
_SERVICE = "certificates"
#: Seconds that the client has.
_LIMIT = 300
#: The exit code of ``docker run`` where there is no such image, or no such network.
_NOT_RUN = 125
#: Where the client finds its directory and the volume.
_STATE, _WEBROOT = "/state", "/webroot"
_BUNDLE, _LOGS = "authorities.pem", "logs"

#: Makes a key and a certificate that vouches for itself, for nginx to start with. It is for nobody's domain.
_PLACEHOLDER = """
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, sys.argv[1])])
now = datetime.datetime.utcnow()
made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(1))
made = made.not_valid_after(now + datetime.timedelta(3650)).sign(key, hashes.SHA256())
kind = serialization.Encoding.PEM
plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
sys.stdout.write((key.private_bytes(kind, *plain) + made.public_bytes(kind)).decode())
"""


class Client:
    """The client of one environment: certbot, or an image whose command is called like it."""

    def __init__(
        self, engine: Engine, settings: dict[str, Any], store: Store, now: Callable[[], float] = time.time
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.store = store
        self.now = now
        self.folder = store.tree.path(CLIENT)
        self.container = "%s_%s" % (settings["prefix"], _SERVICE)
        # By authority: certbot does not replace a certificate of one authority by that of another.
        authority = hashlib.sha256(settings["authority"].encode()).hexdigest()[:8]
        self.name = "%s-%s" % (settings["prefix"], authority)

    def placeholder(self) -> bytes:
        """A key and a certificate that nobody vouches for. Raises EngineError."""
        name = "%s: no certificate yet" % self.settings["prefix"]
        code, output, errors = self._run("none", [], "python3", "-c", _PLACEHOLDER, name)
        if code != 0:
            self.engine.check_reachable(errors)
            # Never its output: that may hold the key.
            raise EngineError(
                "the image %s (bulkhead_acme_image) could not make a certificate for nginx to start with: it must be "
                "certbot's, with its Python" % self.settings["image"],
                last_lines(errors, 6),
            )
        return combined(output.encode(), output.encode())

    def obtain(self, bundle: str = "") -> bytes:
        """Ask the authority for a certificate for all domains. ``bundle`` are the authorities (PEM) by which the client
        trusts it. Returns it with its key. Raises CertificateError, EngineError."""
        self.store.tree.make_directory(CLIENT)
        if bundle:
            self.store.tree.write(DesiredFile("%s/%s" % (CLIENT, _BUNDLE), bundle.encode(), 0o600))
        mounts = ["%s:%s" % (self.folder, _STATE), "%s:%s" % (self.settings["volume"], _WEBROOT)]
        variables = {"REQUESTS_CA_BUNDLE": "%s/%s" % (_STATE, _BUNDLE)} if bundle else {}
        before = self._log()
        code, output, errors = self._run(self.settings["network"], mounts, "", *self._arguments(), variables=variables)
        if code != 0:
            self.engine.check_reachable(errors)
            said, log = "%s\n%s" % (output, errors), self._log()
            theirs = clock_of(self.settings["authority"]) if is_out_of_date(said) else None
            # A client that could not begin leaves the log of the attempt before.
            attempt = Attempt(said, "" if log == before else log, code in TIMED_OUT, self.now(), theirs)
            raise refusal(attempt, self.settings, last_lines(errors or output, 8))
        return self._newest()

    def _arguments(self) -> list[str]:
        settings = self.settings
        words = ["certonly", "--non-interactive", "--agree-tos", "--no-eff-email", "--email", settings["email"]]
        words += ["--server", settings["authority"], "--webroot", "--webroot-path", _WEBROOT]
        words += ["--cert-name", self.name, "--key-type", "ecdsa", "--force-renewal"]
        words += ["--renew-with-new-domains", "--max-log-backups", "5"]
        for kind in ("config", "work", _LOGS):
            words += ["--%s-dir" % kind, "%s/%s" % (_STATE, kind)]
        for domain in settings["domains"]:
            words += ["--domain", domain]
        return words

    def _run(
        self, network: str, mounts: list[str], program: str, *words: str, variables: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        self._clear()
        command = ["run", "--rm", "--name", self.container, "--network", network, "--read-only", "--tmpfs", "/tmp"]
        command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "0:0", "--log-driver", "none"]
        command += ["--memory", "256m", "--memory-swap", "256m", "--cpus", "1", "--pids-limit", "128"]
        # Labels that are not given are the image's, which may name another project.
        labels = {PREFIX: self.settings["prefix"], PROJECT: self.settings["project"], ONE_OFF: "True"}
        labels.update({SERVICE: _SERVICE, WORKING_DIRECTORY: self.settings["directory"]})
        for option, pairs in (("--label", labels), ("--env", variables or {})):
            for pair in pairs.items():
                command += [option, "%s=%s" % pair]
        for mount in mounts:
            command += ["--volume", mount]
        command += ["--entrypoint", program] if program else []
        answer = self.engine.docker(*command, self.settings["image"], *words, limit=_LIMIT)
        if answer[0] == _NOT_RUN:
            self.engine.check_reachable(answer[2])
            raise EngineError(
                "the client's container cannot be started from %s (bulkhead_acme_image)" % self.settings["image"],
                last_lines(answer[2], 4),
            )
        if answer[0] in TIMED_OUT:  # its caller has ended, and it may not have
            self._clear()
        return answer

    def _clear(self) -> None:
        """Remove the container that a killed run left. Raises EngineError where another one has its name."""
        for container in self.engine.inspect([self.container]):
            labels = labels_of(container)
            if labels.get(PREFIX) != self.settings["prefix"] or labels.get(SERVICE) != _SERVICE:
                raise EngineError(
                    "a container called %s exists and belongs to %s: rename or remove it"
                    % (self.container, belongs_to(labels))
                )
            self.engine.docker_ok("rm", "--force", container["Id"])

    def _log(self) -> str:
        """The log of the client's last attempt."""
        return (self.store.tree.read("%s/%s/letsencrypt.log" % (CLIENT, _LOGS)) or b"").decode("utf-8", "replace")

    def _newest(self) -> bytes:
        """What the client left last. Its ``live`` directory holds links, which root does not follow."""
        folder = "%s/config/archive/%s" % (CLIENT, self.name)
        numbers = [re.match(r"fullchain(\d+)\.pem\Z", name) for name in self.store.tree.names(folder)]
        last = max([int(found[1]) for found in numbers if found] or [0])
        key, chain = (self.store.tree.read("%s/%s%d.pem" % (folder, what, last)) for what in ("privkey", "fullchain"))
        return combined(key or b"", chain or b"")
