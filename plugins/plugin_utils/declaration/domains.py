# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Host names: what an environment may answer for, and what to write instead of what is not one."""

from __future__ import annotations

import re
from typing import Any

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\Z")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@\s]*@)?([^/:?#\s]*)")


def domain_problem(value: Any) -> str:
    """What is wrong with a domain, as a predicate that says what to write instead; empty if nothing is."""
    if not isinstance(value, str):
        return "is not text: put it into quotes"
    if _HOST.match(value):
        return ""
    url = _URL.match(value)
    if url and _is_host(url[1]):
        return f"is a URL, and a domain is a host name alone: write {_simple(url[1])}"
    host, colon, port = value.partition(":")
    if colon and port.isdigit() and _is_host(host):
        return f"has a port: write {_simple(host)} here, and the port as bulkhead_http_port or bulkhead_https_port"
    host, slash, _path = value.partition("/")
    if slash and _is_host(host):
        return f"has a path, and a domain is a host name alone: write {_simple(host)}"
    plain = _simple(value)
    if plain != value and _is_host(value):
        if not value.isascii():
            return f"is not ASCII: write {plain}, which is the same name as DNS has it"
        if value.lower() == plain:
            return f"has upper-case letters: write {plain}"
        return f"ends with a dot: write {plain}"
    return "is not a host name: it has labels of letters, digits and '-', separated by dots"


def _is_host(text: str) -> bool:
    return _HOST.match(_simple(text)) is not None


def _simple(host: str) -> str:
    """A host name as DNS has it: lower case, ASCII, without the last dot. As it is where that cannot be said."""
    text = host.lower().removesuffix(".")
    try:
        return text.encode("idna").decode("ascii") if not text.isascii() else text
    except UnicodeError:
        return text
