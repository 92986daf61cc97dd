# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How requests reach an environment: domains, ports, certificate, and the container that answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..isolation.errors import ReaderError
from ..isolation.model import Directive
from ..isolation.readers.nginx.parser import read_nginx
from .model import Container, Handmade

_DOMAIN = re.compile(r"(?=.{4,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+\Z")
_TARGET = re.compile(r"(?:https?://)?([A-Za-z0-9_.-]+)(?::(\d+))?")
#: What the nginx of the default stack has by itself, or what only says how a server answers.
_KNOWN = frozenset(
    """listen server_name ssl_certificate ssl_certificate_key proxy_pass proxy_set_header proxy_http_version server
    location upstream root alias return include index access_log error_log keepalive client_max_body_size
    proxy_read_timeout proxy_send_timeout proxy_connect_timeout ssl_protocols ssl_ciphers add_header try_files
    ssl_session_cache ssl_session_timeout ssl_prefer_server_ciphers server_tokens gzip gzip_types expires sendfile
    keepalive_timeout default_type types http events user worker_processes pid map resolver http2 ssl_dhparam
    tcp_nopush tcp_nodelay types_hash_max_size worker_connections gzip_vary gzip_proxied gzip_comp_level
    proxy_redirect proxy_buffering charset if set log_format deny allow""".split()  # noqa: SIM905
)


@dataclass
class Web:
    """What nginx says. ``target`` is the host and port that it sends requests to."""

    domains: list[str] = field(default_factory=list)
    certificate: str = ""
    key: str = ""
    target: tuple[str, int] = ("", 0)
    body_size: str = ""
    others: list[str] = field(default_factory=list)


def web_of(own: Handmade, files: Sequence[Mapping[str, Any]]) -> Web:
    """What the environment's own nginx says; of an environment without one, what the machine's says of its ports."""
    found = Web()
    nginx = own.part("nginx")
    published = {port["published"] for container in own.containers for port in container.seen["ports"]}
    if nginx:
        binds = [mount["source"] for mount in nginx.seen["mounts"] if mount["type"] == "bind"]
        texts = [file for file in files if file["kind"] == "nginx" and any(map(file["path"].startswith, binds))]
    else:
        texts = [file for file in files if file["kind"] == "machine-nginx"]
    for file in texts:
        if file["problem"]:
            own.say(
                f"{file['path']} could not be read ({file['problem']}), so what nginx does by it is not known here."
            )
            continue
        try:
            directives = read_nginx(file["text"], file["path"])
        except ReaderError as error:
            own.say(
                f"{file['path']}:{error.line or 1} is not nginx's configuration as it is read here: {error.message}"
            )
            continue
        for server in _servers(directives):
            target = _target(server, directives)
            if nginx or (target[0] in ("127.0.0.1", "localhost") and str(target[1]) in published):
                _take(found, own, nginx, server, target)
    if not nginx and found.domains:
        own.say(
            f"The machine's own nginx answers for {', '.join(found.domains)} and sends requests to port "
            f"{found.target[1]} of {own.prefix}. It belongs to no environment: it stays as it is, and Bulkhead neither "
            "writes nor proves its files. It goes on to answer with 502 while nothing is behind it."
        )
    if found.others:
        own.say(
            f"nginx of {own.prefix} also has {', '.join(sorted(set(found.others)))}. Bulkhead's nginx has none of it: "
            "add what is still needed to bulkhead_nginx_server or bulkhead_nginx_locations."
        )
    return found


def application(own: Handmade, web: Web) -> Container | None:
    """The container that answers requests: nginx sends them to it, or else it is published, or the first one."""
    apps = list(own.parts("app"))
    asked = [container for container in apps if web.target[0] in container.hosts]
    published = [container for container in apps if container.seen["ports"]]
    return next(iter([*asked, *published, *apps]), None)


def _take(found: Web, own: Handmade, nginx: Container | None, server: Directive, target: tuple[str, int]) -> None:
    for directive in _all(server.block):
        name, words = directive.name, directive.args
        if name == "server_name":
            for word in words:
                if _DOMAIN.match(word.lower()) and word.lower() not in found.domains:
                    found.domains.append(word.lower())
                elif word not in ("_", "localhost", "") and not _DOMAIN.match(word.lower()):
                    own.say(
                        f"nginx of {own.prefix} answers for {word}, which is no host name; bulkhead_domains has names "
                        "only."
                    )
        elif name in ("ssl_certificate", "ssl_certificate_key") and words:
            path = words[0] if nginx is None else nginx.on_machine(words[0])
            if not path:
                own.say(
                    f"The certificate {words[0]} of {own.prefix} lies in a volume or in the image of "
                    f"{nginx and nginx.name}: "
                    "copy it to a directory of the machine and set bulkhead_tls_certificate_path and "
                    "bulkhead_tls_key_path, or set bulkhead_acme."
                )
            elif name == "ssl_certificate":
                found.certificate = found.certificate or path
            else:
                found.key = found.key or path
        elif name == "client_max_body_size" and words:
            found.body_size = words[0]
        elif name not in _KNOWN:
            found.others.append(f"{name} ({directive.where.file.rpartition('/')[2]}:{directive.where.line})")
    if target[0] and not found.target[0]:
        found.target = target


def _target(server: Directive, every: Sequence[Directive]) -> tuple[str, int]:
    """Where a server sends requests: the host and the port of its first ``proxy_pass``, upstreams resolved."""
    upstreams = {
        directive.args[0]: next(
            (line.args[0] for line in directive.block or () if line.name == "server" and line.args), ""
        )
        for directive in _all(every)
        if directive.name == "upstream" and directive.args
    }
    values = {line.args[0]: line.args[1] for line in _all(server.block) if line.name == "set" and len(line.args) > 1}
    for directive in _all(server.block):
        if directive.name == "proxy_pass" and directive.args:
            text = directive.args[0]
            for name, value in values.items():
                text = text.replace(name, value)
            match = _TARGET.match(text)
            if match:
                behind = upstreams.get(match[1])
                match = _TARGET.match(behind) if behind else match
                if match:
                    return match[1], int(match[2] or 80)
    return "", 0


def _servers(directives: Sequence[Directive]) -> Iterator[Directive]:
    for directive in _all(directives):
        if directive.name == "server" and directive.block:
            yield directive


def _all(directives: Sequence[Directive] | None) -> Iterator[Directive]:
    return (below for directive in directives or () for below in directive.walk())
