# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that services bring along, as configs and secrets of a swarm.

Neither can be changed, so the name carries a version; see ``module_utils/stack/versions.py``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from ...module_utils.stack.versions import version_of
from ..isolation import naming
from ..isolation.model import SEAL
from .stack import StackFile

#: Stands for the version of a file that only the manager reads, until it does.
UNREAD = "0" * 10


class SwarmFiles:
    """The configs and secrets of one stack. Each has one entry, however many services mount it.

    ``texts`` are the contents of files by path, ``brought`` the files that services bring along.
    """

    def __init__(
        self, prefix: str, labels: Mapping[str, str], brought: Iterable[StackFile], texts: Mapping[str, str]
    ) -> None:
        self._prefix = prefix
        self._labels = labels
        self._brought = {posixpath.normpath(file.path): file for file in brought}
        self._texts = texts
        #: What the stack file has under ``configs`` and ``secrets``.
        self.sections: dict[str, dict[str, Any]] = {"configs": {}, "secrets": {}}

    def mounted(self, source: str, target: str) -> list[tuple[str, dict[str, Any]]]:
        """What takes the place of a bind mount of ``source``, a path below the environment's directory.

        Yields (section of a service, entry) for each file at or below it; nothing where nobody brings a file there.
        """
        found = []
        for path, file in self._brought.items():
            inside = posixpath.relpath(path, source)
            if inside == "." or not inside.startswith(".."):
                place = target if inside == "." else posixpath.join(target, inside)
                section = "secrets" if file.secret else "configs"
                found.append((section, {"source": self._entry(section, path, file), "target": place}))
        return found

    def _entry(self, section: str, path: str, file: StackFile) -> str:
        """The key of a file's entry in its section, made where it is missing."""
        content = "" if file.source and not file.content else self._texts.get(file.path, file.content)
        shown = path.removeprefix(".bulkhead/").removeprefix("private/").removeprefix("docker/")
        name = naming.stack_file_name(self._prefix, shown, _version(self._prefix, path, content, file.secret))
        key = name.removeprefix(f"{self._prefix}_")
        self.sections[section][key] = {"name": name, "file": f"./{path}", "labels": dict(self._labels)}
        return key


def _version(prefix: str, path: str, content: str, secret: bool) -> str:
    if not content or SEAL in content:
        return UNREAD
    return version_of(prefix, path, content.encode("utf-8", "surrogatepass"), secret)


def with_versions(compose: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """The mapping of a stack in which files that only the manager reads have the version that it read, by path."""
    renamed: dict[str, str] = {}
    found = dict(compose)
    for section in ("configs", "secrets"):
        entries: dict[str, Any] = {}
        for key, entry in (compose.get(section) or {}).items():
            version = versions.get(str(entry.get("file") or "").removeprefix("./"), "")
            if version and key.endswith(UNREAD):
                renamed[key] = key = key.removesuffix(UNREAD) + version
                entry = {**entry, "name": str(entry["name"]).removesuffix(UNREAD) + version}
            entries[key] = entry
        if entries:
            found[section] = entries
    found["services"] = {key: _renamed(service, renamed) for key, service in compose["services"].items()}
    return found


def _renamed(service: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    mounts = {
        section: [{**mount, "source": names.get(mount["source"], mount["source"])} for mount in service[section]]
        for section in ("configs", "secrets")
        if section in service
    }
    return {**service, **mounts}
