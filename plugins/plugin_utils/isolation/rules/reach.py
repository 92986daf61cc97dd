# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways around the networks: the host's namespace, another container's, the default bridge, manual names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..facts.code_lines import code_lines
from ..facts.compose_calls import docker_calls
from ..facts.domains import neighbours
from ..facts.effects import removing_files
from ..facts.ownership import owner_of_name
from ..facts.server_owner import resolver
from ..model import ComposeProject, Environment, Fleet, Severity, Where
from ..numbers import number_of
from ..readers.shell.docker_call import DockerCall
from ..wording import listing
from . import Hit, Judgement, rule
from .addresses import owner_of_address

#: The variables that open a way past a guard, and for whom.
_OPENING = {"bulkhead_firewall_allow": "the containers", "bulkhead_build_egress": "builds"}


@rule("default-bridge", "NW-07", severity=Severity.HIGH, of_machine=True)
def default_bridge(fleet: Fleet) -> Judgement:
    """A container on Docker's default bridge, where all containers reach each other."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        reached = listing(others) or "every other environment"
        for project, name, service in environment.services():
            if service.get("network_mode") == "bridge":
                yield Hit(
                    (environment.prefix,),
                    f"service {name}",
                    f"{name} of {environment.prefix} is on the default bridge of {environment.machine}: it reaches "
                    f"by address whatever {reached} has there, and is reached by it.",
                    f"Remove 'network_mode: bridge' from {name}: without it the service joins the project's own "
                    "network.",
                    (project.where("services", name, "network_mode"),),
                    environment.machine,
                )
        ending = removing_files(environment)
        for call, reference in docker_calls(environment):
            if (
                stays(call, str(reference.attributes.get("kind")))
                and not call.has("--network", "--net")
                and not call.opaque
            ):
                yield Hit(
                    (environment.prefix,),
                    "docker run",
                    f"A script of {environment.prefix} starts a container on the default bridge of "
                    f"{environment.machine}, where it may reach the containers of {reached} by address.",
                    "Add '--network' with a network of the environment, or '--network none'.",
                    (reference.where,),
                    environment.machine,
                    severity=Severity.LOW if reference.where.file in ending else Severity.MEDIUM,
                )


def stays(call: DockerCall, kind: str) -> bool:
    """Whether a call starts a container that stays: in the background, with a port, or as a unit of systemd.

    One that works in the foreground of a script and ends with it serves no requests.
    """
    if call.compose or call.verb not in (("run",), ("create",), ("container", "run"), ("container", "create")):
        return False
    return (
        "create" in call.verb or call.has("-d", "--detach", "-p", "--publish", "-P", "--restart") or kind == "systemd"
    )


@rule("opened-port", "NW-05", severity=Severity.HIGH)
def opened_port(fleet: Fleet) -> Judgement:
    """An environment opens a way for itself, past its guard, to a port that another one publishes."""
    servers = resolver(fleet)
    for environment in fleet.environments:
        for variable, who in _OPENING.items():
            entries = environment.variables.get(variable)
            for entry in entries if isinstance(entries, (list, tuple)) else ():  # or it is sealed
                host, port = _opened(str(entry))
                owner = servers.resolve(environment, "", host, port).owner if host else ""
                reached = [owner] if host else servers.port_owners(environment.machine, port)
                for other in sorted({*reached} - {"", environment.prefix}):
                    yield Hit(
                        (environment.prefix, other),
                        f"{variable} {entry}",
                        f"{variable} lets {who} of {environment.prefix} reach port {port}, which {other} publishes.",
                        f"Remove {entry} from {variable}. What both need belongs on a server that neither owns.",
                        (environment.origin(variable),),
                        environment.machine,
                    )


def _opened(entry: str) -> tuple[str, int]:
    """The host, empty for the machine, and the port of an entry such as ``25``, ``8125/udp`` or ``10.0.0.5:25``."""
    host, _colon, port = entry.partition("/")[0].rpartition(":")
    return host.strip("[]").lower(), number_of(port) if port.isdecimal() else 0


@rule("host-network", "NW-08", severity=Severity.HIGH, of_machine=True)
def host_network(fleet: Fleet) -> Judgement:
    """A service without a network of its own: it reaches every container, and takes ports that nobody sees."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        for project, name, service in environment.services():
            if service.get("network_mode") == "host" or "host" in network_names(project, service):
                yield Hit(
                    (environment.prefix,),
                    f"service {name}",
                    f"{name} of {environment.prefix} uses the network of {environment.machine} itself: it reaches "
                    f"every container of {listing(others) or 'every other environment'}, published or not, and the "
                    "ports it opens are in no 'ports:'.",
                    f"Give {name} the environment's own network and publish what it serves. Run an agent that "
                    "watches the whole machine from a project that belongs to no environment.",
                    (project.where("services", name, "network_mode"),),
                    environment.machine,
                )


@rule("joined-namespace", "NW-09", severity=Severity.HIGH, of_machine=True)
def joined_namespace(fleet: Fleet) -> Judgement:
    """A service moves into the network, process or memory space of a container that is not its environment's own."""
    for environment in fleet.environments:
        own = own_containers(environment)
        for project, name, service in environment.services():
            for key in ("network_mode", "pid", "ipc"):
                kind, _unused, container = str(service.get(key) or "").partition(":")
                if kind != "container" or container in own:
                    continue
                owner = container_owner(fleet, environment, container)
                yield Hit(
                    (environment.prefix, owner) if owner else (environment.prefix,),
                    f"container {container}",
                    f"{name} of {environment.prefix} runs inside the container {container}"
                    + (f" of {owner}" if owner else "")
                    + f" ({key}): what is local there is local here, and it goes down when {container} does.",
                    f"Write '{key}: service:<a service of this file>', or remove it.",
                    (project.where("services", name, key),),
                    environment.machine,
                )


