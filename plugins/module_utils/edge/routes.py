# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes of the front door, and the configuration that HAProxy starts with. Pure: texts in, texts out.

All environments are servers of the same two backends, each with weight 0: a connection whose server is missing is
balanced over nobody, and ends. The map leads from a domain to ``server|prefix|connections|rate``, so that one entry
switches all of it at once. Runs on the targets.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.addresses import is_everybody
from ..core.errors import Failure
from . import places

MAP = places.CONFIGURATION + "/domains.map"
SEPARATOR = "|"
#: The backends, which are also the names of the sockets.
BACKENDS = ("http", "https")
#: Largest connections and rate: what fits into HAProxy's counters many times over.
MOST = 1000000

_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_DOMAIN = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z")
#: What stands for the container in the sockets of a relay, of which each node of a swarm has one at a time.
RELAY = "relay"
_SOCKET = re.compile(r"([0-9a-f]{12}|%s)/(https?)\.sock\Z" % RELAY)


class DoorError(Failure):
    """The front door is not there, or does not do what it was told."""


@dataclasses.dataclass(frozen=True)
class Route:
    """Where one environment's domains lead. ``http`` and ``https`` are sockets below its own directory; at most
    ``connections`` at a time and ``rate`` new ones a second get through."""

    prefix: str
    domains: tuple[str, ...]
    http: str
    https: str
    connections: int
    rate: int

    @property
    def container(self) -> str:
        """The container (12 hexadecimal digits) whose sockets these are, or ``relay``."""
        return self.https.partition("/")[0]

    @property
    def server(self) -> str:
        """The name of its server in both backends."""
        return "%s.%s" % (self.prefix, self.container)

    @property
    def entry(self) -> str:
        """What the map says of its domains."""
        return SEPARATOR.join((self.server, self.prefix, str(self.connections), str(self.rate)))

    def socket(self, backend: str) -> str:
        """The address of its server in a backend, as the door sees it."""
        return "unix@%s/%s/%s" % (places.SOCKETS, self.prefix, self.http if backend == "http" else self.https)


@dataclasses.dataclass(frozen=True)
class DoorSettings:
    """What the machine decides. ``connections`` is the most at a time, ``source_connections`` of these from one
    address (of IPv6: one /64); ``trusted`` are networks that must send the PROXY protocol. ``http_meanwhile`` and
    ``https_meanwhile`` are the ports on which the door listens while an environment still has its own (0: none has)."""

    http_port: int = 80
    https_port: int = 443
    addresses: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104 - it is the door to all
    trusted: tuple[str, ...] = ()
    connections: int = 8000
    source_connections: int = 1000
    hello_timeout: int = 5
    idle_timeout: int = 3600
    http_meanwhile: int = 0
    https_meanwhile: int = 0

    @property
    def listens(self) -> dict[str, int]:
        """The ports on which the door listens now, by backend."""
        return {"http": self.http_meanwhile or self.http_port, "https": self.https_meanwhile or self.https_port}


def relay_route(prefix: str, domains: Iterable[str], connections: int, rate: int) -> Route:
    """The route of an environment that is a stack: to the relay of the machine, which leads to the stack's tasks."""
    sockets = {backend: "%s/%s.sock" % (RELAY, backend) for backend in BACKENDS}
    return Route(prefix, tuple(domains), **sockets, connections=connections, rate=rate)


