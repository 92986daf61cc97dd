# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a certificate says, and whether a web server could serve with it. Runs on the targets.

A certificate is kept as one text with its key and its chain, so that one rename replaces all of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..core.errors import Failure

#: The part of its life after which a certificate is renewed: a third is left for whatever goes wrong.
RENEW_AFTER = 2 / 3

#: Seconds by which two clocks may differ before that is mentioned.
_TOLERANCE = 60

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_CERTIFICATE = b"CERTIFICATE"

#: OpenSSL's X509_V_FLAG_PARTIAL_CHAIN, which Python 3.8 has no name for, and X509_V_FLAG_NO_CHECK_TIME.
_PARTIAL_CHAIN, _NO_CHECK_TIME = 0x80000, 0x200000


class CertificateError(Failure):
    """A certificate cannot be read, or cannot be had."""


class Certificate(NamedTuple):
    """What the first certificate of a text says. Times are seconds since 1970."""

    names: tuple[str, ...]
    begins: float
    ends: float
    #: Whether it vouches for itself: nobody else does.
    self_signed: bool

    def covers(self, domain: str) -> bool:
        """Whether it is for a domain. A wildcard covers one label."""
        domain = domain.lower()
        return domain in self.names or "*.%s" % domain.partition(".")[2] in self.names

    def missing(self, domains: Iterable[str]) -> list[str]:
        """The domains that it is not for."""
        return [domain for domain in domains if not self.covers(domain)]

    def is_due(self, now: float) -> bool:
        """Whether it is time to renew it."""
        return now >= self.begins + RENEW_AFTER * (self.ends - self.begins)

    def is_valid(self, now: float) -> bool:
        """Whether it has begun and not ended."""
        return self.begins <= now < self.ends


def read(text: bytes) -> Certificate:
    """Read the first certificate of a PEM text. Raises CertificateError."""
    blocks = _blocks(text, _CERTIFICATE)
    if not blocks:
        raise CertificateError("there is no certificate in it")
    try:
        with in_memory(blocks[0]) as path:
            # Python's own reader: ssl.getpeercert() is made of it, and needs a connection.
            said: dict[str, Any] = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined]
        begins, ends = (float(ssl.cert_time_to_seconds(said[key])) for key in ("notBefore", "notAfter"))
    except (OSError, KeyError, ValueError):
        raise CertificateError("its certificate is damaged") from None
    names = tuple(value.lower() for kind, value in said.get("subjectAltName", ()) if kind == "DNS")
    return Certificate(names, begins, ends, said.get("issuer") == said.get("subject"))


def problems(text: bytes, domains: Iterable[str], now: float, theirs: float | None = None) -> list[str]:
    """Why a web server should not serve domains with a certificate and its key; empty if it should. ``theirs`` is what
    the clock of its authority says, if that is known. Raises CertificateError where it cannot be read."""
    certificate, chain = read(text), _blocks(text, _CERTIFICATE)
    found = []
    if not fits(text, text):
        found.append("its key belongs to another certificate")
    elif not _is_chain(text, chain[-1]):
        found.append("its chain is broken: no certificate in it vouches for the first one")
    missing = certificate.missing(domains)
    if missing:
        found.append("it is not for %s" % ", ".join(missing))
    if not certificate.is_valid(now):
        life = "it is valid from %s to %s" % (moment(certificate.begins), moment(certificate.ends))
        found.append("%s, but %s" % (life, clocks(now, theirs)))
    return found


def moment(seconds: float) -> str:
    """A time for people."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def clocks(ours: float, theirs: float | None) -> str:
    """What this machine's clock says, how far that is from an authority's, and what to do about it."""
    said = "this machine's clock says %s" % moment(ours)
    if theirs is None:
        return "%s: set the clock if that is wrong" % said
    apart = ours - theirs
    if abs(apart) < _TOLERANCE:
        return "%s, and the authority's says the same" % said
    return "%s, %s %s the authority's: set the clock" % (said, _span(abs(apart)), "ahead of" if apart > 0 else "behind")


def _span(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours")):
        if round(seconds / size) > 1:
            return "%d %s" % (round(seconds / size), unit)
    return "%d minutes" % round(seconds / 60)


def dates(text: str) -> dict[str, Any]:
    """How long a certificate (PEM) is valid, in seconds by this machine's clock; empty if it cannot be read."""
    try:
        found = read(text.encode())
    except CertificateError:
        return {}
    return {
        "ends": moment(found.ends),
        "until": found.ends,
        "left": found.ends - time.time(),
        "life": found.ends - found.begins,
        "names": list(found.names),
        "self_signed": found.self_signed,
    }


def first(text: bytes) -> bytes:
    """The first certificate of a PEM text in binary form; empty if there is none."""
    blocks = _blocks(text, _CERTIFICATE)
    return ssl.PEM_cert_to_DER_cert(blocks[0].decode("ascii", "replace")) if blocks else b""


def combined(key: bytes, chain: bytes) -> bytes:
    """A key and a chain as one text, without anything else. Raises CertificateError where one of them is missing."""
    keys = [match.group(0) for match in _BLOCK.finditer(key) if match.group(1).endswith(b"PRIVATE KEY")]
    certificates = _blocks(chain, _CERTIFICATE)
    if len(keys) != 1 or not certificates:
        raise CertificateError("the client left no certificate with its key")
    return b"\n".join([*keys, *certificates, b""])


def fits(certificates: bytes, key: bytes) -> bool:
    """Whether a key is that of the first certificate of a chain. Both are PEM texts."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    with in_memory(certificates) as chain, in_memory(key) as private:
        try:
            context.load_cert_chain(chain, private, password=lambda: "")
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            return False
    return True


def _is_chain(text: bytes, anchor: bytes) -> bool:
    """Whether a client that trusts the last certificate of a chain would accept the first: a handshake in memory."""
    server, client = _context(ssl.PROTOCOL_TLS_SERVER), _context(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= _PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        client.load_verify_locations(cadata=anchor.decode("ascii", "replace"))
        with in_memory(text) as path:
            server.load_cert_chain(path)
        one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [client.wrap_bio(one, other), server.wrap_bio(other, one, server_side=True)]
        while ends:
            for end in list(ends):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
                    ends.remove(end)
    except (OSError, ValueError):
        return False
    return True


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.set_ciphers("ALL:@SECLEVEL=0")  # how strong they are is for others to judge
    return context


def _blocks(text: bytes, kind: bytes) -> list[bytes]:
    return [match.group(0) for match in _BLOCK.finditer(text) if match.group(1) == kind]


@contextlib.contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """The path of a file without a name, which only this process can open."""
    descriptor = os.memfd_create("pem")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(content)
        yield "/proc/self/fd/%d" % descriptor
    finally:
        os.close(descriptor)
