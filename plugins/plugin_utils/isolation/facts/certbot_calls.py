# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find and parse calls of certbot in scripts, in ``docker run`` and in Compose services."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model import Document, Environment, Where
from ..readers.documents import machine_commands
from .ownership import inside

_VERBS = ("certonly", "renew", "run", "delete", "revoke", "install", "certificates", "reconfigure", "rollback")
_HOOKS = ("--deploy-hook", "--renew-hook", "--pre-hook", "--post-hook")


@dataclass(frozen=True, slots=True)
class CertbotCall:
    """A call of certbot; ``lineage`` is the name of the certificate that it works on."""

    verb: str
    words: tuple[str, ...]
    domains: tuple[str, ...]
    lineage: str
    where: Where
    #: Its certificates are in a directory or volume of its own environment, not in the machine's /etc/letsencrypt.
    own_store: bool = False

    def has(self, *flags: str) -> bool:
        """Whether one of the options is present, with or without a value."""
        return any(word.partition("=")[0] in flags for word in self.words)

    def value(self, *options: str) -> str:
        """The last value of an option."""
        values = _values(self.words, options)
        return values[-1] if values else ""

    @property
    def by_http(self) -> bool:
        """Whether the authority validates the name over port 80 (HTTP-01)."""
        dns = any(word.startswith("--dns-") for word in self.words) or self.value("-a", "--authenticator").startswith(
            "dns"
        )
        if dns or "dns" in self.value("--preferred-challenges"):
            return False
        return self.has("--standalone", "--webroot", "--nginx", "--apache", "-w", "--webroot-path") or (
            "http" in self.value("--preferred-challenges")
            or self.value("-a", "--authenticator") in ("standalone", "webroot", "nginx")
        )

    @property
    def for_trial(self) -> bool:
        """Whether it uses a test authority, whose rate limits do not matter."""
        return self.has("--staging", "--test-cert", "--dry-run") or "staging" in self.value("--server")

    @property
    def hooks(self) -> tuple[str, ...]:
        """The commands that its hook options run."""
        return tuple(_values(self.words, _HOOKS))


def certbot_calls(environment: Environment) -> Sequence[CertbotCall]:
    """Every call of certbot that an environment makes."""
    return environment.derived(_certbot_calls)


def _certbot_calls(environment: Environment) -> Iterator[CertbotCall]:
    for document in environment.documents:
        yield from _of_document(environment, document)
    for project, name, service in environment.services():
        image = str(service.get("image") or "")
        words = _words(service.get("entrypoint")) + _words(service.get("command"))
        if "certbot" in image or "certbot" in words:
            where = project.where("services", name, "command")
            text = " ".join(words)
            # A renewal loop: sh -c "while :; do certbot renew; sleep 12h; done"
            inner = re.findall(r"certbot\s+([^;&|]+)", text)
            for part in inner or ([text] if "certbot" in image else []):
                call = _call(part.split(), where)
                if call is not None:
                    yield replace(call, own_store=_keeps_own(environment, service.get("volumes") or ()))


_STORE = "/etc/letsencrypt"


def _keeps_own(environment: Environment, mounts: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a container's certificates are those of its environment: in its container, a volume or its directory."""
    for mount in mounts:
        if posixpath.normpath(str(mount.get("target") or "/")) == _STORE and mount.get("type") == "bind":
            return inside(str(mount.get("source") or ""), environment.directory)
    return True


def _bound(words: Sequence[str]) -> Iterator[str]:
    """The source of each mount of ``docker run`` onto the store of certificates."""
    for value in _values(words, ("-v", "--volume")):
        source, _colon, target = value.partition(":")
        if target.partition(":")[0].rstrip("/") == _STORE:
            yield source


_NAMED = re.compile("certbot|letsencrypt")


def _of_document(environment: Environment, document: Document) -> Iterator[CertbotCall]:
    for command in machine_commands(document):
        if not _NAMED.search(command.text):
            continue
        for index, word in enumerate(command.argv):
            name = word.rpartition("/")[2].partition(":")[0]
            if name in ("certbot", "letsencrypt", "certbot-auto"):
                call = _call(command.argv[index + 1 :], command.where)
                if call is not None:
                    docker = command.program in ("docker", "podman")
                    own = docker and all(_is_own(environment, source) for source in _bound(command.argv[:index]))
                    yield replace(call, own_store=own and "run" in command.argv[:index])
                    break


def _is_own(environment: Environment, source: str) -> bool:
    """Whether the source of a mount is a volume, or lies in the directory of the environment."""
    return not source.startswith("/") or inside(source, environment.directory)


def _call(words: Sequence[str], where: Where) -> CertbotCall | None:
    verb = next((word for word in words if word in _VERBS), "")
    if not verb and not any(word.startswith("-") for word in words):
        return None
    domains = tuple(
        domain.lower()
        for text in _values(words, ("-d", "--domain", "--domains"))
        for domain in text.split(",")
        if domain
    )
    named = _values(words, ("--cert-name",))
    lineage = named[-1] if named else (domains[0].removeprefix("*.") if domains else "")
    return CertbotCall(verb or "run", tuple(words), domains, lineage, where)


def _values(words: Sequence[str], options: Sequence[str]) -> list[str]:
    values = []
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in options:
            values.append(value if equals else words[index + 1] if index + 1 < len(words) else "")
    return values


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []
