# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of a deployed environment: which ones to make, and what their results mean."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ....module_utils.docker.labels import PREFIX
from .. import naming
from ..declared import is_routed
from ..model import Environment, Finding, Severity, Where
from .health import own_containers, unwell
from .programs import server_findings

#: Upper bounds, enough for dozens of environments on one machine.
MAX_NAMES, MAX_TARGETS, MAX_REQUESTS = 200, 400, 60

#: Ports of data services, tried for images that declare no exposed port.
_DATA_PORTS = (5432, 6379, 6432)

#: Stands for the machine as a container sees it: the gateways of its networks, unknown before the deployment.
MACHINE = "machine"

#: Stands for the addresses at which the machine's front door listens, which the machine knows.
FRONT_DOOR = "front door"

#: HTTP statuses that mean that a host is not served here.
_REFUSALS = (400, 403, 421)

#: HTTP statuses of a web server whose backend is down.
_BACKEND_DOWN = (502, 504)

#: The path below which the web server serves the application's static files.
_STATIC = "/static/"

#: A host name that can never exist (RFC 2606).
_UNKNOWN = "unknown.invalid"


@dataclass(frozen=True)
class Probes:
    """The probes that the module ``verify`` makes.

    ``owners`` maps each probed name, and each (address, port), to a prefix; ``cut`` says that a bound was reached.
    """

    resolve: list[str] = field(default_factory=list)
    connect: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    owners: dict[Any, str] = field(default_factory=dict)
    cut: bool = False

    def owner(self, address: str, port: int) -> str:
        """The prefix of the environment behind an address and port, as far as it is known."""
        known = self.owners.get((address, port)) or self.owners.get((MACHINE, port))
        return known or "another environment"


def plan_probes(
    environment: Environment,
    others: Iterable[Environment],
    observation: Mapping[str, Any],
    questions: Sequence[Mapping[str, Any]] = (),
) -> Probes:
    """Plan the probes of one environment from what runs on the machine."""
    bystanders = {other.prefix: other for other in others if other.prefix != environment.prefix}
    owners: dict[Any, str] = {}
    names: list[str] = []
    targets: list[tuple[str, int, str]] = []
    overlays = {network["id"]: network["subnets"] for network in observation["networks"] if is_overlay(network)}
    own_names = _own_names(environment, observation)
    for container in observation["containers"]:
        owner = container["labels"].get(PREFIX, "")
        if owner not in bystanders or not container["running"]:
            continue
        # By its inventory, and as it was deployed: an inventory may be changed and not deployed yet.
        deployed = observation["registry"].get(owner) or {}
        public = {bystanders[owner].http_port, bystanders[owner].https_port}
        public |= {deployed.get("http_port"), deployed.get("https_port")}
        for network in container["networks"].values():
            for name in (container["name"], *network["aliases"]):
                if name not in own_names and not container["id"].startswith(name):
                    names.append(name)
                    owners[name] = owner
            for port in container["exposed"] or _DATA_PORTS:
                for address in filter(None, (network["address"], network.get("address6", ""))):
                    targets.append((address, port, subnet_of(address, overlays.get(network.get("id"), ()))))
                    owners[address, port] = owner
        for port in container["ports"]:
            if port["port"] not in public:
                targets.append((MACHINE, port["port"], ""))
                owners[MACHINE, port["port"]] = owner
    names, targets = list(dict.fromkeys(names)), list(dict.fromkeys(targets))
    requests = list(_requests(environment, bystanders.values()))
    page = own_request(environment)
    if page:
        requests.insert(0, {**page, "kind": "asset", "path": _STATIC})
    return Probes(
        resolve=names[:MAX_NAMES],
        connect=[
            {"address": address, "port": port, **({"subnet": subnet} if subnet else {})}
            for address, port, subnet in targets[:MAX_TARGETS]
        ],
        requests=requests[:MAX_REQUESTS],
        questions=[dict(question) for question in questions],
        owners=owners,
        cut=len(names) > MAX_NAMES or len(targets) > MAX_TARGETS or len(requests) > MAX_REQUESTS,
    )


def is_overlay(network: Mapping[str, Any]) -> bool:
    """Whether a swarm has a network on several nodes."""
    return bool(network["driver"] == "overlay")


