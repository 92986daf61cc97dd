# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse Compose's short forms and units: ports, volumes, commands, durations, sizes."""

from __future__ import annotations

import ipaddress
import math
import posixpath
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ...errors import ReaderError
from ...numbers import number_of

_PROPAGATION = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_SIZE = re.compile(r"(\d+(?:\.\d+)*) ?([kKmMgGtTpP])?[iI]?[bB]?\Z")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def compose_text(value: Any) -> str:
    """A scalar as the string that Compose makes of it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return str(value)


def _float_text(value: float) -> str:
    """A float in its shortest form, with an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    number = Decimal(repr(value)).normalize()
    exponent = number.adjusted()
    if value and not -4 <= exponent < 6:
        return f"{number.scaleb(-exponent):f}e{exponent:+03d}"
    return f"{number:f}"


def parse_ports(text: str) -> list[dict[str, Any]]:
    """Parse the short form of a port into long forms, one for each container port of a range."""
    head, _unused, container = text.rpartition(":")
    address, _unused, host = head.rpartition(":")
    container, slash, protocol = container.partition("/")
    if not container or (slash and "/" in protocol):
        raise _bad(f"no port specified: {text!r}")
    protocol = (protocol or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise _bad(f"invalid protocol of port {text!r}")
    address = _address(address, text)
    first, last = port_range(container, text)
    if first == 0:
        raise _bad(f"port {text!r} is missing a target port")
    host_first, host_last = port_range(host, text) if host else (0, 0)
    if host and last - first != host_last - host_first and first != last:
        raise _bad(f"ports of {text!r}: the two ranges differ in length")
    entries = []
    for offset in range(last - first + 1):
        published = str(host_first + offset) if host else ""
        if host and first == last and host_first != host_last:
            published = f"{host_first}-{host_last}"
        entry: dict[str, Any] = {"mode": "ingress", "target": first + offset, "protocol": protocol}
        if address:
            entry["host_ip"] = address
        if published:
            entry["published"] = published
        entries.append(entry)
    return sorted(entries, key=lambda entry: f"{entry['target']}/{protocol}")


def _address(text: str, whole: str) -> str:
    if not text:
        return ""
    bracketed = text.startswith("[") and text.endswith("]")
    address = text[1:-1] if bracketed else text
    if ":" in address and not bracketed:
        raise _bad(f"invalid address in port {whole!r}")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise _bad(f"invalid address in port {whole!r}") from None
    return address


def port_range(text: str, whole: str = "") -> tuple[int, int]:
    """The first and last port of ``80`` or ``80-82``. Raises :class:`ReaderError` for anything else."""
    low, dash, high = text.partition("-")
    if not low.isdecimal() or (dash and not high.isdecimal()):
        raise _bad(f"invalid port {whole or text!r}")
    first, last = number_of(low), number_of(high) if dash else number_of(low)
    if first > last or last > 65535:
        raise _bad(f"invalid port {whole or text!r}")
    return first, last


def parse_volume(spec: str) -> dict[str, Any]:
    """Parse the short form of a mount."""
    if not spec:
        raise _bad("invalid empty volume")
    volume: dict[str, Any] = {}
    if len(spec) <= 2:
        return {"type": "volume", "target": spec}
    bind: dict[str, Any] = {}
    options: dict[str, Any] = {}
    sections = _sections(spec)
    if any(not section for section in sections):
        raise _bad(f"invalid volume {spec!r}: empty section between colons")
    if len(sections) == 1:
        volume["target"] = sections[0]
    else:
        volume["source"], volume["target"] = sections[:2]
        if len(sections) > 3:
            raise _bad(f"invalid volume {spec!r}: too many colons")
        for option in sections[2].split(",") if len(sections) == 3 else ():
            if option in ("ro", "rw"):
                volume["read_only"] = option == "ro"
            elif option == "nocopy":
                options["nocopy"] = True
            elif option in _PROPAGATION:
                bind["propagation"] = option
            elif option in ("z", "Z"):
                bind["selinux"] = option
    if _is_path(volume.get("source", "")):
        volume["type"] = "bind"
        volume["bind"] = {**bind, "create_host_path": True}
    else:
        volume["type"] = "volume"
        volume["volume"] = options
        if bind:
            volume["bind"] = bind
    volume["target"] = posixpath_clean(volume["target"])
    return volume


def _sections(spec: str) -> list[str]:
    """Split at colons, but not after the letter of a Windows drive."""
    sections: list[str] = []
    current = ""
    for character in spec:
        if character == ":" and not (len(current) == 1 and current.isalpha()):
            sections.append(current)
            current = ""
        else:
            current += character
    return [*sections, current]


def _is_path(source: str) -> bool:
    if not source:
        return False
    return source[0] in "./~" or source.startswith("\\\\") or (source[1:2] == ":" and source[0].isalpha())


def posixpath_clean(path: str) -> str:
    """Go's ``path.Clean``: shortest equal path, ``.`` for nothing, no double slash at the start."""
    cleaned = posixpath.normpath(path) if path else "."
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def parse_command(text: str) -> list[str]:
    """A command line as its words, as Compose splits it: quotes and backslashes, no variables, no shell.

    It ends at the first ``;``, ``&``, ``|``, ``<`` or ``>`` outside quotes, which only a shell would know.
    """
    words: list[str] = []
    word = ""
    begun = escaped = False
    quote = ""
    for character in text:
        if escaped:
            word, escaped, begun = word + character, False, True
        elif character == "\\" and quote != "'":
            escaped = True
        elif character in " \t\r\n" and not quote:
            if begun:
                words.append(word)
            word, begun = "", False
        elif character in "'\"" and quote in ("", character):
            quote, begun = ("", True) if quote else (character, begun)
        elif quote in ("'", '"'):
            word, begun = word + character, True
        elif character in ";&|<>" and not quote:
            begun = begun and not (character == ">" and word[:1].isdigit())
            break
        elif character in "`()" and quote in ("", "`", ")"):
            quote = _shell_quote(character, quote, word)
            word, begun = word + character, True
        else:
            word, begun = word + character, True
    if quote or escaped:
        raise _bad("invalid command line: a quote or bracket has no counterpart")
    return [*words, word] if begun else words


def _shell_quote(character: str, quote: str, word: str) -> str:
    """What is open after a backtick or a bracket: the splitter keeps such a substitution in one word."""
    if character == "`":
        return {"": "`", "`": ""}.get(quote, quote)
    if quote == "`":
        return quote
    if character == ")":
        return "" if quote else ")"
    if quote or not word.endswith("$"):
        raise _bad("invalid command line: a quote or bracket has no counterpart")
    return ")"


def parse_size(value: Any) -> int:
    """The bytes in a size such as ``64m``."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _bad(f"invalid size {value!r}")
    return value if isinstance(value, int) else _parse_size(value)


@lru_cache(maxsize=1 << 10)  # a fleet has few sizes
def _parse_size(value: str) -> int:
    match = _SIZE.match(value)
    if not match or match[1].count(".") > 1:
        raise _bad(f"invalid size {value!r}")
    size = float(match[1]) * 1024 ** _POWERS[(match[2] or "").lower()]
    if math.isinf(size):
        raise _bad(f"invalid size {value[:20]}…")
    return int(size)


def parse_duration(value: Any) -> int:
    """The nanoseconds in a duration such as ``1m30s``."""
    text = compose_text(value)
    sign = -1 if text.startswith("-") else 1
    rest = text.lstrip("+-")
    if rest == "0":
        return 0
    total = 0.0
    position = 0
    while position < len(rest):
        match = _DURATION.match(rest, position)
        if not match:
            raise _bad(f"invalid duration {text!r}")
        total += float(match[1]) * _NANOSECONDS[match[2]]
        position = match.end()
    if not rest:
        raise _bad("invalid empty duration")
    if math.isinf(total):
        raise _bad(f"invalid duration {text[:20]}…")
    return sign * round(total)


def duration_text(nanoseconds: int) -> str:
    """Nanoseconds as Compose prints them: ``1m30s``."""
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    left = abs(nanoseconds)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if left < size * 1000:
            return f"{sign}{_decimal(left, size)}{unit}"
    hours, left = divmod(left, 3600 * 10**9)
    minutes, left = divmod(left, 60 * 10**9)
    text = f"{_decimal(left, 10**9)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return sign + (f"{hours}h{text}" if hours else text)


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    digits = str(part).rjust(len(str(size)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _bad(message: str) -> ReaderError:
    return ReaderError(message, rule="not-compose")
