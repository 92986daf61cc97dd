# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passwords in files of lines: one with a line break would be several, and each of them would open the server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ..declaration.model import Declaration

_BREAKS = ("\n", "\r")


class LinesFile(NamedTuple):
    """A file of lines: which service reads it, the secrets that the service needs, where it is, and its text."""

    service: str
    needed: Collection[str]
    path: str
    text: str


def check_lines(declaration: Declaration, files: Iterable[LinesFile], secrets: Mapping[str, str]) -> None:
    """Note each secret with a line break that a file of lines has, once."""
    told = set()
    for file in files:
        for name in file.needed:
            value = secrets.get(name) or ""
            if name in told or value not in file.text or not any(mark in value for mark in _BREAKS):
                continue
            told.add(name)
            declaration.problem(
                "invalid-setting",
                "bulkhead_secrets",
                f"{name} has a line break, and {file.service} reads its passwords line by line ({file.path}): each "
                "line would be a password of its own, an empty one too",
                "set it anew on one line: aiia.bulkhead.secrets -e bulkhead_secret=set -e bulkhead_secret_name="
                f"{name}, which leaves out the line end of a file",
                resource=f"bulkhead_secrets.{name}",
            )
