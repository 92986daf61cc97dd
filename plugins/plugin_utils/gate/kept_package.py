# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the package of a module for later runs, because making it takes a third of a deployment's processor time.

It lies where Python keeps the module's bytecode, so whoever can write it can change the code that Ansible runs anyway,
and Python's switches count (``PYTHONDONTWRITEBYTECODE``, ``PYTHONPYCACHEPREFIX``). It is used while the version of
Ansible is the same and each of its sources is unchanged, byte by byte.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from importlib.util import cache_from_source
from pathlib import Path

from ansible.plugins.loader import module_utils_loader
from ansible.release import __version__

from .package import ANSIBLE, COLLECTION, content


class KeptPackage:
    """The package of a module that an earlier run made, if there is one. ``kind`` tells packages of a module apart."""

    def __init__(self, name: str, kind: str) -> None:
        source = COLLECTION / "plugins" / "modules" / f"{name}.py"
        self._path = Path(cache_from_source(str(source))).with_suffix(f".{kind}.package")

    def keep(self, package: Path, sources: Mapping[str, bytes]) -> None:
        """Keep a package that Ansible has just made of these sources. Where that cannot be done, nothing is kept."""
        if sys.dont_write_bytecode or _foreign_sources():
            return
        # Ansible generates the others, each version in its own way.
        files = {name: source for name, source in sorted(sources.items()) if content(name) == source}
        made = package.read_bytes()
        head = {"ansible": __version__, "name": package.name, "files": [*files], "digest": _digest(made, files)}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _write(self._path, json.dumps(head).encode() + b"\n" + made)

    def restore(self, directory: Path) -> bool:
        """Put the package where Ansible looks for it. Returns whether there is one that still holds."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            line, _newline, made = self._path.read_bytes().partition(b"\n")
            head = json.loads(line)
            files = {name: content(name) for name in head["files"]}
            holds = head["ansible"] == __version__ and head["digest"] == _digest(made, files)
            if holds and not _foreign_sources():
                directory.mkdir(exist_ok=True)
                _write(directory / Path(head["name"]).name, made)
                return True
        return False


def _digest(made: bytes, files: Mapping[str, bytes | None]) -> str:
    """A digest of a package and of the files that it was made of."""
    found = blake2b(made)
    for name, source in files.items():
        found.update(f"\n{name} {-1 if source is None else len(source)}\n".encode())
        found.update(source or b"")
    return found.hexdigest()


def _foreign_sources() -> bool:
    """Whether there are directories from which Ansible takes a ``module_utils`` file in place of its own."""
    found = {Path(path).resolve() for path in module_utils_loader._get_paths(subdirs=False)}
    return any(path.is_dir() for path in found - {ANSIBLE / "module_utils"})


def _write(path: Path, data: bytes) -> None:
    """Replace a file atomically."""
    part = path.with_name(f"{path.name}-part")
    part.write_bytes(data)
    part.replace(path)