def subnet_of(address: str, subnets: Iterable[str]) -> str:
    """The overlay's subnet that an address is in; empty for an address of another network.

    Nothing leads into an overlay from outside: there, the same address is that of any host that the node can reach, and
    only who has an address in the subnet asks for this one.
    """
    where = ipaddress.ip_address(address)
    return next((subnet for subnet in subnets if subnet and where in ipaddress.ip_network(subnet, strict=False)), "")


def _own_names(environment: Environment, observation: Mapping[str, Any]) -> set[str]:
    """Names of the environment's own containers: of existing ones, and of those yet to be created."""
    names = set()
    for container in own_containers(environment, observation):
        names |= {container["name"]}.union(*(network["aliases"] for network in container["networks"].values()))
    for project in environment.compose:
        for key, service in project.services.items():
            names |= {key, str(service.get("container_name") or key)}
            for network in (service.get("networks") or {}).values():
                names.update((network or {}).get("aliases") or ())
    return names


def _requests(environment: Environment, others: Iterable[Environment]) -> Iterator[dict[str, Any]]:
    """Request own domains, other environments' domains and an unknown one, on every published web port."""
    # The front door answers for all that are behind it, as it should.
    behind = is_routed(environment)
    foreign = [domain for other in others if not (behind and is_routed(other)) for domain in other.domains[:1]]
    wanted = [(domain, "own") for domain in environment.domains[:3]]
    wanted += [(domain, "foreign") for domain in foreign[:5]] + [(_UNKNOWN, "unknown")]
    addresses = ((FRONT_DOOR, False),) if behind else _published_at(environment)
    for port, tls, standard in ((environment.http_port, False, 80), (environment.https_port, True, 443)):
        if port is None:
            continue
        for domain, kind in wanted:
            header = domain if port == standard else f"{domain}:{port}"
            for address, optional in addresses:
                yield {
                    "kind": kind,
                    "address": address,
                    "optional": optional,
                    "port": port,
                    "tls": tls,
                    "host": domain,
                    "host_header": header,
                    "path": "/",
                }


def _published_at(environment: Environment) -> tuple[tuple[str, bool], ...]:
    """Where an environment's ports are asked, and whether they need not be there."""
    bound = str(environment.variables.get("bulkhead_bind_address") or "").strip("[]")
    # A port published on every address is on [::1] as well, if the machine has IPv6.
    return (("127.0.0.1", False), ("::1", True)) if bound in ("", "::") else ((bound, False),)


def own_request(environment: Environment) -> dict[str, Any] | None:
    """A request for the environment's first domain at its own HTTPS port; None if it has no such port or domain."""
    return next(
        (request for request in _requests(environment, ()) if request["kind"] == "own" and request["tls"]), None
    )


def own_requests(environment: Environment) -> list[dict[str, Any]]:
    """Requests for the environment's own domains, and for the first static file of its start page."""
    requests = [request for request in _requests(environment, ()) if request["kind"] == "own"]
    page = own_request(environment)
    return [*requests, *([{**page, "kind": "asset", "path": _STATIC}] if page else [])]


def judge_probes(
    environment: Environment,
    others: Iterable[Environment],
    probes: Probes,
    result: Mapping[str, Any],
    services: Mapping[str, Mapping[str, Any]],
) -> list[Finding]:
    """Judge what the module ``verify`` returned (``result``). ``services`` are those of the release in force, as
    returned by :func:`registered.services_of`."""
    judged = judge_answers(environment, others, probes, result)
    return [*judged, *_health(environment, result["observation"], services)]


def judge_answers(
    environment: Environment, others: Iterable[Environment], probes: Probes, result: Mapping[str, Any]
) -> list[Finding]:
    """Judge what was answered, apart from whether all services are there."""
    bystanders = [other for other in others if other.prefix != environment.prefix]
    return [
        *_inside(environment, probes, result["inside"]),
        *_answers(environment, bystanders, result["answers"]),
        *_replies(environment, bystanders, result["replies"]),
        *server_findings(environment, result["replies"], result["observation"]),
    ]


def _finding(
    environment: Environment, rule: str, severity: Severity, resource: str, message: str, fix: str, *hazards: str
) -> Finding:
    where = (Where(item="probed on the machine"),)
    return Finding(rule, severity, (environment.prefix,), resource, message, fix, where, environment.machine, hazards)


