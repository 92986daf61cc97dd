# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The meaning of an nginx configuration: its servers, their upstreams, and the resulting claims."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...model import WORLD, Claim, Directive, Reference, Where
from ...numbers import number_of

#: Directives that pass a request to another server.
PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass")

_DEFAULT_PORTS = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443, "memcached": 11211}
_TARGET = re.compile(r"^(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[^\]]+\]|[^:/?#\s]+)(?::(?P<port>\d+))?(?:[/?#].*)?$")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Listen:
    """A ``listen``: an address (empty for all), a port, and its parameters."""

    address: str
    port: int
    flags: frozenset[str]
    where: Where

    @property
    def tls(self) -> bool:
        """Whether this socket speaks TLS."""
        return bool(self.flags & {"ssl", "quic"})

    @property
    def default(self) -> bool:
        """Whether it is the explicit default server of its socket."""
        return bool(self.flags & {"default_server", "default"})


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """A ``server`` of ``http``."""

    directive: Directive
    listens: tuple[Listen, ...]
    names: tuple[str, ...]
    names_where: Where

    @property
    def where(self) -> Where:
        """Where the block begins."""
        return self.directive.where

    def rejects(self) -> bool:
        """Whether the server refuses every request: it rejects the handshake or returns an error."""
        block = self.directive.block or ()
        if any(item.name == "ssl_reject_handshake" and item.args[:1] == ("on",) for item in block):
            return True
        return any(item.name == "return" and re.fullmatch(r"4\d\d|5\d\d", (item.args or ("",))[0]) for item in block)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The target of a ``*_pass``. A ``static`` one is resolved only once, when nginx starts."""

    host: str
    port: int | None
    static: bool
    where: Where
    server_names: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """``host`` or ``host:port``."""
        return f"{self.host}:{self.port}" if self.port else self.host


def all_directives(directives: Iterable[Directive]) -> Iterator[Directive]:
    """Yield every directive at any depth."""
    return (item for directive in directives for item in directive.walk())


def servers(directives: Iterable[Directive]) -> list[ServerBlock]:
    """The servers of ``http``, in nginx's order."""
    blocks: list[ServerBlock] = []
    for directive in directives:
        if directive.name == "http":
            blocks.extend(servers(directive.block or ()))
        elif directive.name == "server" and directive.block is not None:
            blocks.append(_server(directive))
    return blocks


def _server(directive: Directive) -> ServerBlock:
    listens = tuple(filter(None, (_listen(item) for item in directive.find("listen"))))
    named = list(directive.find("server_name"))
    names = tuple(name if name.startswith("~") else name.lower() for item in named for name in item.args)
    return ServerBlock(
        directive,
        listens or (Listen("", 80, frozenset(), directive.where),),
        names,
        named[0].where if named else directive.where,
    )


def _listen(directive: Directive) -> Listen | None:
    if not directive.args or directive.args[0].startswith("unix:"):
        return None
    spot, flags = directive.args[0], frozenset(directive.args[1:])
    if spot.isdecimal():
        return Listen("", number_of(spot), flags, directive.where)
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?", spot)
    if match is None:
        return None
    address = "" if match[1] in ("*", "0.0.0.0", "[::]") else match[1]
    return Listen(address, number_of(match[2] or "80"), flags, directive.where)


def upstreams(directives: Sequence[Directive]) -> list[Upstream]:
    """Every target that a request may be passed to, resolving ``upstream`` blocks, ``set`` and ``map``."""
    everything = list(all_directives(directives))
    pools = {
        item.args[0]: [child for child in item.block if child.name == "server" and child.args]
        for item in everything
        if item.name == "upstream" and item.block and item.args
    }
    values = _values(everything)
    targets: list[Upstream] = []

    def visit(items: Iterable[Directive], names: tuple[str, ...]) -> None:
        for item in items:
            if item.name == "server" and item.block:
                visit(item.block, _server(item).names)
            elif item.block:
                visit(item.block, names)
            elif item.name in PASSES and item.args:
                targets.extend(_targets(item, names, pools, values))

    visit(directives, ())
    return targets


def _values(directives: Iterable[Directive]) -> dict[str, list[tuple[str, Where]]]:
    """The values that ``set`` and ``map`` may assign to each variable."""
    values: dict[str, list[tuple[str, Where]]] = {}
    for item in directives:
        if item.name == "set" and len(item.args) == 2:
            values.setdefault(item.args[0].strip("${}"), []).append((item.args[1], item.where))
        elif item.name == "map" and len(item.args) == 2 and item.block:
            values.setdefault(item.args[1].strip("${}"), []).extend(
                (child.args[0], child.where) for child in item.block if len(child.args) == 1
            )
    return values