def checked(route: Route) -> Route:
    """The route, if nothing in it could mean anything else to HAProxy. Raises DoorError with all that is wrong."""
    wrong = []
    if not _PREFIX.match(route.prefix):
        wrong.append("prefix %r" % route.prefix)
    names = {"http": _SOCKET.match(route.http), "https": _SOCKET.match(route.https)}
    for backend, name in names.items():
        if not name or name[2] != backend:
            wrong.append(
                "the %s socket, which is not <12 hexadecimal digits>/%s.sock or %s/%s.sock"
                % (backend, backend, RELAY, backend)
            )
    if len({name[1] for name in names.values() if name}) > 1:
        wrong.append("http %r and https %r, which are two containers' sockets" % (route.http, route.https))
    wrong += ["domain %r" % domain for domain in route.domains if len(domain) > 253 or not _DOMAIN.match(domain)]
    if not route.domains or len(set(route.domains)) < len(route.domains):
        wrong.append("domains %r: at least one is needed, and none twice" % (list(route.domains),))
    for counter, value in (("connections", route.connections), ("rate", route.rate)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
            wrong.append("%s %r, which is not a number from 1 to %d" % (counter, value, MOST))
    if wrong:
        raise DoorError("the front door takes no such route of %s: %s" % (route.prefix, "; ".join(wrong)))
    return route


def settings_problems(settings: DoorSettings) -> list[str]:
    """What is wrong with the machine's settings, all of it."""
    wrong = []
    for name, port in (("http", settings.http_port), ("https", settings.https_port)):
        if not 1 <= port <= 65535:
            wrong.append("bulkhead_edge_%s_port: %d is not a port (1 to 65535)" % (name, port))
    if settings.http_port == settings.https_port:
        wrong.append(
            "bulkhead_edge_http_port and bulkhead_edge_https_port are both %d: give each its own" % settings.http_port
        )
    if not settings.addresses:
        wrong.append("bulkhead_edge_addresses is empty: name at least one address to listen on")
    for name, texts, read in (
        ("bulkhead_edge_addresses", settings.addresses, ipaddress.ip_address),
        ("bulkhead_edge_proxy_protocol_from", settings.trusted, ipaddress.ip_network),
    ):
        for text in texts:
            try:
                found = read(text)
            except ValueError as error:
                wrong.append("%s: %s" % (name, error))
                continue
            if isinstance(found, (ipaddress.IPv4Network, ipaddress.IPv6Network)) and is_everybody(found):
                wrong.append("%s: %s is no balancer's network: whoever is in it says who a visitor is" % (name, text))
    for name, value in (
        ("total_connections", settings.connections),
        ("source_connections", settings.source_connections),
        ("hello_timeout", settings.hello_timeout),
        ("idle_timeout", settings.idle_timeout),
    ):
        if not 1 <= value <= MOST:
            wrong.append("bulkhead_edge_%s is not a number from 1 to %d" % (name, MOST))
    return wrong


def render(route: Route) -> bytes:
    """A route as it is kept on disk."""
    return (json.dumps(dataclasses.asdict(route), indent=2, sort_keys=True) + "\n").encode()


def parse(content: bytes, prefix: str) -> Route:
    """The route of a prefix from its file. Raises DoorError where it is anything else."""
    try:
        said: Any = json.loads(content.decode())
        if not isinstance(said["domains"], list) or not all(isinstance(name, str) for name in said["domains"]):
            raise ValueError("domains")
        route = Route(**dict(said, domains=tuple(said["domains"])))
        if not all(isinstance(text, str) for text in (route.prefix, route.http, route.https)):
            raise ValueError("texts")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DoorError("the file of the route of %s is no route. Deploy %s again" % (prefix, prefix)) from error
    if route.prefix != prefix:
        raise DoorError("the file of the route of %s holds that of another prefix. Deploy %s again" % (prefix, prefix))
    return checked(route)


def entries(text: str) -> dict[str, str]:
    """The domains of a map's file, and where each leads."""
    words = [line.split(" ") for line in text.splitlines()]
    return {line[0]: line[1] for line in words if len(line) == 2}


def routes_of(entries: Mapping[str, str]) -> dict[str, Route]:
    """The routes by prefix that a map leads to. An entry that Bulkhead would not write is left out."""
    domains: dict[str, list[str]] = {}
    for domain, entry in entries.items():
        domains.setdefault(entry, []).append(domain)
    found: dict[str, Route] = {}
    for entry, names in domains.items():
        try:
            name, prefix, connections, rate = entry.split(SEPARATOR)
            container = name.rpartition(".")[2]
            sockets = {backend: "%s/%s.sock" % (container, backend) for backend in BACKENDS}
            route = checked(
                Route(prefix, tuple(sorted(names)), **sockets, connections=int(connections), rate=int(rate))
            )
        except (ValueError, DoorError):
            continue
        if route.entry == entry:
            found.setdefault(prefix, route)
    return found


def digest(route: Route) -> str:
    """A fingerprint of everything in a route."""
    return hashlib.sha256(render(dataclasses.replace(route, domains=tuple(sorted(route.domains))))).hexdigest()


def taken(route: Route, others: Iterable[Route]) -> list[str]:
    """What of a route's domains another environment has, worded. A wildcard takes one label."""
    return [
        "%s is %s of %s" % (domain, other_domain, other.prefix)
        for other in sorted(others, key=lambda other: other.prefix)
        if other.prefix != route.prefix
        for domain in route.domains
        for other_domain in other.domains
        if _covers(domain, other_domain) or _covers(other_domain, domain)
    ]


def _covers(one: str, other: str) -> bool:
    return one == other or (one.startswith("*.") and other.partition(".")[2] == one[2:])


def domain_map(routes: Mapping[str, Route]) -> str:
    """The file that leads from domains to servers."""
    return "".join(
        "%s %s\n" % (domain, routes[prefix].entry)
        for prefix in sorted(routes)
        for domain in sorted(routes[prefix].domains)
    )


def _binds(settings: DoorSettings, port: int, options: str) -> str:
    lines = []
    for text in settings.addresses:
        address = ipaddress.ip_address(text)
        only = " v6only" if address.version == 6 else ""
        lines.append("    bind ipv%d@%s:%d%s%s\n" % (address.version, address, port, only, options))
    return "".join(lines)


def listened(configuration: str) -> frozenset[int]:
    """The ports of :func:`configuration`."""
    return frozenset(map(int, re.findall(r"^    bind ipv[46]@\S+:(\d+)", configuration, re.M)))


def _trusted(settings: DoorSettings) -> str:
    networks = [str(ipaddress.ip_network(text)) for text in settings.trusted]
    return "    tcp-request connection expect-proxy layer4 if { src %s }\n" % " ".join(networks) if networks else ""


def _lookup(verb: str, name: str) -> str:
    """Rules that find a name in the map, or the wildcard that takes its first label's place."""
    lines = [
        "set-var(txn.entry) %s,map_str(%s)" % (name, MAP),
        "set-var(txn.entry) %s,regsub(^[^.]+,*),map_str(%s) unless { var(txn.entry) -m found }" % (name, MAP),
        "reject unless { var(txn.entry) -m found }",
    ]
    for number, field in enumerate(("server", "prefix", "connections", "rate"), start=1):
        lines.append("set-var(txn.%s) var(txn.entry),field(%d,%s)" % (field, number, SEPARATOR))
    lines += [
        "track-sc1 var(txn.prefix) table environments",
        "%s if { sc_conn_cur(1),sub(txn.connections) gt 0 } or { sc_conn_rate(1),sub(txn.rate) gt 0 }"
        % ("reject" if verb == "tcp-request content" else "deny deny_status 429"),
    ]
    return "".join("    %s %s\n" % (verb, line) for line in lines)


_CONFIGURATION = """# Written by Bulkhead from the machine's settings and the environments' routes; changes are lost.
global
    log stdout format raw local0 notice
    node %(node)s
    maxconn %(connections)d
    hard-stop-after 10m
    uid %(user)d
    gid %(user)d
    stats socket %(admin)s mode 600 level admin expose-fd listeners
    stats timeout 30s
    # Browsers' hellos have up to 16 KB, and none may be cut.
    tune.bufsize 32768

defaults
    log global
    option dontlognull
    timeout connect 5s
    timeout queue 5s
    timeout client %(idle)ds
    timeout server %(idle)ds
    timeout tunnel %(idle)ds
    timeout client-fin 30s
    # A client that is gone is waited for no longer: the environment would still be counted its connection.
    timeout server-fin 5s
    timeout http-request %(hello)ds
    timeout http-keep-alive 15s
    retries 2

# Addresses and environments that are counted. What is in use is never purged.
backend sources
    stick-table type ipv6 size 100k expire 1m store conn_cur

backend environments
    stick-table type string len 64 size 1k expire 1m store conn_cur,conn_rate(1s)

frontend https
    mode tcp
%(https_binds)s%(trusted)s    tcp-request session track-sc0 src,ipmask(32,64) table sources
    tcp-request session reject if { sc_conn_cur(0) gt %(source)d }
    tcp-request inspect-delay %(hello)ds
    tcp-request content reject unless { req.ssl_hello_type 1 }
%(by_sni)s    default_backend https

frontend http
    mode http
    # An answer of the door's own would say that it is there.
    errorfile 400 /dev/null
    errorfile 408 /dev/null
%(http_binds)s%(trusted)s    tcp-request session track-sc0 src,ipmask(32,64) table sources
    tcp-request session reject if { sc_conn_cur(0) gt %(source)d }
    http-request reject if HTTP_1.0
    http-request reject unless { req.hdr_cnt(host) eq 1 }
%(by_host)s    default_backend http
"""

_BACKEND = """
backend %(name)s
    mode %(mode)s
    balance roundrobin
    no option redispatch
%(options)s    use-server %%[var(txn.server)] if { var(txn.server) -m found }
"""


def configuration(
    routes: Mapping[str, Route], settings: DoorSettings, admin: str, node: str = "door", user: int = 99
) -> str:
    """What HAProxy starts with: it has all routes before it takes a connection.

    ``admin`` is the admin socket as the door sees it, ``node`` how it is told from an earlier one that still ends its
    connections, ``user`` whom it works for once its ports are open.
    """
    text = _CONFIGURATION % {
        "connections": settings.connections,
        "source": settings.source_connections,
        "hello": settings.hello_timeout,
        "idle": settings.idle_timeout,
        "user": user,
        "node": node,
        "admin": admin,
        "trusted": _trusted(settings),
        "https_binds": _binds(settings, settings.listens["https"], ""),
        "http_binds": _binds(settings, settings.listens["http"], " proto h1"),
        "by_sni": _lookup("tcp-request content", "req.ssl_sni,lower"),
        "by_host": _lookup("http-request", "req.hdr(host),host_only,lower"),
    }
    for name in BACKENDS:
        web = name == "http"
        text += _BACKEND % {
            "name": name,
            "mode": "http" if web else "tcp",
            # A connection is one client's: the address in front of it is said once.
            "options": "    http-reuse never\n" if web else "",
        }
        for prefix in sorted(routes):
            text += "    server %s %s\n" % (routes[prefix].server, server(routes[prefix], name))
    return text


def server(route: Route, backend: str) -> str:
    """A server's address and options, in the configuration and for ``add server``."""
    return "%s send-proxy-v2 weight 0" % route.socket(backend)
