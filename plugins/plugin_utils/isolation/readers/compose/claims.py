# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claims of a Compose project on its machine, and its references."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...errors import ReaderError
from ...model import Claim, ComposeProject, Reference, Where
from ...naming import normalise_image
from .short_forms import port_range

#: Labels by which agents such as Traefik know a container, across all projects, up to the name.
_AGENT_LABEL = re.compile(r"(traefik\.(?:http|tcp|udp)\.(?:routers|services|middlewares)\.[^.]+)\.")
_AGENT_SETTINGS = ("VIRTUAL_HOST", "LETSENCRYPT_HOST")
#: System files that every container may mount read-only.
_COMMON_FILES = ("/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo", "/etc/ssl/certs", "/etc/machine-id")
_BRIDGE_NAME = "com.docker.network.bridge.name"

_Place = Callable[..., Where]


def claims_compose(project: ComposeProject, *, owner: str, machine: str) -> tuple[list[Claim], list[Reference]]:
    """The claims and references of one project, on the machine where it is deployed."""
    make = ProjectClaims(project, owner, machine)
    return list(make.claims()), list(make.references())


class ProjectClaims:
    """Makes the claims and references of one project."""

    def __init__(self, project: ComposeProject, owner: str, machine: str) -> None:
        self._project = project
        self._owner = owner
        self._machine = machine
        self._place: _Place = project.where if project.places else self._in_file

    def _in_file(self, *path: str | int) -> Where:
        return Where(self._project.file, 0, ".".join(map(str, path)))

    def _claim(
        self, namespace: str, value: str, where: Where, /, *, shareable: bool = False, **attributes: Any
    ) -> Claim:
        return Claim(namespace, self._machine, value, self._owner, where, shareable, attributes)

    def _reference(self, kind: str, target: str, where: Where, /, **attributes: Any) -> Reference:
        return Reference(kind, target, self._owner, where, attributes)

    def claims(self) -> Iterator[Claim]:
        """Yield the claims of the project, its networks, volumes, secret and config files, and services."""
        project = self._project
        yield from self._whole()
        for key, network in project.networks.items():
            yield from self._network(key, network)
        for key, volume in project.volumes.items():
            yield from self._volume(key, volume)
        for section in ("secrets", "configs"):
            for key, entry in getattr(project, section).items():
                if entry.get("file"):
                    where = self._place(section, key)
                    yield self._claim("path", entry["file"], where, kind="config", read_only=True, name=key)
        for name, service in project.services.items():
            yield from self._service(name, service)

    def _whole(self) -> Iterator[Claim]:
        """The names of the project itself."""
        project, named = self._project, self._place("name")
        yield self._claim("project", project.name, named, source=project.name_source)
        yield self._claim("bare-project", project.bare_name, named, source=project.name_source, project=project.name)

    def _network(self, key: str, network: Mapping[str, Any]) -> Iterator[Claim]:
        if network.get("external"):
            return
        where = self._place("networks", key)
        options = network.get("driver_opts") or {}
        yield self._claim(
            "network", network["name"], where, key=key, driver=network.get("driver", ""), driver_opts=options
        )
        for pool in network.get("ipam", {}).get("config") or ():
            if pool.get("subnet"):
                yield self._claim("subnet", pool["subnet"], where, network=network["name"])
        if options.get(_BRIDGE_NAME):
            yield self._claim("bridge", options[_BRIDGE_NAME], where, network=network["name"])

    def _volume(self, key: str, volume: Mapping[str, Any]) -> Iterator[Claim]:
        if volume.get("external"):
            return
        where = self._place("volumes", key)
        options = volume.get("driver_opts") or {}
        driver = volume.get("driver", "")
        yield self._claim("volume", volume["name"], where, key=key, driver=driver, driver_opts=options)
        device = str(options.get("device", ""))
        if device.startswith("/") and "bind" in re.split(r"\W", str(options.get("o", ""))):
            yield self._claim("path", device, where, kind="device", read_only=False, volume=volume["name"])

    def _service(self, name: str, service: Mapping[str, Any]) -> Iterator[Claim]:
        yield from self._containers_of(name, service)
        if service.get("hostname"):
            where = self._place("services", name, "hostname")
            yield self._claim("hostname", str(service["hostname"]), where, service=name)
        yield from self._ports(name, service)
        yield from self._paths(name, service)
        yield from self._image(name, service)
        yield from self._agents(name, service)

    def _containers_of(self, name: str, service: Mapping[str, Any]) -> Iterator[Claim]:
        """The names of a service's containers."""
        declared = service.get("container_name")
        if declared:
            yield self._claim("container", declared, self._place("services", name, "container_name"), service=name)
        else:
            where = self._place("services", name)
            for number in range(1, _copies(service) + 1):
                generated = f"{self._project.name}-{name}-{number}"
                yield self._claim("container", generated, where, service=name, generated=True)

    def _ports(self, name: str, service: Mapping[str, Any]) -> Iterator[Claim]:
        for index, port in enumerate(service.get("ports") or ()):
            published = str(port.get("published", ""))
            if not published:
                continue
            try:
                first, last = port_range(published)
            except ReaderError:
                continue  # Compose refuses it
            where = self._place("services", name, "ports", index)
            attributes = {"ip": port.get("host_ip", ""), "target": port.get("target"), "service": name}
            if self._project.swarm:
                attributes["mode"] = port.get("mode") or "ingress"
            if first != last:
                attributes["range"] = published
            for number in range(first, last + 1):
                yield self._claim("host-port", f"{number}/{port.get('protocol', 'tcp')}", where, **attributes)

    def _paths(self, name: str, service: Mapping[str, Any]) -> Iterator[Claim]:
        for index, mount in enumerate(service.get("volumes") or ()):
            source = mount.get("source", "")
            if mount.get("type") != "bind" or not source:
                continue
            read_only = bool(mount.get("read_only"))
            yield self._claim(
                "path",
                source,
                self._place("services", name, "volumes", index),
                shareable=read_only and _below(source, _COMMON_FILES),
                kind="bind",
                read_only=read_only,
                service=name,
                target=mount.get("target", ""),
            )
        for index, path in enumerate(service.get("env_file") or ()):
            where = self._place("services", name, "env_file", index)
            yield self._claim("path", path, where, kind="env_file", read_only=True, service=name)
        context = (service.get("build") or {}).get("context", "")
        if context.startswith("/"):
            where = self._place("services", name, "build", "context")
            yield self._claim("path", context, where, kind="context", read_only=True, service=name)

    def _image(self, name: str, service: Mapping[str, Any]) -> Iterator[Claim]:
        build = service.get("build")
        if build is None:
            return
        where = self._place("services", name, "image" if service.get("image") else "build")
        image = str(service.get("image") or f"{self._project.name}-{name}")
        for reference in dict.fromkeys((image, *build.get("tags", ()))):
            key = normalise_image(reference)
            yield self._claim("image", key, where, service=name, image=reference, context=build.get("context", ""))

    def _agents(self, name: str, service: Mapping[str, Any]) -> Iterator[Claim]:
        seen: set[str] = set()
        labels = dict(service.get("labels") or {})
        if self._project.swarm:  # there agents read the labels of services
            labels.update((service.get("deploy") or {}).get("labels") or {})
        for label in labels:
            match = _AGENT_LABEL.match(label)
            if match and match[1] not in seen:
                seen.add(match[1])
                yield self._claim("label", match[1], self._place("services", name, "labels", label), service=name)
        environment = service.get("environment") or {}
        for key in _AGENT_SETTINGS:
            for host in filter(None, str(environment.get(key) or "").replace(" ", "").split(",")):
                where = self._place("services", name, "environment", key)
                yield self._claim("label", f"{key}={host.lower()}", where, service=name)

    def references(self) -> Iterator[Reference]:
        """Yield references to external networks and volumes, mounts, environment files, images, containers."""
        for section, kind in (("networks", "external-network"), ("volumes", "external-volume")):
            for key, entry in getattr(self._project, section).items():
                if entry.get("external"):
                    yield self._reference(kind, entry["name"], self._place(section, key), key=key)
        for name, service in self._project.services.items():
            for index, mount in enumerate(service.get("volumes") or ()):
                if mount.get("type") == "bind":
                    where = self._place("services", name, "volumes", index)
                    read_only = bool(mount.get("read_only"))
                    yield self._reference("bind", mount.get("source", ""), where, service=name, read_only=read_only)
            for index, path in enumerate(service.get("env_file") or ()):
                yield self._reference("env-file", path, self._place("services", name, "env_file", index), service=name)
            if service.get("image") and "build" not in service:
                where = self._place("services", name, "image")
                image = str(service["image"])
                yield self._reference("image-use", normalise_image(image), where, service=name, image=image)
            yield from self._containers(name, service)

    def _containers(self, name: str, service: Mapping[str, Any]) -> Iterator[Reference]:
        named: Iterable[tuple[str, str]] = [
            *((key, str(service.get(key, ""))) for key in ("network_mode", "pid", "ipc")),
            *(("volumes_from", source) for source in service.get("volumes_from") or ()),
        ]
        for key, text in named:
            if text.startswith("container:"):
                target = text.split(":")[1]
                yield self._reference("container", target, self._place("services", name, key), service=name, how=key)
        for link in service.get("external_links") or ():
            where = self._place("services", name, "external_links")
            yield self._reference("container", link.split(":")[0], where, service=name, how="external_links")


def _copies(service: Mapping[str, Any]) -> int:
    """The number of containers of a service, at most 100."""
    deploy = service.get("deploy") or {}
    wanted = service.get("scale", deploy.get("replicas", 1))
    return max(0, min(wanted, 100)) if isinstance(wanted, int) else 1


def _below(path: str, parents: tuple[str, ...]) -> bool:
    path = posixpath.normpath(path)
    return any(path == parent or path.startswith(parent + "/") for parent in parents)
