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

from ..core.directory import Tree, read_through
from ..core.owner import is_below
from ..core.places import private_place
from ..docker.engine import EngineError
from ..state.directories import holders_of
from ..state.home import Home

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s[A-Za-z0-9+/=\s:,-]*?-----END \1-----")
#: What tools write between the blocks of a PEM file.
_BETWEEN = re.compile(rb"\s*(?:(?:#|subject|issuer|Bag Attributes|[ \t]).*\s*)*\Z")


def read_source(path: str, home: Home) -> bytes | None:
    """The content of a regular file of the machine; None if there is none.

    Raises PathError if another user could have made a link on the way, TreeError if it cannot be read, EngineError if
    it belongs to another environment, another user or to Bulkhead, or is outside of the environment's directory and
    neither a certificate nor a key.
    """
    real, own = os.path.realpath(path), os.path.realpath(home.directory)
    if is_below(real, os.path.realpath(home.state)):
        raise _refusal(path, "it belongs to Bulkhead")
    if is_below(real, own) and not is_below(real, os.path.join(own, home.PRIVATE)):
        return Tree(own).read(os.path.relpath(real, own))
    holders = ["Bulkhead"] if is_below(real, own) else holders_of(home.state, real, path, home.prefix)
    why = "it belongs to %s" % holders[0] if holders else private_place(real, home.uid)
    if why:
        raise _refusal(path, why)
    content = read_through(real)  # not by the first path: one of its links may have been exchanged since
    if content is not None and b"BEGIN OPENSSH PRIVATE KEY" in content:
        raise _refusal(path, "it is a key of OpenSSH, which no web server can use")
    if content is not None and not (_PEM.search(content) and _BETWEEN.match(_PEM.sub(b"\n", content))):
        raise _refusal(path, "outside of the environment's directory only certificates and keys (PEM) are copied")
    return content


def _refusal(path: str, why: str) -> EngineError:
    return EngineError("%s is not copied into a release: %s" % (path, why))
