# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine keeps of its front door on disk: settings, each environment's route, and what a door starts from.

A file that cannot be read concerns its own environment alone. Runs on the targets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.directory import DesiredFile, Tree, TreeError
from . import places
from .routes import DoorError, DoorSettings, Route, configuration, domain_map, entries, parse, render, routes_of

SETTINGS = os.path.join(places.FOLDER, "settings.json")
NODE = os.path.join(places.FOLDER, "node")
DOMAINS, CONFIGURATION = (os.path.join(places.GENERATED, name) for name in ("domains.map", "haproxy.cfg"))

_NONE = "this machine has no front door. Run the playbook aiia.bulkhead.edge on it"


class RoutesOnDisk(NamedTuple):
    """The routes by prefix, and what is wrong with the files of those that are ``damaged``. Of these, ``routes`` has
    what a door starts with; one that a door would not know either is left out."""

    routes: dict[str, Route]
    damaged: dict[str, str]


class Kept:
    """The files of the front door that belongs to a state directory."""

    def __init__(self, state: str) -> None:
        self.state = state
        self._tree = Tree(state, private=True, inner=0o700)

    def look(self) -> RoutesOnDisk:
        """Every route that is kept."""
        found = RoutesOnDisk({}, {})
        for name in self._tree.names(places.ROUTES):
            prefix, dot, extension = name.rpartition(".")
            if dot and extension == "json":
                try:
                    route = self._read(prefix)
                    if route:
                        found.routes[prefix] = route
                except (DoorError, TreeError) as error:
                    found.damaged[prefix] = str(error)
        if found.damaged:
            started_with = routes_of(entries(self._text(DOMAINS)))
            found.routes.update({prefix: started_with[prefix] for prefix in found.damaged if prefix in started_with})
        return found

    def routes(self) -> dict[str, Route]:
        """The routes by prefix, as a door starts with them."""
        return self.look().routes

    def settings(self) -> DoorSettings:
        """The machine's settings of the door, as they were last set up. Raises DoorError where there are none."""
        content = self._tree.read(SETTINGS)
        if content is None:
            raise DoorError(_NONE)
        try:
            said = json.loads(content.decode())
            values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in said.items()}
            return DoorSettings(**values)
        except (ValueError, TypeError, AttributeError) as error:
            raise DoorError(
                "%s is damaged. Run the playbook aiia.bulkhead.edge again" % self._tree.path(SETTINGS)
            ) from error

    def node(self) -> str:
        """Which door was set up last: a digest of its settings and image. Raises DoorError where there is none."""
        content = self._tree.read(NODE)
        if content is None:
            raise DoorError(_NONE)
        return content.decode(errors="replace").strip()

    def write_configuration(self, settings: DoorSettings, routes: Mapping[str, Route], node: str) -> None:
        """What the door starts from, as these settings and routes have it."""
        self._tree.make_directory(places.GENERATED)
        admin = places.admin_seen_by_door(self.state)
        for name, text in (
            (DOMAINS, domain_map(routes)),
            (CONFIGURATION, configuration(routes, settings, admin, node)),
        ):
            self._write(name, text.encode())

    def _write_route(self, route: Route) -> None:
        self._tree.make_directory(places.ROUTES)
        self._tree.sweep([_path(route.prefix)])
        self._write(_path(route.prefix), render(route))

    def _remove_route(self, prefix: str) -> None:
        self._tree.unlink(_path(prefix))

    def _read(self, prefix: str) -> Route | None:
        content = self._tree.read(_path(prefix))
        if content is None and self._tree.status(_path(prefix)) is not None:
            raise DoorError(
                "%s is not a regular file. Remove it, and deploy %s again" % (self._tree.path(_path(prefix)), prefix)
            )
        return None if content is None else parse(content, prefix)

    def _text(self, name: str) -> str:
        try:
            return (self._tree.read(name) or b"").decode(errors="replace")
        except TreeError:
            return ""

    def _write(self, name: str, content: bytes) -> None:
        file = DesiredFile(name, content, 0o600)
        if self._tree.differs(file):
            self._tree.write(file)


def _path(prefix: str) -> str:
    return os.path.join(places.ROUTES, "%s.json" % prefix)