def _targets(
    item: Directive,
    names: tuple[str, ...],
    pools: dict[str, list[Directive]],
    values: dict[str, list[tuple[str, Where]]],
) -> Iterator[Upstream]:
    scheme = item.name.partition("_")[0].replace("proxy", "http")
    for text, where, static in _expanded(item.args[0], item.where, values):
        address = _split(text, scheme)
        if address is None:
            continue
        host, port, explicit = address
        if host in pools and not explicit:
            for server in pools[host]:
                inner = _split(server.args[0], scheme)
                if inner is not None:
                    static_member = not any(flag == "resolve" for flag in server.args[1:])
                    yield Upstream(inner[0], inner[1], static_member, server.where, names)
        else:
            yield Upstream(host, port, static, where, names)


def _expanded(text: str, where: Where, values: dict[str, list[tuple[str, Where]]]) -> Iterator[tuple[str, Where, bool]]:
    """Yield a target with its first variable replaced by each possible value. One level is enough in practice."""
    variable = _VARIABLE.search(text)
    path = text.find("/", text.find("://") + 3 if "://" in text else 0)
    if variable is None or (path != -1 and variable.start() > path):
        yield text, where, True
        return
    if variable[1] not in values and re.search(r":\d+$", text[: variable.start()]):
        yield text[: variable.start()], where, False  # http://web:8000$request_uri
    for value, place in values.get(variable[1], ()):
        # Further variables are in the port or path, not in the host name.
        yield text[: variable.start()] + value + text[variable.end() :], place, False


#: Variables that begin with a slash or a question mark, so that what follows a host's name cannot prolong it.
_BEHIND_THE_HOST = re.compile(r"\$\{?(?:request_uri|uri|document_uri|is_args)\b.*\Z", re.DOTALL)
#: The host of a target, with the variables in it.
_HOST = re.compile(r"(?:[a-z]+://)?(?P<host>[^:/?#\s]*)")
#: How deep variables that are set from variables are followed.
_DEPTH = 4


def undecided(directives: Iterable[Directive]) -> Iterator[tuple[str, Where]]:
    """Yield each target of a ``*_pass`` in whose host is a variable without a fixed value by ``set`` or ``map``."""
    everything = list(all_directives(directives))
    values = {name: [text for text, _where in given] for name, given in _values(everything).items()}
    for item in everything:
        if item.name in PASSES and item.args and not _is_decided(item.args[0], values, _DEPTH):
            yield item.args[0], item.where


def _is_decided(text: str, values: Mapping[str, Sequence[str]], depth: int) -> bool:
    host = _HOST.match(_BEHIND_THE_HOST.sub("", text))
    variable = _VARIABLE.search(host["host"]) if host else None
    if variable is None:
        return True
    given = values.get(variable[1], ()) if depth else ()
    return bool(given) and all(_is_decided(text.replace(variable[0], value, 1), values, depth - 1) for value in given)


def _split(text: str, scheme: str) -> tuple[str, int | None, bool] | None:
    if text.startswith("unix:") or "://unix:" in text:
        return None
    match = _TARGET.match(text)
    if match is None or "$" in match["host"]:
        return None
    host = match["host"].strip("[]").lower()
    default = _DEFAULT_PORTS.get(match["scheme"] or scheme)
    port = number_of(match["port"]) if match["port"] else default
    return host, port, match["port"] is not None


def claims_nginx(directives: Sequence[Directive], *, owner: str, machine: str) -> tuple[list[Claim], list[Reference]]:
    """The domains that an environment's nginx answers for, and the upstreams that it points at."""
    del machine  # domains are unique worldwide
    seen: dict[str, tuple[Where, dict[int, bool]]] = {}
    for server in servers(directives):
        if server.rejects():
            continue
        for name in server.names:
            if name in ("_", "", "localhost") or ("$" in name and not name.startswith("~")):
                continue
            ports = seen.setdefault(name, (server.names_where, {}))[1]
            for listen in server.listens:
                ports[listen.port] = ports.get(listen.port, False) or listen.tls
    claims = [
        Claim(
            "domain",
            WORLD,
            name,
            owner,
            where,
            attributes={
                "ports": tuple(sorted(ports)),
                "port": min(ports),
                "https": any(ports.values()),
                "pattern": is_pattern(name),
            },
        )
        for name, (where, ports) in seen.items()
    ]
    references = [
        Reference(
            "upstream",
            upstream.target,
            owner,
            upstream.where,
            {
                "host": upstream.host,
                "port": upstream.port,
                "static": upstream.static,
                "server_names": upstream.server_names,
            },
        )
        for upstream in upstreams(directives)
    ]
    references += [
        Reference("include", item.args[0], owner, item.where)
        for item in all_directives(directives)
        if item.name == "include" and item.args
    ]
    return claims, references


def is_pattern(name: str) -> bool:
    """Whether a ``server_name`` matches more than one name."""
    return name.startswith(("~", ".", "*")) or name.endswith("*")
