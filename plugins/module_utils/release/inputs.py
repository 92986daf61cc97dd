# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Compose reads: a copy of the files in force that the environment's owner cannot write. Runs on the targets.

Compose runs as root, and would follow a link that the owner puts in the place of ``.env``. It hashes what it read, not
from where: a person who calls Compose in the environment's directory recreates nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable

from ..core.directory import DesiredFile
from ..docker.engine import EngineError
from ..state.home import Home
from .service import Service

#: A service's key, as our Compose files are written; its value follows on the line, or as a list below.
_KEY = re.compile(r"    env_file:(?: (?P<value>\S.*))?\Z")
_ITEM = re.compile(r"    - (?P<path>path: )?(?P<value>\S.*)\Z")


def bring(home: Home, compose_file: str, files: list[DesiredFile], services: Iterable[Service]) -> None:
    """Let Compose read these files from now on. Raises EngineError where it cannot be told what it would read."""
    expected = sum(len(service.env_files) for service in services)
    home.bring([_input(home, compose_file, file, expected) for file in files])


def _input(home: Home, compose_file: str, file: DesiredFile, expected: int) -> DesiredFile:
    if file.path != compose_file:
        return DesiredFile(file.path, file.content, 0o600, file.sensitive)
    text = file.content.decode("utf-8", "surrogateescape")
    changed = with_own_settings(text, home.in_force.directory, expected)
    return DesiredFile(file.path, changed.encode("utf-8", "surrogateescape"), 0o600)


def with_own_settings(text: str, folder: str, expected: int) -> str:
    """A Compose file that reads the settings of its services below another folder.

    Raises EngineError unless that is so for as many files as are ``expected``.
    """
    lines, found, below = [], 0, False
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        key, item = _KEY.match(bare), _ITEM.match(bare) if below else None
        match = key if key and key["value"] not in (None, "[]") else item
        if match:
            found += 1
            start = match.start("value")
            line = "%s%s\n" % (bare[:start], _absolute(match["value"], folder))
        below = bool(item or (key and not key["value"]) or (below and bare.startswith("      ")))
        lines.append(line)
    if found != expected and "env_file" in text:
        raise EngineError(
            "the Compose file names %d files of settings (env_file) in a form that is known, and its services read %d: "
            "what Compose would read cannot be told. Write each on a line of its own" % (found, expected)
        )
    return "".join(lines)


def _absolute(value: str, folder: str) -> str:
    path = _plain(value)
    if os.path.isabs(path):
        return value
    if os.path.normpath(path).split(os.sep)[0] == "..":
        raise EngineError("env_file %s lies outside the environment's own directory" % path)
    return json.dumps(os.path.normpath(os.path.join(folder, path)).replace("$", "$$"), ensure_ascii=False)


def _plain(value: str) -> str:
    """A scalar of YAML on one line."""
    try:
        if value.startswith('"'):
            return str(json.loads(value))
    except ValueError:
        raise EngineError("env_file %s cannot be read" % value) from None
    return value[1:-1].replace("''", "'") if value.startswith("'") else value
