# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server shows over TLS whether or not its certificate is trusted: to compare it, or to mention it. Runs on the
targets."""

from __future__ import annotations

import http.client
import socket
import ssl
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

#: Seconds to wait for an answer.
_LIMIT = 5


def certificate_of(address: str, port: int, domain: str) -> bytes:
    """The certificate with which a port answers for a domain, in binary form. Raises OSError."""
    with socket.create_connection((address, port), _LIMIT) as plain:
        with _context().wrap_socket(plain, server_hostname=domain) as connection:
            return connection.getpeercert(binary_form=True) or b""


def clock_of(url: str) -> float | None:
    """What the clock of a web server says, in seconds since 1970; None where it does not say."""
    where = urlsplit(url)
    try:
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port or 443, timeout=_LIMIT, context=_context()
        )
        connection.request("HEAD", where.path or "/")
        said = connection.getresponse().getheader("Date")
        connection.close()
        return parsedate_to_datetime(said or "").timestamp()
    except (OSError, http.client.HTTPException, TypeError, ValueError):
        return None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
