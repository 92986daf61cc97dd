# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners and origins of domains, what patterns cover, and which nginx loads which file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ....module_utils.core.addresses import overlap
from ..declared import is_routed
from ..model import Directive, Environment, Fleet
from ..readers.nginx.meaning import ServerBlock, is_pattern, servers
from .service_kinds import front_service, is_front_door

#: The most other environments that a finding lists.
MOST = 8
#: The most attempts to match regular expressions with domains, so that large fleets take linear time.
_MOST_TRIES = 2_000_000

#: The most unbounded parts of an expression; with more of them, matching takes too long.
_MOST_UNBOUNDED = 3
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?<[=!]|\(\?P?[=>(]|\(|\)|[*+|]|\{\d*,\d*\}|.", re.DOTALL)
_TAIL = re.compile(r"((?:[\w-]|\\\.|\\-)+)\$?$")


class Domains:
    """An index of a fleet's domains, by domain and by parent domain."""

    def __init__(self, fleet: Fleet) -> None:
        self.of: dict[str, tuple[str, ...]] = {}
        self.below: dict[str, list[tuple[str, str]]] = {}
        self._environments = fleet.by_prefix
        self._tries = 0
        self._matched: dict[str, list[tuple[str, str]]] = {}
        for environment in fleet.environments:
            names = dict.fromkeys(
                domain.lower().rstrip(".") for domain in environment.domains if not is_pattern(domain)
            )
            self.of[environment.prefix] = tuple(names)
            for name in names:
                for suffix in _suffixes(name):
                    self.below.setdefault(suffix, []).append((name, environment.prefix))

    def covered(self, scope: str, prefix: str) -> list[tuple[str, str]]:
        """Others' domains that are ``scope`` or below it, as (domain, owner), at most :data:`MOST`."""
        return self._others(self.below.get(scope.lower(), ()), prefix)

    def exactly(self, domain: str, prefix: str) -> list[tuple[str, str]]:
        """Others that have exactly this domain, as (domain, owner)."""
        items = self.below.get(domain.lower(), ())
        return self._others((item for item in items if item[0] == domain.lower()), prefix)

    def by_name_pattern(self, name: str, prefix: str) -> list[tuple[str, str]]:
        """Others' domains that a ``server_name`` pattern matches."""
        if name.startswith("~"):
            return self.by_expression(name[1:], prefix, search=True)
        if name.startswith("."):
            return self.covered(name[1:], prefix)
        if name.startswith("*."):
            return [item for item in self.covered(name[2:], prefix) if item[0] != name[2:].lower()]
        if name.endswith(".*"):
            stem = name[:-1].lower()
            every = (item for items in self.below.values() for item in items)
            return self._others((item for item in every if item[0].startswith(stem)), prefix)
        return []

    def by_expression(self, expression: str, prefix: str, *, search: bool) -> list[tuple[str, str]]:
        """Others' domains that a regular expression matches."""
        key = f"{search}{expression}"
        if key not in self._matched:
            self._matched[key] = self._match(expression, search)
        return self._others(self._matched[key], prefix)

    def _match(self, expression: str, search: bool) -> list[tuple[str, str]]:
        compiled = safe_expression(expression)
        if compiled is None:
            return []
        tail = _TAIL.search(expression)
        # The first label of the tail may be partial, as the expression continues before it; the others are complete.
        suffix = tail[1].replace("\\", "").partition(".")[2].lower() if tail and "." in tail[1] else ""
        if suffix:
            candidates: Iterable[tuple[str, str]] = self.below.get(suffix, ())
        else:
            candidates = ((name, owner) for owner, names in self.of.items() for name in names)
        matching = []
        for item in candidates:
            self._tries += 1
            if self._tries > _MOST_TRIES:
                break
            if compiled.search(item[0]) if search else compiled.match(item[0]):
                matching.append(item)
        return matching

    @staticmethod
    def _others(items: Iterable[tuple[str, str]], prefix: str) -> list[tuple[str, str]]:
        return list(islice((item for item in items if item[1] != prefix), MOST))


def domains(fleet: Fleet) -> Domains:
    """The fleet's index of domains."""
    return fleet.derived(Domains)


def safe_expression(expression: str) -> re.Pattern[str] | None:
    """The compiled expression, or ``None`` if it is invalid or might take exponential time."""
    if len(expression) > 1000 or not _ends(expression):
        return None
    try:
        return re.compile(re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", expression), re.IGNORECASE)
    except (re.error, OverflowError, RecursionError):
        return None


def _ends(expression: str) -> bool:
    """Whether matching is fast: no repeated part is itself variable, and few parts are unbounded."""
    varies = [False]  # for each open group: whether it can match a text in several ways
    unbounded, closed = 0, False
    for part in _PART.findall(expression):
        repeats = part in ("*", "+") or part.startswith("{")
        if part.startswith("\\") and part[1:].isdigit():
            return False  # a reference back
        if repeats:
            unbounded += 1
            if closed or unbounded > _MOST_UNBOUNDED:
                return False
        if part == "(" or part.startswith("(?"):
            if part != "(" and not part.startswith(("(?<=", "(?<!")):
                return False
            varies.append(False)
        closed = part == ")" and varies[-1]
        if part == ")" and len(varies) > 1:
            inner = varies.pop()
            varies[-1] = varies[-1] or inner
        elif repeats or part == "|":
            varies[-1] = True
    return True


def _suffixes(name: str) -> Iterator[str]:
    labels = name.split(".")
    return (".".join(labels[index:]) for index in range(len(labels)))


def origins(environment: Environment, domain: str) -> tuple[str, ...]:
    """The web origins of an environment under a domain: scheme, host, and the port unless it is the standard one."""
    found = []
    if environment.https_port:
        found.append(f"https://{domain}" + ("" if environment.https_port == 443 else f":{environment.https_port}"))
    if environment.http_port:
        found.append(f"http://{domain}" + ("" if environment.http_port == 80 else f":{environment.http_port}"))
    return tuple(found) or (f"https://{domain}", f"http://{domain}")


def machine_path(environment: Environment, path: str) -> str:
    """The path of an environment's file on the machine, as far as it is known."""
    return posixpath.normpath(posixpath.join(environment.directory or "/", path))


def is_usual(environment: Environment) -> bool:
    """Whether an environment uses the standard ports, which URLs need not name."""
    return environment.https_port == 443 or environment.http_port == 80


def neighbours(fleet: Fleet, environment: Environment) -> list[str]:
    """Other environments on the same machine, at most :data:`MOST`."""
    others = (other.prefix for other in fleet.machines[environment.machine] if other.prefix != environment.prefix)
    return list(islice(others, MOST))


def owner_of_port(fleet: Fleet, environment: Environment, port: int, *, outside: bool = False) -> str:
    """Who answers on a TCP port of the addresses at which an environment is reached: the first environment that
    publishes it there, by its claims or declared ports. With ``outside``, who answers to other machines."""
    claims = fleet.claims("host-port")
    taken = claims.get((environment.machine, f"{port}/tcp"), ())
    if not taken:
        return fleet.derived(_declared_ports).get((environment.machine, port), "")
    own = {
        str(claim.attributes.get("ip") or "")
        for published in (environment.http_port, environment.https_port)
        for claim in claims.get((environment.machine, f"{published}/tcp"), ())
        if claim.owner == environment.prefix
    }
    at = ((claim.owner, str(claim.attributes.get("ip") or "")) for claim in taken)
    for owner, address in at:
        if any(overlap(address, mine) for mine in own or {""}) and not (outside and is_loopback(address)):
            return owner
    return ""


def _declared_ports(fleet: Fleet) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for environment in fleet.environments:
        if is_routed(environment):
            continue  # these are the front door's
        for port in (environment.http_port, environment.https_port):
            if port:
                found.setdefault((environment.machine, port), environment.prefix)
    return found


def outsiders_reach_nginx(environment: Environment) -> bool:
    """Whether requests reach the nginx of an environment past its own proxy or tunnel, as far as its files tell.

    They do not if it runs in a container that publishes no port, or only on loopback for a proxy of the machine.
    """
    front = [(project, service) for project, name, service in environment.services() if is_front_door(name, service)]
    on_machine = any(directive.where.file.startswith("/etc/nginx/") for directive in environment.nginx)
    if environment.variables or not front or on_machine:
        return True
    for project, service in front:
        external = any((project.networks.get(key) or {}).get("external") for key in service.get("networks") or ())
        ports = (str(port.get("host_ip") or "") for port in service.get("ports") or ())
        if external or service.get("network_mode") == "host" or not all(map(is_loopback, ports)):
            return True
    return False


def of_machine(environment: Environment) -> bool:
    """Whether an environment's nginx files, which others wrote, are for the machine's nginx, which has those of all."""
    services = list(environment.services())
    known = bool(environment.nginx and services and not environment.variables)
    return known and not any(is_front_door(name, service) for _project, name, service in services)


def is_loopback(address: str) -> bool:
    """Whether only the machine itself reaches an address."""
    return address.startswith("127.") or address.strip("[]") in ("::1", "localhost")


def own_servers(environment: Environment) -> Sequence[ServerBlock]:
    """The servers of an environment's nginx files."""
    return environment.derived(_servers)


def _servers(environment: Environment) -> list[ServerBlock]:
    return servers(environment.nginx)


def instances(fleet: Fleet) -> dict[str, list[tuple[Environment, list[Directive]]]]:
    """The environments and directives by nginx that loads them: the machine's, or the container that mounts them."""
    return fleet.derived(_instances)


def _instances(fleet: Fleet) -> dict[str, list[tuple[Environment, list[Directive]]]]:
    mounts = _front_door_mounts(fleet)
    found: dict[str, dict[str, tuple[Environment, list[Directive]]]] = {}
    for environment in fleet.environments:
        own = front_service(environment)
        keys: dict[str, str] = {}
        for directive in environment.nginx:
            file = directive.where.file
            if file not in keys:
                keys[file] = _instance(environment, machine_path(environment, file), own, mounts)
            key = keys[file]
            found.setdefault(key, {}).setdefault(environment.prefix, (environment, []))[1].append(directive)
    return {key: list(members.values()) for key, members in found.items()}


def _instance(environment: Environment, path: str, own: str, mounts: dict[tuple[str, str], str]) -> str:
    if path.startswith(("/etc/nginx/", "/usr/local/etc/nginx/", "/opt/nginx/")):
        return f"the nginx of {environment.machine}"
    step = path
    while step not in ("", "/"):
        mounted = mounts.get((environment.machine, step))
        if mounted:
            return mounted
        step = posixpath.dirname(step)
    if own:
        return f"{environment.prefix}/{own}"
    return f"the nginx of {environment.machine} that reads {posixpath.dirname(path)}"


def _front_door_mounts(fleet: Fleet) -> dict[tuple[str, str], str]:
    """The machine's directories and files that web servers mount, with the service that does."""
    found: dict[tuple[str, str], str] = {}
    for environment in fleet.environments:
        for _unused, name, service in environment.services():
            if is_front_door(name, service):
                for volume in service.get("volumes") or ():
                    if volume.get("type") == "bind" and volume.get("source"):
                        key = (environment.machine, posixpath.normpath(str(volume["source"])))
                        found.setdefault(key, f"{environment.prefix}/{name}")
    return found


def machine_path_of(environment: Environment, path: str, service_names: Sequence[str] = ()) -> str:
    """The machine's path for a path in the web server's container; empty if it is not mounted."""
    front = [(name, service) for _unused, name, service in environment.services() if is_front_door(name, service)]
    if not front:
        return posixpath.normpath(path)
    for name, service in front:
        if service_names and name not in service_names:
            continue
        for volume in service.get("volumes") or ():
            target = posixpath.normpath(str(volume.get("target") or "/"))
            if volume.get("type") == "bind" and (path == target or path.startswith(target.rstrip("/") + "/")):
                return posixpath.normpath(f"{volume['source']}/{path[len(target) :]}")
    return ""
