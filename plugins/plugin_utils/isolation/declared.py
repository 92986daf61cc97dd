# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment says by its variables alone: what it shares, and which users and files of the machine it uses."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from .model import Claim, Environment

#: The variables that name a user of the machine, and what that user does.
_USERS = {"bulkhead_owner": "owner", "bulkhead_backup_copy_user": "command"}

#: The variables of files that hold certificates and nothing else.
_CA_BUNDLES = ("bulkhead_build_ca_bundle", "bulkhead_acme_ca_bundle")

#: The variables that name a file of the machine which root reads for an environment.
READ_AS_ROOT = (*_CA_BUNDLES, "bulkhead_tls_certificate_path", "bulkhead_tls_key_path")

#: Where a machine keeps the certificates of authorities that everybody trusts.
_AUTHORITIES = ("/etc/ssl/certs/", "/etc/pki/", "/usr/share/ca-certificates/", "/usr/local/share/ca-certificates/")


def declared_shares(environment: Environment) -> Iterator[tuple[str, str]]:
    """Yield the (kind, name) of each entry of ``bulkhead_shared``."""
    declared = environment.variables.get("bulkhead_shared")
    for entry in declared if isinstance(declared, list) else ():
        if isinstance(entry, Mapping):
            yield str(entry.get("kind")), str(entry.get("name"))


def adopted_volumes(environment: Environment) -> dict[str, str]:
    """The volumes that were there before the environment (``bulkhead_adopted_volumes``): key in the stack, name."""
    declared = environment.variables.get("bulkhead_adopted_volumes")
    found = declared.items() if isinstance(declared, Mapping) else ()
    return {str(key): name for key, name in found if isinstance(name, str) and name}


def claims_declared(environment: Environment) -> Iterator[Claim]:
    """The claims on users, on volumes that are taken over, and on files of the machine that root reads; ``shared`` says
    that they are declared so."""
    for key, volume in adopted_volumes(environment).items():
        yield _claim(environment, "bulkhead_adopted_volumes", "volume", volume, volume=key, adopted=True)
    shared = {name for kind, name in declared_shares(environment) if kind == "path"}
    for variable, kind in _USERS.items():
        name = environment.variables.get(variable)
        if isinstance(name, str) and name:
            yield _claim(environment, variable, "user", name, kind=kind)
    for variable in READ_AS_ROOT:
        path = environment.variables.get(variable)
        if not isinstance(path, str) or not path.startswith("/"):
            continue
        path = posixpath.normpath(path)
        if not (variable in _CA_BUNDLES and path.startswith(_AUTHORITIES)):
            yield _claim(environment, variable, "path", path, kind="read", read_only=True, shared=path in shared)


#: Where a machine keeps its state unless an inventory names another directory, and the sockets behind its front door.
STATE, _SOCKETS = "/var/lib/bulkhead", "/run/bulkhead/edge"


def sockets_directory(prefix: str, state: str = "") -> str:
    """The directory on the machine in which an environment's nginx has its sockets for the front door."""
    state = posixpath.normpath(state) if state else STATE
    return f"{_SOCKETS if state == STATE else f'{state}/edge/sockets'}/{prefix}"


def own_sockets(environment: Environment) -> str:
    """The directory of an environment's sockets, if it is behind the front door; else empty."""
    if environment.variables.get("bulkhead_edge") is not True:
        return ""
    state = environment.variables.get("bulkhead_state_directory")
    return sockets_directory(environment.prefix, state if isinstance(state, str) else "")


def is_routed(environment: Environment) -> bool:
    """Whether requests reach an environment through the machine's front door."""
    return any(claim.namespace == "route" for claim in environment.claims)


def claims_routes(environment: Environment) -> Iterator[Claim]:
    """A claim for each domain that the machine's front door sends to the environment."""
    ports = {"http": environment.http_port or 80, "https": environment.https_port or 443}
    where = environment.origin("bulkhead_domains")
    for domain in environment.domains if own_sockets(environment) else ():
        yield Claim("route", environment.machine, domain, environment.prefix, where, False, ports)


def _claim(environment: Environment, variable: str, namespace: str, key: str, **attributes: str | bool) -> Claim:
    where = environment.origin(variable)
    return Claim(namespace, environment.machine, key, environment.prefix, where, False, attributes)