def _inside(environment: Environment, probes: Probes, inside: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    for container in inside:
        name = container["container"]
        if container["error"]:
            yield _finding(
                environment,
                "probe-failed",
                Severity.MEDIUM,
                f"container {name}",
                f"Container {name} could not be probed from inside, so its isolation is not proved: "
                f"{container['error']}",
                "Make sure that the machine has python3 and that the deploying user may run containers.",
            )
        for foreign in container["resolved"]:
            owner = probes.owners.get(foreign, "another environment")
            yield _finding(
                environment,
                "foreign-name-resolves",
                Severity.CRITICAL,
                f"name {foreign}",
                f"Container {name} resolves the name {foreign} of {owner}: the two share a network.",
                f"Find the network with containers of both (docker network inspect) and disconnect those of {owner}.",
                "NW-02",
                "NW-03",
            )
        if container.get("late"):
            yield _finding(
                environment,
                "probe-failed",
                Severity.MEDIUM,
                f"container {name}",
                f"The probes from inside container {name} took too long, and not all were made.",
                "Run aiia.bulkhead.verify again when the machine is less busy.",
            )
        for address, port in map(tuple, container.get("entered", ())):
            owner = probes.owner(address, port)
            yield _finding(
                environment,
                "foreign-server-lets-in",
                Severity.CRITICAL,
                f"{address}:{port}",
                f"Container {name} can reach the server of {owner} at {address}:{port}, which asks for no password.",
                f"Close that port to {environment.prefix}, and give that server a password.",
                "DB-01",
                "SE-04",
            )
        for address, port in map(tuple, container["connected"]):
            owner = probes.owner(address, port)
            yield _finding(
                environment,
                "foreign-port-connects",
                Severity.HIGH,
                f"{address}:{port}",
                f"Container {name} can connect to {address}:{port} of {owner}.",
                f"Publish the port of {owner} on 127.0.0.1 only or not at all, or guard {environment.prefix} "
                "(bulkhead_firewall: true).",
                "NW-05",
                "NW-16",
            )


def _answers(
    environment: Environment, others: Sequence[Environment], answers: Iterable[Mapping[str, Any]]
) -> Iterator[Finding]:
    for answer in answers:
        url, status = f"{'https' if answer['tls'] else 'http'}://{answer['host_header']}", answer["status"]
        over = " over IPv6" if ":" in answer.get("address", "") else ""
        if answer["kind"] == "asset":
            yield from _asset(environment, url, answer)
        elif not status and answer.get("optional"):
            continue
        elif answer["kind"] == "own":
            yield from _own_domain(environment, others, url, over, answer)
        elif status and status not in _REFUSALS:
            yield _finding(
                environment,
                "answers-foreign-host",
                Severity.HIGH,
                url,
                f"{environment.prefix} answers {url}{over} with {status}, but {answer['host']} is not its domain.",
                "Give its nginx a default server that refuses requests (return 444, ssl_reject_handshake on).",
                "WB-01",
                "WB-02",
            )


def _own_domain(
    environment: Environment, others: Sequence[Environment], url: str, over: str, answer: Mapping[str, Any]
) -> Iterator[Finding]:
    status = answer["status"]
    if not status:
        yield _finding(
            environment,
            "own-domain-unanswered",
            Severity.HIGH,
            url,
            f"{url} is a domain of {environment.prefix}, but does not answer{over} ({answer['error']}).",
            "Check the log of the nginx container, and what else listens on that port.",
            "PT-01",
        )
        return
    if status in _BACKEND_DOWN:
        yield _finding(
            environment,
            "own-domain-unanswered",
            Severity.HIGH,
            url,
            f"{url} is a domain of {environment.prefix}, but its web server answers{over} with {status}: its backend "
            "is down.",
            "Check the log of the nginx container, and whether it and the application share a network.",
        )
    header = str(environment.variables.get("bulkhead_environment_header") or "").lower()
    who = answer["headers"].get(header, "") if header else environment.prefix
    if who != environment.prefix:
        yield _finding(
            environment,
            "own-domain-elsewhere",
            Severity.CRITICAL,
            url,
            f"{url} is answered{over} by {who or 'something other than ' + environment.prefix}.",
            "Find out what listens on that port (ss -ltnp), and stop it or choose another port.",
            "PT-01",
            "PT-02",
            "WB-01",
        )
    yield from _redirect(environment, url, str(answer["headers"].get("location", "")))
    yield from _cookies(environment, others, url, answer["cookies"])


def _asset(environment: Environment, url: str, answer: Mapping[str, Any]) -> Iterator[Finding]:
    if answer["status"] != 404:
        return
    root = environment.variables.get("bulkhead_static_root")
    yield _finding(
        environment,
        "static-missing",
        Severity.LOW,
        url,
        f"the start page of {environment.prefix} names {answer['path']}, and {url}{answer['path']} answers 404: pages "
        "look broken although every request for a page succeeds",
        f"let the application collect its static files in {root} (bulkhead_prepare), or serve them itself "
        '(bulkhead_static_root: "")'
        if root
        else "let the application serve that file: nginx passes these requests to it (bulkhead_static_root is empty)",
    )


def _redirect(environment: Environment, url: str, location: str) -> Iterator[Finding]:
    if not location:
        return
    target = urlsplit(location)
    if not target.hostname:
        return
    port = target.port or (443 if target.scheme == "https" else 80)
    ours = {environment.http_port, environment.https_port}
    if target.hostname in environment.domains and port not in ours:
        yield _finding(
            environment,
            "redirect-leaves-ports",
            Severity.HIGH,
            url,
            f"{url} redirects to {location}, but port {port} is not this environment's.",
            "Keep the published port in redirects (return 301 https://$host:PORT$request_uri).",
            "WB-08",
        )


def _cookies(
    environment: Environment, others: Sequence[Environment], url: str, cookies: Iterable[str]
) -> Iterator[Finding]:
    for cookie in cookies:
        name, *attributes = (part.strip() for part in cookie.split(";"))
        scope = next((part[7:].lstrip(".").lower() for part in attributes if part.lower().startswith("domain=")), "")
        reached = [other.prefix for other in others for domain in other.domains if scope and _covers(scope, domain)]
        if reached:
            yield _finding(
                environment,
                "cookie-reaches-others",
                Severity.CRITICAL,
                f"cookie {name}",
                f"{url} sets the cookie {name} for {scope}, which browsers send to "
                f"{', '.join(dict.fromkeys(reached))} too.",
                "Set cookies without a domain (SESSION_COOKIE_DOMAIN, CSRF_COOKIE_DOMAIN).",
                "WB-10",
            )


def _covers(scope: str, domain: str) -> bool:
    """RFC 6265, domain-match."""
    return domain == scope or domain.endswith(f".{scope}")


def _replies(
    environment: Environment, others: Sequence[Environment], replies: Iterable[Mapping[str, Any]]
) -> Iterator[Finding]:
    for reply in replies:
        if reply["kind"] != "database":
            continue
        if reply["code"]:
            yield _finding(
                environment,
                "probe-failed",
                Severity.MEDIUM,
                f"container {reply['container']}",
                f"The database server of {environment.prefix} did not answer: {reply['error']}",
                "Check the log of its container.",
            )
        for line in reply["lines"]:
            kind, name, *rest = line.split("|")
            owner = next((other.prefix for other in others if naming.owns(other.prefix, name)), "")
            if kind in ("database", "role") and owner:
                yield _finding(
                    environment,
                    "foreign-database",
                    Severity.CRITICAL,
                    f"{kind} {name}",
                    f"The database server of {environment.prefix} holds the {kind} {name} of {owner}.",
                    f"Move the data of {owner} to its own server and drop the {kind} here.",
                    "DB-01",
                    "DB-02",
                )
            if kind == "role" and rest[:1] == ["true"] and _is_applications(environment, name):
                yield _finding(
                    environment,
                    "application-superuser",
                    Severity.HIGH,
                    f"role {name}",
                    f"The application of {environment.prefix} connects as {name}, which is a superuser.",
                    f"ALTER ROLE {name} NOSUPERUSER",
                    "DB-03",
                )


def _is_applications(environment: Environment, role: str) -> bool:
    """Whether a role is the application's, or one of those by which it logs in."""
    user, login = (str(environment.variables.get(f"bulkhead_database_{what}") or "") for what in ("user", "login"))
    return role in {user, login} - {""} or bool(user and re.fullmatch(re.escape(user) + "_[0-9a-f]{4}", role))


def _health(
    environment: Environment, observation: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    for resource, wrong in unwell(environment, observation, services):
        kind, _space, name = resource.partition(" ")
        fix = "A deployment creates it again."
        if kind == "container":
            fix = f"See docker logs {name}; start it with ansible-playbook aiia.bulkhead.restart -l <environment>"
        yield _finding(environment, "unhealthy", Severity.HIGH, resource, wrong, fix)
