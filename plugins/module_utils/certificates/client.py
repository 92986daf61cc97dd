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
from typing import Any

from ..core.directory import DesiredFile
from ..core.errors import last_lines
from ..docker.containers import belongs_to, labels_of
from ..docker.engine import TIMED_OUT, Engine, EngineError
from ..docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, WORKING_DIRECTORY
from .pem import CertificateError, combined, moment
from .store import CLIENT, Store

#: What the one-off container does in the environment's project.
_SERVICE = "certificates"
#: Seconds that the client has.
_LIMIT = 300
#: The exit code of ``docker run`` where there is no such image, or no such network.
_NOT_RUN = 125
#: Where the client finds its directory and the volume.
_STATE, _WEBROOT = "/state", "/webroot"
_BUNDLE = "authorities.pem"

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

_UNREACHABLE = re.compile(
    r"NewConnectionError|Max retries exceeded|ConnectTimeout|ReadTimeout|Connection refused|Connection reset"
    r"|Name or service not known|Temporary failure in name resolution|Failed to resolve|RemoteDisconnected"
)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", re.IGNORECASE)
_LIMITED = re.compile(r"rateLimited|too many|rate limit", re.IGNORECASE)
_CONTACT = re.compile(r"invalidContact|unsupportedContact|invalid email|contact (?:email|domain)", re.IGNORECASE)
_FORGOTTEN = re.compile(r"accountDoesNotExist|Account \S+ not found|[Nn]o such account")
_FAILED = re.compile(r"^\s*Domain:\s*(\S+)\s*^\s*Type:\s*(\S+)\s*^\s*Detail:\s*(.+)$", re.MULTILINE)


class Client:
    """The client of one environment: certbot, or an image whose command is called like it."""

    def __init__(self, engine: Engine, settings: dict[str, Any], store: Store) -> None:
        self.engine = engine
        self.settings = settings
        self.store = store
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
        code, output, errors = self._run(self.settings["network"], mounts, "", *self._arguments(), variables=variables)
        if code != 0:
            self.engine.check_reachable(errors)
            raise CertificateError(
                explain("%s\n%s" % (output, errors), self.settings, code in TIMED_OUT), last_lines(errors or output, 8)
            )
        return self._newest()

    def _arguments(self) -> list[str]:
        settings = self.settings
        words = ["certonly", "--non-interactive", "--agree-tos", "--no-eff-email", "--email", settings["email"]]
        words += ["--server", settings["authority"], "--webroot", "--webroot-path", _WEBROOT]
        words += ["--cert-name", self.name, "--key-type", "ecdsa", "--force-renewal"]
        words += ["--renew-with-new-domains", "--max-log-backups", "5"]
        for kind in ("config", "work", "logs"):
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

    def _newest(self) -> bytes:
        """What the client left last. Its ``live`` directory holds links, which root does not follow."""
        folder = "%s/config/archive/%s" % (CLIENT, self.name)
        numbers = [re.match(r"fullchain(\d+)\.pem\Z", name) for name in self.store.tree.names(folder)]
        last = max([int(found[1]) for found in numbers if found] or [0])
        key, chain = (self.store.tree.read("%s/%s%d.pem" % (folder, what, last)) for what in ("privkey", "fullchain"))
        return combined(key or b"", chain or b"")


def explain(said: str, settings: dict[str, Any], late: bool = False) -> str:
    """Why the client got no certificate, and what to do about it."""
    authority = settings["authority"]
    if _LIMITED.search(said):
        line = next((line.strip() for line in said.splitlines() if _LIMITED.search(line)), "")
        return (
            "the authority %s issues no more certificates for now (rate limit): %s. Wait for the time that it names; "
            "every attempt until then counts as well" % (authority, line)
        )
    if _UNTRUSTED.search(said):
        return (
            "the certificate of the authority %s itself is not trusted. Name its CA in bulkhead_acme_ca_bundle; if it "
            "is a public one, check this machine's clock, which says %s" % (authority, moment(time.time()))
        )
    if _CONTACT.search(said):
        return "the authority %s does not accept %s as a contact: set bulkhead_acme_email to an address of yours" % (
            authority,
            settings["email"],
        )
    if _FORGOTTEN.search(said):
        return (
            "the authority %s does not know the account of this environment any more. Remove %s on the machine: the "
            "next attempt opens another one"
            % (authority, Store(settings["prefix"], settings["state_directory"]).accounts)
        )
    failed = ["%s: %s" % (found[1], found[3].strip()) for found in _FAILED.finditer(said)]
    if failed:
        return (
            "the authority %s asked for a proof and did not get it: %s. It asks http://<domain>/.well-known/ on port "
            "80: find out what answers there" % (authority, "; ".join(failed))
        )
    if late or _UNREACHABLE.search(said):
        return (
            "the authority %s does not answer: check bulkhead_acme_directory, and whether containers of this "
            "environment reach it (bulkhead_firewall_allow, where it is on this machine)" % authority
        )
    return "the client got no certificate from %s" % authority
