# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates for a build, from a file of the machine that is read as root. Runs on the targets."""

from __future__ import annotations

import os
import re
import ssl

from ..core.directory import read_through
from ..core.owner import Owner, is_below
from ..core.places import private_place
from ..docker.engine import EngineError
from ..state.directories import holders_of
from ..state.registry import state_directory

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)


def certificates(
    path: str, configured: str, prefix: str, owner: str = "", own: str = "", variable: str = "bulkhead_build_ca_bundle"
) -> str:
    """The certificates of a PEM file, and nothing else of it. ``own`` is the environment's directory, ``variable`` what
    named the file.

    Raises PathError if another user could have made a link on the way, TreeError if it cannot be read, EngineError if
    the file belongs to another environment, another user or to Bulkhead, or holds anything but certificates.
    """
    real = os.path.realpath(path)
    holders = holders_of(state_directory(configured), real, path, prefix)
    if holders:
        raise _refusal(path, variable, "it belongs to %s" % holders[0])
    why = "" if own and is_below(real, os.path.realpath(own)) else private_place(real, Owner(owner, path).uid)
    if why:
        raise _refusal(path, variable, why)
    content = read_through(real)  # not by the first path: one of its links may have been exchanged since
    if content is None:
        raise _refusal(path, variable, "it is not a file")
    blocks = list(_BLOCK.finditer(content.decode("utf-8", "replace")))
    if any(block[1] != "CERTIFICATE" for block in blocks):
        raise _refusal(path, variable, "it holds more than certificates (BEGIN CERTIFICATE), such as a private key")
    text = "".join("%s\n" % block[0] for block in blocks)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise _refusal(path, variable, "it holds no PEM certificates, or damaged ones") from None
    return text


def _refusal(path: str, variable: str, why: str) -> EngineError:
    return EngineError(
        "%s is not read (%s): %s. Name a file with CA certificates only, such as /etc/ssl/certs/ca-certificates.crt"
        % (path, variable, why)
    )
