# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that services bring along, as configs and secrets of a swarm.

Neither can be changed, so the name carries a version. A secret's version is a slow digest: whoever reads the name could
otherwise try out values.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

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
    whole = f"{path}\0{content}".encode("utf-8", "surrogatepass")
    return (_slow(prefix, whole) if secret else hashlib.sha256(whole).hexdigest())[:10]


@lru_cache(maxsize=256)
def _slow(prefix: str, whole: bytes) -> str:
    """A digest that costs about 50 ms, so that names do not help to guess what they are made of."""
    return hashlib.scrypt(whole, salt=prefix.encode(), n=16384, r=8, p=1, maxmem=64 << 20, dklen=16).hex()
