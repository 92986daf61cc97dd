# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's ports: who publishes which, who can reach them, and who probes the wrong one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..facts.code_lines import code_lines, lines_of
from ..facts.domains import neighbours
from ..facts.effects import hosted_lines
from ..facts.ownership import one_project, sharers
from ..facts.service_kinds import is_data_service, is_front_door
from ..facts.workflows import is_deployment
from ..model import Claim, Document, Environment, Fleet, Severity, Where
from ..readers.documents import machine_commands
from ..wording import listing
from . import Hit, Judgement, owners, places, rule, worded

#: A port published without an address is taken on every IPv4 and IPv6 address.
EVERYWHERE = frozenset({"", "0.0.0.0", "::", "[::]", "*"})


@rule("shared-port", "PT-01", "PT-02", "PT-03", "CP-17", "SW-06", severity=Severity.HIGH)
def shared_port(fleet: Fleet) -> Judgement:
    """Two environments publish the same port of one machine."""
    for machine, ports, claims in port_clashes(fleet):
        names = listing(owners(claims))
        yield Hit(
            owners(claims),
            f"port {ports} of {machine}",
            f"{names} publish port{'s' if '-' in ports else ''} {ports} on {machine}. " + _what_happens(fleet, claims),
            "Publish another port in all but one: change "
            + worded(fleet, owners(claims), "bulkhead_http_port or bulkhead_https_port, or ", "")
            + f"'ports:' of {listing(map(service_and_file, claims))}. In a file that is merged over another, write "
            "'ports: !override', because lists of ports add up.",
            places(claims),
            machine,
        )


def _what_happens(fleet: Fleet, claims: Sequence[Claim]) -> str:
    """What two environments with one port do to each other."""
    services = {str(claim.attributes.get("service")) for claim in claims}
    if len(services) == 1 and one_project(fleet, owners(claims)):
        return (
            f"As they are one Compose project, 'docker compose up' of the second recreates {services.pop()} of the "
            "first; once they have their own projects, it fails with 'port is already allocated'."
        )
    meshed = [claim.owner for claim in claims if claim.attributes.get("mode") == "ingress"]
    return (
        (f"In mode ingress {listing(dict.fromkeys(meshed))} takes it on every node of the swarm. " if meshed else "")
        + "Whichever starts second fails with 'port is already allocated'. A stopped container does not keep its port: "
        "after a reboot or during a deployment the other environment can take it."
    )


@rule("ephemeral-port", "PT-04", severity=Severity.LOW)
def ephemeral_port(fleet: Fleet) -> Judgement:
    """A port is published without saying which: Docker takes any free one."""
    for environment, service, port, where in published(fleet):
        wanted = str(port.get("published") or "")
        if not wanted or "-" in wanted:
            which = f"one of the ports {wanted}" if wanted else "a random port"
            whose = "" if is_local(port) else ", open to everybody"
            yield Hit(
                (environment.prefix,),
                f"port {port['target']} of service {service}",
                f"{environment.prefix} publishes port {port['target']} of {service} on {which} of "
                f"{environment.machine}{whose}: it can be one that another environment is about to use.",
                f"Use 'expose: [\"{port['target']}\"]', or say which port: '127.0.0.1:<port>:{port['target']}'.",
                (where,),
                environment.machine,
                # Of a stack that Bulkhead deploys every port is claimed.
                severity=Severity.HIGH if environment.variables else None,
            )


@rule("exposed-port", "PT-06", "NW-05", severity=Severity.HIGH)
def exposed_port(fleet: Fleet) -> Judgement:
    """A database, broker or application is published on every address, where every container can reach it."""
    for environment, service, port, where in published(fleet):
        definition = definition_of(environment, service)
        data = is_data_service(service, definition, port)
        if not port.get("published") or is_local(port) or (is_front_door(service, definition) and not data):
            continue
        others = neighbours(fleet, environment)
        reachable = f"the containers of {listing(others)} and " if others else ""
        address = str(port.get("host_ip") or "")
        everywhere = address in EVERYWHERE
        outside = "the network of that address" if is_private(address) else "the network outside"
        yield Hit(
            (environment.prefix,),
            f"port {port['published']} of service {service}",
            f"{environment.prefix} publishes {service} on port {port['published']} of "
            f"{'every address' if everywhere else address} of {environment.machine}: {reachable}{outside} "
            f"{'reach' if others else 'reaches'} it, and the rules of ufw do not apply to published ports.",
            f"Remove 'ports' from {service} ('expose' is enough inside the environment's network), or bind it: "
            f"'127.0.0.1:{port['published']}:{port['target']}'.",
            (where,),
            environment.machine,
            severity=None if data and not is_private(address) else Severity.LOW,
        )