#: The usual alias for the machine, which is judged by the port instead.
_HOST_NAMES = frozenset({"host.docker.internal", "gateway.docker.internal"})


@rule("name-by-hand", "NW-10", severity=Severity.HIGH, of_machine=True)
def name_by_hand(fleet: Fleet) -> Judgement:
    """A name is given by hand to the machine, to another environment's container, or to an address of its network."""
    for environment in fleet.environments:
        for project, name, service in environment.services():
            for key, alias, target, owner in plumbing(fleet, environment, project, service):
                to = f"a container of {owner}" if owner else "the machine, where any environment may publish the port"
                yield Hit(
                    (environment.prefix, owner) if owner else (environment.prefix,),
                    f"{alias or target} in service {name}",
                    f"'{alias or target}' in {name} of {environment.prefix} means {target}: {to}. It looks like one "
                    "of its own services but is not.",
                    f"Remove it from '{key}', and use the service's name on the environment's own network.",
                    (project.where("services", name, key),),
                    environment.machine,
                    severity=Severity.LOW if alias in _HOST_NAMES and not owner else None,
                )


_SEARCH = re.compile(r"^\s*(?:search|domain)\s+(.+)|[\"']?dns-?search[\"']?\s*[:=]\s*(.+)", re.IGNORECASE)


@rule("search-domain", "NW-14", severity=Severity.HIGH)
def search_domain(fleet: Fleet) -> Judgement:
    """A search domain below which environments have their domains: a misspelt service name leads to their server."""
    known: dict[str, list[str]] = {}
    for environment in fleet.environments:
        for domain in environment.domains:
            labels = domain.lower().lstrip("*.").split(".")
            for start in range(len(labels) - 1):
                known.setdefault(".".join(labels[start:]), []).append(environment.prefix)
    for environment in fleet.environments:
        for domain, where in searched(environment):
            owners = list(dict.fromkeys(known.get(domain, ())))
            if owners:
                yield Hit(
                    (environment.prefix, *owners),
                    f"search domain {domain}",
                    f"{environment.prefix} looks up a name that it does not find, such as that of a service that is "
                    f"down, again below {domain}: with a wildcard record that leads to the public address of "
                    f"{listing(owners)}.",
                    "Set 'dns_search: .' for the services, and remove the search domain from the machine's "
                    "resolv.conf.",
                    (where,),
                    environment.machine,
                )


def searched(environment: Environment) -> Iterator[tuple[str, Where]]:
    """Yield the search domains of an environment's services, and of the machine if its files are known."""
    for project, name, service in environment.services():
        listed = service.get("dns_search") or ()
        for domain in [listed] if isinstance(listed, str) else listed:
            yield str(domain).lower().strip("."), project.where("services", name, "dns_search")
    for document in environment.documents:
        if posixpath.basename(document.path) in ("resolv.conf", "daemon.json", "head", "tail", "base"):
            for where, line in code_lines(document):
                for found in _SEARCH.finditer(line):
                    for domain in re.findall(r"[\w.-]+", found[1] or found[2]):
                        yield domain.lower().strip("."), where


def plumbing(
    fleet: Fleet, environment: Environment, project: ComposeProject, service: Mapping[str, Any]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield manually defined names that lead out of the environment: (key, alias, target, owner or empty)."""
    hosts = service.get("extra_hosts") or ()
    lines = [f"{key}={value}" for key, value in hosts.items()] if isinstance(hosts, Mapping) else map(str, hosts)
    for line in lines:
        alias, _unused, target = line.partition("=") if "=" in line else line.partition(":")
        owner = owner_of_address(fleet, environment, target)
        if target == "host-gateway" or owner:
            yield "extra_hosts", alias, target, owner
    for link in map(str, service.get("external_links") or ()):
        container, _unused, alias = link.partition(":")
        owner = container_owner(fleet, environment, container)
        if owner and container not in own_containers(environment):
            yield "external_links", alias or container, container, owner
    servers = service.get("dns") or ()
    for address in [servers] if isinstance(servers, str) else map(str, servers):
        owner = owner_of_address(fleet, environment, address)
        if owner:
            yield "dns", "", address, owner


def own_containers(environment: Environment) -> frozenset[str]:
    """The names of an environment's own containers."""
    return frozenset(
        str(service.get("container_name") or f"{project.name}-{name}-1")
        for project, name, service in environment.services()
    )


def container_owner(fleet: Fleet, environment: Environment, container: str) -> str:
    """The other environment that a container belongs to, by its declaration or by its name."""
    claims = fleet.claims("container").get((environment.machine, container), ())
    owners = [claim.owner for claim in claims]
    if environment.prefix in owners:
        return ""
    named = owner_of_name(fleet, container)
    return owners[0] if owners else named if named != environment.prefix else ""


def network_names(project: ComposeProject, service: Mapping[str, Any]) -> Iterator[str]:
    """The real names of a service's external networks; 'host' is the machine's own."""
    for key in service.get("networks") or ():
        definition = project.networks.get(key) or {}
        if definition.get("external"):
            yield str(definition.get("name") or key)
