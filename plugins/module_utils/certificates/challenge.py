# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an authority's question for a domain would arrive here, before it is asked. Runs on the targets.

An authority counts failures, and refuses for an hour or a week when there are too many: what can be seen from here is
said first.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..core.directory import DesiredFile, Tree
from ..docker.engine import Engine, EngineError, inspect_objects
from .pem import CertificateError

#: Where an authority looks (RFC 8555, 8.3), and at which port, whatever an environment publishes.
PATH, PORT = ".well-known/acme-challenge", 80

#: Seconds to wait for an answer.
_LIMIT = 5

_REDIRECTS = (301, 302, 303, 307, 308)
#: This machine may lack the family of an address that the rest of the world has.
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def refuse_elsewhere(engine: Engine, volume: str, domains: Iterable[str]) -> None:
    """Raise CertificateError, with all domains whose questions would not be answered by this environment."""
    with _token(engine, volume) as token:
        found = [problem for domain in domains for problem in [_problem(domain, token)] if problem]
    if found:
        raise CertificateError(
            "%s. The authority was not asked. Correct the DNS records, or the port that leads to this machine; "
            "bulkhead_acme_check: false asks the authority all the same" % "; ".join(found)
        )


@contextmanager
def _token(engine: Engine, volume: str) -> Iterator[str]:
    """A file of a random name and content where nginx answers for challenges, for as long as that takes."""
    found = inspect_objects(engine, "volume", [volume])
    place = str(found[0].get("Mountpoint") or "") if found else ""
    if not place or not os.path.isdir(place):
        raise EngineError("the volume %s, from which nginx answers an authority, is not on this machine" % volume)
    tree, token = Tree(place), "bulkhead-%s" % uuid.uuid4().hex
    path = "%s/%s" % (PATH, token)
    tree.write(DesiredFile(path, token.encode(), 0o644))
    try:
        yield token
    finally:
        tree.unlink(path)


def _problem(domain: str, token: str) -> str:
    """Why a question for a domain does not arrive here, as this machine sees it; empty if it does."""
    try:
        answers = socket.getaddrinfo(domain, PORT, type=socket.SOCK_STREAM)
    except OSError:
        return "%s has no address in DNS" % domain
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    said = [(address, _asked(domain, address, token)) for address in addresses]
    if all(why is None for _address, why in said):
        return "this machine reaches none of the addresses of %s (%s)" % (domain, ", ".join(addresses))
    return " and ".join("%s (%s) %s" % (domain, address, why) for address, why in said if why)


def _asked(domain: str, address: str, token: str) -> str | None:
    """What is wrong with the answer for a domain at an address; empty if nothing is, None where it cannot be asked."""
    try:
        connection = http.client.HTTPConnection(address, PORT, timeout=_LIMIT)
        connection.request("GET", "/%s/%s" % (PATH, token), headers={"Host": domain})
        response = connection.getresponse()
        body = response.read(len(token) + 1)
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in _NO_WAY:
            return None
        reason = getattr(error, "strerror", None) or str(error) or "the connection was closed"
        return "does not answer on port %d: %s" % (PORT, reason.lower())
    if response.status in _REDIRECTS or body == token.encode():
        return ""
    return "is answered by another server, with status %d" % response.status
