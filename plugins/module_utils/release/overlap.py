# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of passwords that hold the earlier ones too until every container has the new ones. Looks only; runs on the
targets.

A file that a service marks with ``overlap`` is a set of lines, such as a pooler's list of logins. While containers are
replaced it has the lines of the release in force as well, and those of releases that a killed run began: containers of
both run.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.directory import DesiredFile
from ..state.home import Home
from .service import Service
from .store import Releases


def together(wanted: bytes, earlier: Iterable[bytes]) -> bytes:
    """The lines of earlier files that a file lacks, and then its own: of two about one user the last one counts."""
    return b"".join([*(line + b"\n" for line in ended(wanted, earlier)), wanted])


def ended(wanted: bytes, earlier: Iterable[bytes]) -> list[bytes]:
    """The lines of earlier files that a file lacks, each once."""
    stays = set(wanted.splitlines())
    lines = (line for text in earlier for line in text.splitlines() if line.strip())
    return [line for line in dict.fromkeys(lines) if line not in stays]


class Overlap:
    """The ``wanted`` files, and the ``earlier`` content of those that overlap, by path."""

    def __init__(self, wanted: Iterable[DesiredFile], earlier: dict[str, list[bytes]]) -> None:
        self._wanted = {file.path: file for file in wanted if file.path in earlier}
        self._earlier = earlier

    @classmethod
    def of(cls, home: Home, current: str, services: Iterable[Service], wanted: list[DesiredFile]) -> Overlap:
        """What overlaps where the wanted files follow the release ``current``: it may be one that is undone."""
        releases = Releases(home)
        before = [current] if current else []
        before += [name for name in releases.names() if name not in before and not releases.manifest(name)]
        paths = {path for service in (*services, *releases.services(current)) for path in service.overlaps}
        return cls(wanted, _contents(releases, before, paths))

    def undone(self, wanted: list[DesiredFile]) -> Overlap:
        """The same the other way round: these files are put back, and containers may run with those of before."""
        earlier = {path: [*texts] for path, texts in self._earlier.items()}
        for path, file in self._wanted.items():
            earlier[path].append(file.content)
        return Overlap(wanted, earlier)

    def wide(self) -> list[DesiredFile]:
        """The files with all lines, as far as there are more than the wanted ones."""
        found = [(file, together(file.content, self._earlier[path])) for path, file in self._wanted.items()]
        return [
            DesiredFile(file.path, content, file.mode, file.sensitive, file.source)
            for file, content in found
            if content != file.content
        ]

    def over(self, files: Iterable[DesiredFile]) -> list[DesiredFile]:
        """Files to write, with the wide ones in the place of those that overlap."""
        wide = {file.path: file for file in self.wide()}
        return [*(file for file in files if file.path not in wide), *wide.values()]

    def narrow(self) -> list[DesiredFile]:
        """The same files as they are wanted."""
        return [self._wanted[file.path] for file in self.wide()]

    def ended(self, service: Service) -> bytes:
        """The lines that a service's files lose in the end."""
        paths = [path for path in service.files if path in self._wanted]
        lines = [line for path in paths for line in ended(self._wanted[path].content, self._earlier[path])]
        return b"".join(line + b"\n" for line in lines)


def _contents(releases: Releases, names: Iterable[str], paths: set[str]) -> dict[str, list[bytes]]:
    """What releases have in some files."""
    found: dict[str, list[bytes]] = {path: [] for path in paths}
    for name in names:
        for path, content in releases.staged(name):
            if path in found:
                found[path].append(content)
    return found
