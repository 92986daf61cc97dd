# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One spelling for each host and text, as whatever reads it would: a resolver, a browser, a driver.

``172.17.1``, ``2886795265``, ``0xac.17.0.1`` and ``::ffff:172.17.0.1`` are all 172.17.0.1 to the C library, and
``eduaiia%2Ecom`` is ``eduaiia.com`` to whatever takes a URL apart.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+", re.IGNORECASE)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
#: Dots of other scripts, at which a host name is split as well.
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))
#: IPv4 addresses behind a translator (RFC 6052).
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def as_read(text: str) -> str:
    """A text without what hides a name in it: escapes of URLs, and letters that are others in another width."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_DOTS))
    return unquote(text) if "%" in text and _ESCAPE.search(text) else text


@lru_cache(maxsize=1 << 16)
def canonical_host(text: str) -> str:
    """A host name in small letters and without a last dot, or an address in its shortest form; a path stays as it
    is."""
    host = text.strip()
    if host.startswith("/"):
        return host
    host = as_read(host).strip("[]").lower()
    if ":" in host:
        return _version_6(host)
    return _numeric(host) or host.rstrip(".")


def is_disguised(host: str) -> bool:
    """Whether a host is an IPv4 address, or meant as one, that is not written as four numbers."""
    parts = host.strip("[]").lower().split(".")
    return all(map(_NUMBER.fullmatch, parts)) and canonical_host(host) != host


def _version_6(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _TRANSLATED:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return str(inner or address)


def _numeric(host: str) -> str:
    """The address that ``inet_aton`` reads; empty for a name. A single number may be a name as well, if it is small."""
    parts = host.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return ""
    try:
        *first, last = (int(part, 16 if "x" in part else 8 if part.startswith("0") else 10) for part in parts)
    except ValueError:  # 09 is no number
        return ""
    room = 8 * (4 - len(first))
    if any(number > 0xFF for number in first) or last >= 1 << room or (not first and last < 1 << 24):
        return ""
    value = last + sum(number << (24 - 8 * place) for place, number in enumerate(first))
    return str(ipaddress.IPv4Address(value))