@rule("ipv6-twin", "PT-05", severity=Severity.LOW)
def ipv6_twin(fleet: Fleet) -> Judgement:
    """A port is published without an address, so on IPv6 too: a firewall for IPv4 alone misses it."""
    for environment in fleet.environments:
        open_ports = [
            (port, where)
            for _environment, _service, port, where in published(Fleet((environment,)))
            if port.get("published") and str(port.get("host_ip") or "") in EVERYWHERE - {"0.0.0.0"}
        ]
        if open_ports:
            numbers = listing(str(port["published"]) for port, _unused in open_ports)
            example = f"0.0.0.0:{open_ports[0][0]['published']}:{open_ports[0][0]['target']}"
            yield Hit(
                (environment.prefix,),
                f"port {numbers} of {environment.machine}",
                f"{environment.prefix} publishes port{'s' if len(open_ports) > 1 else ''} {numbers} on IPv6 as well "
                "as on IPv4: a firewall with rules for IPv4 alone does not cover that.",
                "Give the firewall the same rules for IPv6, or publish on one address ("
                + worded(fleet, [environment.prefix], "bulkhead_bind_address: 0.0.0.0", f"'{example}'")
                + ").",
                tuple(where for _unused, where in open_ports),
                environment.machine,
            )


@rule("shared-listener", "PT-08", severity=Severity.CRITICAL, of_machine=True)
def shared_listener(fleet: Fleet) -> Judgement:
    """A server with SO_REUSEPORT in a network namespace that is not its own: two share one port without an error."""
    for environment in fleet.environments:
        for project, name, service in environment.services():
            mode = str(service.get("network_mode") or "")
            if not (mode == "host" or mode.startswith("container:")):
                continue
            option = reuse_port(environment, name, service)
            if option is None:
                continue
            others = neighbours(fleet, environment)
            yield Hit(
                (environment.prefix,),
                f"service {name}",
                f"{name} of {environment.prefix} runs with network_mode {mode} and SO_REUSEPORT: a second server on "
                f"the same port (of {listing(others) or 'any environment'}) starts without an error, and the kernel "
                "splits the connections between them.",
                f"Give {name} the environment's own network and no network_mode, or turn SO_REUSEPORT off at {option}.",
                (project.where("services", name, "network_mode"), option),
                environment.machine,
            )


_PROBE = re.compile(
    r"(?<![=\w])(https?)://(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?::(\d+))?(?![\w:.-])", re.IGNORECASE
)
_INSIDE = re.compile(r"\bdocker(?:[- ]compose)?\b.*\b(?:exec|run)\b|\bHEALTHCHECK\b")


@rule("probe-of-other-port", "PT-09", severity=Severity.MEDIUM)
def probe_of_other_port(fleet: Fleet) -> Judgement:
    """A script asks a port of the machine that another environment answers."""
    taken = fleet.claims("host-port")
    for environment in fleet.environments:
        for where, line in machine_lines(environment):
            for scheme, number in _PROBE.findall("" if _INSIDE.search(line) else line):
                port = number or ("443" if scheme.lower() == "https" else "80")
                answering = owners(taken.get((environment.machine, f"{port}/tcp"), ()))
                if not answering or environment.prefix in answering or set(answering) <= sharers(fleet, where):
                    continue
                yield Hit(
                    (environment.prefix, *answering),
                    f"port {port} of {environment.machine}",
                    f"A check of {environment.prefix} asks port {port} of its machine, where {listing(answering)} "
                    f"answers: it passes while {environment.prefix} is down, and fails while {environment.prefix} is "
                    "up.",
                    f"Ask a port that {environment.prefix} publishes, with its own Host header, and compare the "
                    "header that names the environment.",
                    (where,),
                    environment.machine,
                )


_HOST_GIVEN = re.compile(r"-H\s*[\"']?host:", re.IGNORECASE)


def _checks(document: Document) -> bool:
    """Whether a document deploys, or is named after a check of what was deployed."""
    return (
        document.kind != "shell"
        or re.search(r"deploy|release|smoke|health|verify|rollback", document.path.rpartition("/")[2]) is not None
        or any(map(is_deployment, machine_commands(document)))
    )


def machine_lines(environment: Environment) -> Iterator[tuple[Where, str]]:
    """The lines with a URL that run on a server, not on a runner."""
    for document in environment.documents if environment.variables else filter(_checks, environment.documents):
        if "://" not in document.text:
            continue
        elsewhere = hosted_lines(document)
        before = ""
        for where, line in code_lines(document):
            joined = f"{before} {line}" if before.endswith("\\") else line
            before = joined.rstrip()
            if "://" in line and where.line not in elsewhere and not _HOST_GIVEN.search(joined):
                yield where, line


