# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses: overlapping subnets, bridge names, trusted addresses, and addresses used instead of names."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from ..facts.code_lines import code_lines, lines_of
from ..facts.domains import neighbours
from ..facts.ownership import sharers
from ..facts.service_kinds import texts, words_of
from ..model import Claim, Environment, Fleet, Severity, Where
from ..naming import INTERFACE_NAME
from ..readers.endpoints import uses
from ..wording import listing
from . import Hit, Judgement, owners, places, rule
from .ports import is_local

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


@rule("overlapping-subnets", "NW-11", severity=Severity.MEDIUM)
def overlapping_subnets(fleet: Fleet) -> Judgement:
    """Subnets of two environments overlap on one machine."""
    for machine, subnets in fleet.derived(_subnets).items():
        outer: list[tuple[Subnet, Claim]] = []
        groups: dict[str, list[Claim]] = {}
        for subnet, claim in subnets:
            if outer and not (subnet.version == outer[0][0].version and subnet[0] in outer[0][0]):
                outer.clear()
            outer.append((subnet, claim))
            groups.setdefault(str(outer[0][0]), []).append(claim)
        for subnet_text, claims in groups.items():
            if len(owners(claims)) > 1:
                yield Hit(
                    owners(claims),
                    f"subnet {subnet_text}",
                    f"{listing(owners(claims))} declare overlapping subnets on {machine} "
                    f"({listing(str(claim.key) for claim in claims)}): Docker refuses the second one, after Compose "
                    "has created a part of it.",
                    "Choose subnets that do not overlap, or leave 'ipam' out and let Docker choose.",
                    places(claims),
                    machine,
                )


@rule("bridge-name", "NW-12", severity=Severity.MEDIUM)
def bridge_name(fleet: Fleet) -> Judgement:
    """Two environments name one bridge interface, or one has a name that Linux refuses."""
    for machine, name, claims in fleet.collisions("bridge"):
        yield Hit(
            owners(claims),
            f"interface {name}",
            f"{listing(owners(claims))} call a bridge on {machine} {name}: Docker refuses the second, and firewall "
            "rules for one apply to the other.",
            "Give each its own com.docker.network.bridge.name, or remove the option.",
            places(claims),
            machine,
        )
    for (machine, name), claims in fleet.claims("bridge").items():
        if len(name.encode()) > INTERFACE_NAME:
            yield Hit(
                owners(claims),
                f"interface {name}",
                f"The bridge {name} of {listing(owners(claims))} on {machine} has a name longer than the "
                f"{INTERFACE_NAME} characters that Linux allows: cut to {name[:INTERFACE_NAME]}, it can equal "
                "another's.",
                f"Shorten com.docker.network.bridge.name to {INTERFACE_NAME} characters.",
                places(claims),
                machine,
            )


#: Docker's default pools have room for about thirty networks.
_POOL = 29


@rule("many-networks", "NW-13", severity=Severity.LOW)
def many_networks(fleet: Fleet) -> Judgement:
    """More networks on one machine than Docker's default address pools hold."""
    counts: dict[str, dict[str, list[str]]] = {}
    for (machine, name), claims in fleet.claims("network").items():
        counts.setdefault(machine, {})[name] = list(owners(claims))
    for machine, names in counts.items():
        if len(names) > _POOL:
            prefixes = list(dict.fromkeys(prefix for found in names.values() for prefix in found))
            yield Hit(
                tuple(prefixes),
                f"networks of {machine}",
                f"{machine} has {len(names)} networks of {listing(prefixes)}. Docker's default address pools hold "
                f"about {_POOL + 1}: the next environment that starts may find none.",
                "Give the engine more pools ('default-address-pools' in daemon.json), and remove unused networks.",
                (),
                machine,
            )


_PRIVATE = re.compile(r"\b(?:10|127|192\.168|172\.(?:1[6-9]|2\d|3[01]))[\d./]*|\bsamenet\b|\ball\b|0\.0\.0\.0/0|::/0")
_PG_HBA = re.compile(r"host\w*\s+\S+\s+\S+\s+(\S+)(?:\s+[\d.]+)?\s+trust\b")
_WEB = frozenset({"nginx", "openresty", "angie"})
_DATABASE = frozenset({"postgres", "postgresql", "postgis", "timescaledb", "pgvector", "pgbouncer"})


@rule("trusted-address", "NW-06", severity=Severity.CRITICAL, of_machine=True)
def trusted_address(fleet: Fleet) -> Judgement:
    """A service lets in whoever comes from a private address, and what comes through a published port does."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        who = listing(others) or "any other environment"
        for what, trusted, where, web in trusts(environment):
            open_ = has_published(environment, _WEB if web else _DATABASE)
            if web and not open_:
                continue
            yield Hit(
                (environment.prefix,),
                f"{what} {trusted}".strip(),
                f"{environment.prefix} trusts {trusted or 'every address'} ({what}). A connection through a "
                f"published port arrives from the environment's own gateway, so {environment.prefix} also trusts the "
                f"containers of {who}.",
                "Require a password (scram-sha-256) or a token, or publish no port of this service.",
                (where,),
                environment.machine,
                severity=Severity.LOW if not open_ else Severity.HIGH if web else None,
            )


#: Docker's default pools, in the order of use. 172.31 is the default network of a large cloud.
_DOCKER_RANGE = re.compile(r"(?<![\d.])172\.(?:1[7-9]|2\d|30)\.\d{1,3}\.\d{1,3}(?![\d.]*/\d|[\d.])")


@rule("container-address", "NW-16", severity=Severity.HIGH, of_machine=True)
def container_address(fleet: Fleet) -> Judgement:
    """A file names a container by its address, which Docker gives to another container tomorrow."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        for address, where in written_addresses(environment):
            owner = owner_of_address(fleet, environment, address)
            if owner in sharers(fleet, where):
                continue  # a file of both, which names the one that it is about
            if not owner and (own_address(fleet, environment, address) or not _DOCKER_RANGE.fullmatch(address)):
                continue
            whose = f"an address of {owner}" if owner else "an address that Docker assigns"
            yield Hit(
                (environment.prefix, owner) if owner else (environment.prefix,),
                f"address {address}",
                f"{environment.prefix} uses {address}, {whose}. The machine reaches every container by address, and "
                f"after a restart this may be a container of {owner or listing(others) or 'another environment'}.",
                "Use the service's name inside the network, and from the machine a port published on 127.0.0.1.",
                (where,),
                environment.machine,
            )


