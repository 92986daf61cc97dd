# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one step of a run passes to the next.

It is kept as :mod:`kept` does, never in facts or variables: tasks and ``-e`` can set those.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .kept import forget, keep, kept


@dataclass(frozen=True)
class Note:
    """A remark on a run; if it comes from a finding, with its rule."""

    text: str
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}" if self.rule else self.text


@dataclass
class Session:
    """One job on one environment: its lock's token, when it began, and the machine as it was before.

    ``over`` says that the lock was released and bystanders were compared. ``released`` is the environment's registry
    entry with the kept release that this job returns to, ``digest`` that of the release that was judged on the machine.
    ``steps`` are the modules called, ``changed`` is what they did, as :meth:`Step.as_dict` has it. ``commit`` is what
    was checked out, ``converged`` the commit and the release that are in force since this run, ``permissions`` what
    ``-e`` permits it, ``plan`` the digest of the plan that it applies. ``pins`` are a stack's images by digest, and
    ``versions`` those of its files that only a manager has.
    """

    prefix: str
    token: str
    began: str
    observation: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    over: bool = False
    released: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    commit: str = ""
    converged: dict[str, str] = field(default_factory=dict)
    permissions: dict[str, Any] = field(default_factory=dict)
    plan: str = ""
    pins: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def save(self) -> None:
        """Keep the session for the next step of this run."""
        keep(_name(self.prefix), self)

    def has_converged(self, answer: Mapping[str, Any]) -> None:
        """Note what a successful deployment brought into force."""
        if not answer.get("failed"):
            self.converged = {name: str(answer.get(name) or "") for name in ("commit", "release")}

    def end(self) -> None:
        """End the session: no later step continues it."""
        self.over = True
        forget(_name(self.prefix))


def begun(prefix: str) -> Session | None:
    """The session that an earlier step of this run began, or None."""
    found = kept(_name(prefix))
    return found if isinstance(found, Session) else None


def _name(prefix: str) -> str:
    return f"session-{prefix}"


def now() -> str:
    """The time as receipts have it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def holder() -> str:
    """The user and the controller that run this, for others to read."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container of a pipeline may run as a number that has no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