def port_clashes(fleet: Fleet) -> Iterator[tuple[str, str, Sequence[Claim]]]:
    """Yield ports that several environments publish on one address: (machine, ports, a claim for each). Successive
    ports with the same conflict are combined."""
    clashes: dict[tuple[str, str, tuple[str, ...]], list[tuple[int, Sequence[Claim]]]] = {}
    for (machine, key), claims in fleet.claims("host-port").items():
        number, _slash, protocol = key.partition("/")
        for group in same_address(claims):
            if len(group) > 1:
                found = clashes.setdefault((machine, protocol, owners(group)), [])
                found.append((int(number), group))
    for (machine, protocol, _owners), ports in clashes.items():
        ports.sort(key=lambda item: item[0])
        first = 0
        for index, (last, group) in enumerate(ports):
            if index + 1 == len(ports) or ports[index + 1][0] != last + 1:
                span = str(last) if index == first else f"{ports[first][0]}-{last}"
                yield machine, f"{span}/{protocol}", group
                first = index + 1


def same_address(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    """Claims on one port that conflict, one per owner. A claim on every address conflicts with every other."""
    if len(claims) < 2:
        return
    groups: dict[str, dict[str, Claim]] = {}
    for claim in claims:
        address = str(claim.attributes.get("ip") or "")
        groups.setdefault("" if address in EVERYWHERE else address, {}).setdefault(claim.owner, claim)
    if "" in groups:
        merged = {claim.owner: claim for group in groups.values() for claim in group.values()}
        yield [merged[owner] for owner in sorted(merged)]
    else:
        yield from ([group[owner] for owner in sorted(group)] for group in groups.values())


def service_of(claim: Claim) -> str:
    """The name of the service behind a published port, for messages."""
    service = claim.attributes.get("service")
    return f"{service} ({claim.owner})" if service else claim.owner


def published(fleet: Fleet) -> Iterator[tuple[Environment, str, Mapping[str, Any], Where]]:
    """Yield every published port: (environment, service, canonical port, where it was written)."""
    for environment in fleet.environments:
        for project, name, service in environment.services():
            for index, port in enumerate(service.get("ports") or ()):
                yield environment, name, port, project.where("services", name, "ports", index)


def definition_of(environment: Environment, service: str) -> Mapping[str, Any]:
    """The definition of a service by its key."""
    return next((found for _unused, name, found in environment.services() if name == service), {})


def service_and_file(claim: Claim) -> str:
    """The service that publishes a port, and the file in which it does."""
    return f"{service_of(claim)} in {claim.where.file}" if claim.where.file else service_of(claim)


def is_local(port: Mapping[str, Any]) -> bool:
    """Whether a port is published on loopback only."""
    address = str(port.get("host_ip") or "").strip("[]")
    return address.startswith("127.") or address == "::1"


#: Addresses of the engine's own bridges, where every container arrives.
_BRIDGES = re.compile(r"172\.(?:1[7-9]|2\d|3[01])\.\d+\.1")


def is_private(address: str) -> bool:
    """Whether an address is one of a private network, such as a VPN; the engine's bridges do not count."""
    try:
        known = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    # 100.64.0.0/10 is shared address space, which VPNs such as Tailscale use.
    shared = known.version == 4 and known in ipaddress.ip_network("100.64.0.0/10")
    return (known.is_private or shared) and not known.is_unspecified and not _BRIDGES.fullmatch(str(known))


def reuse_port(environment: Environment, name: str, service: Mapping[str, Any]) -> Where | None:
    """Where a service's server is configured to share its port, or ``None``."""
    words = f"{name} {service.get('image') or ''}".lower()
    text = " ".join(map(str, [*(service.get("command") or ()), *(service.get("entrypoint") or ())]))
    settings = service.get("environment") or {}
    told = any("so_reuseport" in key.lower() and str(value).lower() in ("1", "true") for key, value in settings.items())
    if told or re.search(r"--reuse-port\b|so_reuseport=1", text):
        return environment.compose[0].where("services", name)
    if "bouncer" in words:
        for where, line in lines_of(environment, "so_reuseport"):
            if re.match(r"\s*so_reuseport\s*=\s*1\b", line):
                return where
    if "nginx" in words:
        for top in environment.nginx:
            for directive in top.walk():
                if directive.name == "listen" and "reuseport" in directive.args:
                    return directive.where
    return None