#: With a word behind it, it is a version: ``172.20.3.1-beta``.
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*/\d|[\d.]|-[A-Za-z])")
#: Counted faster than an address is found; most texts have neither.
_DOTS = 3
#: Keys of a service that run something.
_RUN = frozenset({"command", "entrypoint", "healthcheck", "post_start", "pre_stop"})
_POINTING = ("shell", "cron", "systemd", "workflow", "ansible", "pgbouncer")


def written_addresses(environment: Environment) -> Iterator[tuple[str, Where]]:
    """Yield IPv4 addresses in nginx upstreams, settings, services' commands and scripts, each once per place."""
    found: dict[tuple[str, Where], None] = {}
    for directive in environment.directives:
        if directive.name in ("proxy_pass", "server", "fastcgi_pass", "uwsgi_pass", "grpc_pass"):
            text = " ".join(directive.args)
            found.update({(address, directive.where): None for address in _ADDRESS.findall(text)})
    for setting in environment.settings:
        if setting.text.count(".") >= _DOTS:
            found.update({(address, setting.where): None for address in _ADDRESS.findall(setting.text)})
    for use in environment.derived(uses):
        # A driver reads addresses in other spellings too.
        hosts = (host for host, _port in use.endpoint.hosts)
        found.update({(host, use.where): None for host in hosts if _ADDRESS.fullmatch(host)})
    for project, name, service in environment.services():
        for key in _RUN & service.keys():
            said = " ".join(texts(service[key]))
            if said.count(".") >= _DOTS:
                found.update({(item, project.where("services", name, key)): None for item in _ADDRESS.findall(said)})
    for document in environment.documents:
        for where, line in code_lines(document) if document.kind in _POINTING else ():
            if line.count(".") >= _DOTS:
                found.update({(address, where): None for address in _ADDRESS.findall(line)})
    yield from found


def trusts(environment: Environment) -> Iterator[tuple[str, str, Where, bool]]:
    """Yield what admits clients by address alone: (what, address, where, whether it is nginx)."""
    for where, line in lines_of(environment, "trust"):
        found = _PG_HBA.match(line.strip())
        if found and not found[1].startswith(("127.", "::1", "localhost")):
            yield "pg_hba trust", found[1], where, False
    for setting in environment.settings:
        if setting.key == "POSTGRES_HOST_AUTH_METHOD" and setting.text.lower() == "trust":
            yield setting.key, "", setting.where, False
    for directive in environment.directives:
        if directive.name != "allow":
            continue
        address = directive.args[0] if directive.args else ""
        if _PRIVATE.match(address) and not address.startswith(("127.", "all", "0.")):
            yield "allow", address, directive.where, True


def has_published(environment: Environment, words: frozenset[str]) -> bool:
    """Whether a service of this kind publishes a port that other containers can reach."""
    return any(
        port.get("published") and not is_local(port)
        for _unused, name, service in environment.services()
        if words_of(name, service) & words
        for port in service.get("ports") or ()
    )


def owner_of_address(fleet: Fleet, environment: Environment, address: str) -> str:
    """The other environment whose declared subnet contains an address of the machine."""
    owner = _subnet_owner(fleet, environment, address)
    return owner if owner != environment.prefix else ""


def own_address(fleet: Fleet, environment: Environment, address: str) -> bool:
    """Whether an address is in a subnet that the environment declares."""
    return _subnet_owner(fleet, environment, address) == environment.prefix


@lru_cache(maxsize=1 << 10)  # a fleet repeats those of its loopback and its resolver
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _subnet_owner(fleet: Fleet, environment: Environment, address: str) -> str:
    subnets = fleet.derived(_subnets).get(environment.machine, ())
    wanted = _parsed(address) if subnets else None
    if wanted is None:
        return ""
    position = bisect_right(subnets, (wanted.version, int(wanted)), key=lambda item: (item[0].version, int(item[0][0])))
    for subnet, claim in reversed(subnets[max(0, position - 4) : position]):
        if wanted in subnet:
            return claim.owner
    return ""


def _subnets(fleet: Fleet) -> Mapping[str, Sequence[tuple[Subnet, Claim]]]:
    """The declared subnets of each machine, sorted so that a subnet directly follows one that contains it."""
    found: dict[str, list[tuple[Subnet, Claim]]] = {}
    for (machine, text), claims in fleet.claims("subnet").items():
        try:
            subnet = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        found.setdefault(machine, []).extend((subnet, claim) for claim in claims)
    for subnets in found.values():
        subnets.sort(key=lambda item: (item[0].version, int(item[0][0]), item[0].prefixlen))
    return found
