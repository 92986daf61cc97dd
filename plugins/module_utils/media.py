# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory of files in a container, such as uploaded media, as a tar stream of the engine's own.

``docker cp`` needs no program in the image, and reads stopped containers too. Runs on the targets.
"""

from __future__ import annotations

import os
import tarfile
from typing import Any, BinaryIO

from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.streams import StreamError


def listing(path: str) -> dict[str, int]:
    """Read an archive to its end: how many files it holds, and how large they are. Raises EngineError."""
    files = size = 0
    try:
        with tarfile.open(path, mode="r|") as archive:
            for member in archive:
                files += not member.isdir()
                size += member.size
    except (tarfile.TarError, OSError, EOFError) as error:
        raise EngineError("%s cannot be read to its end: %s" % (path, error)) from None
    return {"files": files, "size": size}


class Files:
    """The files below a path of a container."""

    def __init__(self, engine: Engine, container: dict[str, Any], path: str, limit: int = 0) -> None:
        self.engine = engine
        self.container = container
        self.path = path.rstrip("/")
        self.limit = limit

    def size(self) -> int | None:
        """About how many bytes there are; None where the image has nothing to tell by."""
        code, output, _errors = self.engine.docker("exec", self.container["Id"], "du", "-sk", self.path, limit=60)
        figure = output.split()[:1]
        return int(figure[0]) * 1024 if code == 0 and figure and figure[0].isdigit() else None

    def archive(self, target: BinaryIO) -> bool:
        """Write everything as one tar archive. False where there is no such directory yet."""
        place = "%s:%s" % (self.container["Id"], self.path)
        try:
            self.engine.stream(
                "copying %s" % self.path, "cp", "--follow-link", place, "-", target=target, limit=self.limit
            )
        except StreamError as error:
            if "Could not find the file" in error.detail:
                return False
            raise
        return True

    @property
    def root(self) -> str:
        """What the archive calls the directory."""
        return os.path.basename(self.path)
