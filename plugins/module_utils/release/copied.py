# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are copied from the machine into a release, such as certificates. Runs on the targets.

They are read as root, so that not every file may be one: the environment's own may, and keys and certificates that
belong to nobody else.
"""

from __future__ import annotations

import os
import re

from ..core.below import read_below, read_regular
from ..core.directory import Tree
from ..docker.engine import EngineError
from ..state.registry import Registry, state_directory

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s[A-Za-z0-9+/=\s:,-]*?-----END \1-----")
#: What tools write between the blocks of a PEM file.
_BETWEEN = re.compile(rb"\s*(?:(?:#|subject|issuer|Bag Attributes|[ \t]).*\s*)*\Z")


def read_source(path: str, tree: Tree, configured_state: str = "") -> bytes | None:
    """The content of a file of the machine; None if there is none.

    Raises EngineError if it belongs to another environment or to Bulkhead, or is outside of the environment's directory
    and neither a certificate nor a key.
    """
    real, own = os.path.realpath(path), os.path.realpath(tree.directory)
    state = os.path.realpath(state_directory(configured_state))
    if _is_below(real, own) and not _is_below(real, os.path.join(own, tree.PRIVATE)):
        return read_below(own, os.path.relpath(real, own))
    if _is_below(real, state) or _is_below(real, own):
        raise _refusal(path, "it belongs to Bulkhead")
    for prefix, entry in sorted(Registry(state).entries().items()):
        if entry.get("directory") and _is_below(real, os.path.realpath(str(entry["directory"]))):
            raise _refusal(path, "it belongs to %s" % prefix)
    try:
        content = read_regular(real)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refusal(path, "it cannot be read: %s" % error.strerror) from error
    if content is None:
        raise _refusal(path, "it is not a file")
    if not _PEM.search(content) or not _BETWEEN.match(_PEM.sub(b"\n", content)):
        raise _refusal(path, "outside of the environment's directory only certificates and keys (PEM) are copied")
    return content


def _is_below(path: str, directory: str) -> bool:
    return (path + os.sep).startswith(os.path.join(directory, ""))


def _refusal(path: str, why: str) -> EngineError:
    return EngineError("%s is not copied into a release: %s" % (path, why))
