# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one step of a run passes to the next.

It is kept in the run's own temporary directory, never in facts or variables.
"""

from __future__ import annotations

import getpass
import json
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import constants as C


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
    entry with the kept release that this job returns to. ``steps`` are the modules called, ``changed`` is what they
    did, as :meth:`Step.as_dict` has it.
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

    def save(self) -> None:
        """Write the session for the next step of this run."""
        path = _path(self.prefix)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def end(self) -> None:
        """End the session: no later step continues it."""
        self.over = True
        _path(self.prefix).unlink(missing_ok=True)


def begun(prefix: str) -> Session | None:
    """The session that an earlier step of this run began, or None."""
    try:
        kept = json.loads(_path(prefix).read_text(encoding="utf-8"))
        return Session(**{**kept, "notes": [Note(**note) for note in kept["notes"]]})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _path(prefix: str) -> Path:
    return Path(C.DEFAULT_LOCAL_TMP, f"bulkhead-session-{prefix}.json")


def now() -> str:
    """The time as receipts have it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def holder() -> str:
    """The user and the controller that run this, for others to read."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
