# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels are orders to agents that serve the whole machine: Traefik, caddy-docker-proxy, nginx-proxy, ofelia."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from .boundary import Boundary
from .checks import own_domain, url

_TRAEFIK = re.compile(
    r"traefik\.(?:(?:http|tcp|udp)\.(?:routers|services|middlewares|serverstransports)|tls\.(?:stores|options))"
    r"\.([^.]+)\.",
    re.IGNORECASE,
)
#: Of Traefik 1, where one container may have several, each with a name before ``frontend``.
_FRONTEND = re.compile(r"traefik\.(?:[^.]+\.)?frontend\.rule", re.IGNORECASE)
_CERTIFICATE = re.compile(r"\.tls\.domains\[\d+\]\.(?:main|sans)\Z", re.IGNORECASE)
_COOKIE = re.compile(r"\.cookie\.domain\Z", re.IGNORECASE)
_BACKEND = re.compile(r"\.loadbalancer\.servers?(?:\[\d+\])?\.(?:url|address)\Z", re.IGNORECASE)
_UDP = re.compile(r"traefik\.udp\.routers\.", re.IGNORECASE)

#: A rule's parts: a matcher with its arguments, which may hold the other parts between quotes, an operator, a bracket.
_RULE = re.compile(r"\s*(?:(&&|\|\||[!()])|(\w+)\s*\(((?:`[^`]*`|\"[^\"]*\"|'[^']*'|[^`\"'()])*)\))")
_ARGUMENT = re.compile(r"[\w.*-]+")
_HOST_MATCHERS = frozenset({"host", "hostsni"})

_CADDY = re.compile(r"(caddy(?:_\d+)?)(\..+)?")
_JOBS = re.compile(r"(?:ofelia|chadburn)\.(?:service\Z|job-(?:run|local|service-run)\.)", re.IGNORECASE)


def label(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow all but what makes an agent of the machine act for others, or send their requests here."""
    key, _equals, text = str(value).partition("=")
    agent = _agent_of(key)
    if agent == "traefik":
        return _traefik(key, text, boundary)
    if agent == "caddy":
        return _caddy(key, text, boundary, around)
    if agent:
        return f"{key} has an agent run a command on the machine, outside of the environment's containers"
    return ""


@lru_cache(maxsize=1 << 10)  # a fleet repeats its labels
def _agent_of(key: str) -> str:
    """The agent that a label is an order to; empty if it is none's."""
    lowered = key.lower()
    if lowered.startswith("traefik."):
        return "traefik"
    if lowered.startswith("caddy"):
        return "caddy"
    return "jobs" if _JOBS.match(key) else ""


def host_pattern(text: str, boundary: Boundary) -> str:
    """Say why the host name or pattern for which an agent is to send requests here is not the environment's own."""
    if text.startswith("~") or "*" in text.removeprefix("*."):
        return f"the pattern {text} may match the hosts of others: name each one"
    if text.startswith("*.") and not boundary.owns_domain(text[2:]):
        return f"{text} stands for hosts that are not {boundary.prefix}'s"
    return own_domain(text.removeprefix("*."), boundary, {})


def _traefik(key: str, text: str, boundary: Boundary) -> str:
    named = _TRAEFIK.match(key)
    if named and not boundary.owns_name(named[1].replace("-", "_")) and not boundary.owns_name(named[1]):
        return f"{named[1]} is one name for all that Traefik serves, and does not begin with {boundary.prefix}"
    if _UDP.match(key):
        return "a UDP router has no rule: it takes all that arrives at its entry point"
    if _CERTIFICATE.search(key) or _COOKIE.search(key):
        return _foreign((host.strip().removeprefix("*.").lstrip(".") for host in text.split(",")), boundary)
    if _BACKEND.search(key):
        return url(text, boundary, {})
    if named and key.lower().endswith(".rule"):
        return _rule(text, boundary)
    if _FRONTEND.fullmatch(key):
        return _frontend(text, boundary)
    return ""


def _rule(text: str, boundary: Boundary) -> str:
    parts = _parts(text)
    names = [name.lower() for _operator, name, _arguments in parts]
    if any(name.startswith("host") and name.endswith("regexp") for name in names):
        return "a pattern of hosts may match those of others: name each one with Host"
    hosts = [
        host for _operator, name, said in parts if name.lower() in _HOST_MATCHERS for host in _ARGUMENT.findall(said)
    ]
    if not hosts:
        return "a rule without Host takes the requests of every host"
    if "*" in hosts:
        return "HostSNI(`*`) takes every connection of its entry point"
    return _foreign(hosts, boundary) or (
        "" if _is_confined(parts) else f"{text} also takes requests for other hosts than {hosts[0]}"
    )


def _parts(text: str) -> list[tuple[str, str, str]]:
    """A rule in parts: (operator or bracket, matcher, its arguments), of which either the first or the others are
    empty."""
    return [(match[1] or "", match[2] or "", match[3] or "") for match in _RULE.finditer(text)]


def _is_confined(parts: Sequence[tuple[str, str, str]]) -> bool:
    """Whether a rule asks for a host on each way through it: in every part of an ``||``, and not behind a ``!``."""
    rest = list(parts)

    def either() -> bool:
        found = both()
        while rest and rest[0][0] == "||":
            rest.pop(0)
            found = both() and found
        return found

    def both() -> bool:
        found = single()
        while rest and rest[0][0] == "&&":
            rest.pop(0)
            found = single() or found
        return found

    def single() -> bool:
        if not rest:
            return False
        operator, name, _arguments = rest.pop(0)
        if operator == "!":
            single()
            return False
        if operator == "(":
            found = either()
            if rest and rest[0][0] == ")":
                rest.pop(0)
            return found
        return name.lower() in _HOST_MATCHERS

    return either() and not rest


def _frontend(text: str, boundary: Boundary) -> str:
    matchers = dict(part.strip().partition(":")[::2] for part in text.split(";"))
    if "Host" not in matchers:
        return "a rule without Host takes the requests of every host"
    return _foreign((host.strip() for host in matchers["Host"].split(",")), boundary)


def _foreign(hosts: Iterable[str], boundary: Boundary) -> str:
    """Say which of some hosts is not the environment's own; empty if all are."""
    return next(filter(None, (own_domain(host, boundary, {}) for host in hosts)), "")


def _caddy(key: str, text: str, boundary: Boundary, around: Mapping[str, Any]) -> str:
    block = _CADDY.fullmatch(key.lower())
    if block is None:
        return ""
    if block[2]:
        site = {name.lower(): given for name, given in around.items()}.get(block[1])
        return "" if site else f"{key} without {block[1]} is a setting of Caddy for all that it serves"
    addresses = re.split(r"[,\s]+", text.strip())
    return next(filter(None, (_site(address, boundary) for address in addresses)), "")


def _site(address: str, boundary: Boundary) -> str:
    """Say why an address of Caddy's sites is not the environment's own."""
    if address.startswith("("):
        own = boundary.owns_name(address.strip("()"))
        return "" if own else f"the snippet {address} has one name for all that Caddy serves"
    host = re.sub(r":\d+\Z", "", address.rpartition("://")[2].partition("/")[0])
    if not host:
        return f"{address or 'an empty address'} takes the requests of every host"
    return host_pattern(host, boundary)
