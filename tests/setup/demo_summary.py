# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One screen: what of the demo runs where, and whether it answers."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import belongings
from belongings import Environment

ANSWER_SECONDS = 10


def state(container: dict[str, Any]) -> str:
    """ "healthy" where a health check says so, else what the engine says."""
    now = container["State"]
    return (now.get("Health") or {}).get("Status") or now["Status"]


def published(container: dict[str, Any]) -> list[tuple[str, int, str]]:
    """(address, port on the machine, port inside) of every published port."""
    ports = container["NetworkSettings"]["Ports"] or {}
    return [
        (binding["HostIp"], int(binding["HostPort"]), inside.partition("/")[0])
        for inside, bindings in sorted(ports.items())
        for binding in bindings or []
    ]


def domains(environment: Environment) -> list[str]:
    """The names that the environment's nginx answers to, as its own configuration says."""
    found: dict[str, None] = {}
    for path in sorted(environment.directory.glob("docker/nginx/*.conf")):
        for listed in re.findall(r"^\s*server_name\s+([^;]+);", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.update(dict.fromkeys(name for name in listed.split() if re.fullmatch(r"[a-z0-9.-]+", name)))
    return list(found)


class Resolved(http.client.HTTPSConnection):
    """HTTPS to an address under a name that no resolver knows; the demo's certificates are self-signed."""

    def __init__(self, name: str, address: str, port: int) -> None:
        super().__init__(name, port, timeout=ANSWER_SECONDS, context=ssl._create_unverified_context())
        self._address = address

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)  # type: ignore[attr-defined]


def answer(name: str, address: str, port: int) -> str:
    """What the environment says about itself over HTTPS."""
    connection = Resolved(name, address, port)
    try:
        connection.request("GET", "/health/")
        response = connection.getresponse()
        response.read()
        said = response.getheader("X-Environment")
    except (OSError, http.client.HTTPException) as exc:
        return f"no answer: {exc}"
    finally:
        connection.close()
    return f"{response.status}{f' from {said}' if said else ''}"


def reached(environment: Environment) -> list[tuple[str, int]]:
    """(address, port) where HTTPS requests for the environment are taken: by its nginx, or by the front door."""
    own = [
        (address, port)
        for container in environment.containers
        for address, port, inside in published(container)
        if inside == "443"
    ]
    door = belongings.door_settings()
    found = own or [(address, door["https_port"]) for address in door.get("addresses", ())]
    return [
        ("127.0.0.1" if address in ("", "0.0.0.0") else address, port) for address, port in found if ":" not in address
    ]


def urls(environment: Environment) -> Iterator[tuple[str, str, str]]:
    """(URL, how to call it from this machine, what it answers)."""
    for address, port in reached(environment):
        for name in domains(environment)[:1]:
            url = f"https://{name}/" if port == 443 else f"https://{name}:{port}/"
            yield url, f"curl -k --resolve {name}:{port}:{address} {url}", answer(name, address, port)


def describe(environment: Environment) -> Iterator[str]:
    yield f"{environment.group}: {environment.prefix}   {environment.directory}"
    for url, call, said in urls(environment):
        yield f"  {url}   answers {said}"
        yield f"    {call}"
    for container in sorted(environment.containers, key=lambda item: item["Name"]):
        ports = "  ".join(f"{host}:{port}->{inside}" for host, port, inside in published(container))
        image = container["Config"]["Image"]
        image = re.sub(r":([0-9a-f]{12})[0-9a-f]{28}$", r":\1", image)
        yield f"  {container['Name'].lstrip('/'):<26} {state(container):<10} {image:<36} {ports}".rstrip()
    yield f"  network {', '.join(environment.networks)}   volumes {', '.join(environment.volumes)}"


def main() -> int:
    environments = belongings.find()
    if not environments:
        print(f"Nothing of the demo is deployed under {belongings.demo_root()}. `make demo` deploys it.")
        return 1
    for environment in environments:
        print()
        print("\n".join(describe(environment)))
    for container in belongings.door():
        settings = belongings.door_settings()
        ports = "  ".join(f"{settings['addresses'][0]}:{settings[name]}" for name in ("http_port", "https_port"))
        image = container["Config"]["Image"]
        print(f"\nfront door of both\n  {container['Name'].lstrip('/'):<26} {state(container):<10} {image:<36} {ports}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
