# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notifications: a run tells a receiver what begins and how it ended, and never waits for it.

Each event is sent by a process of its own. What became of it is a remark on the screen, never a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.utils.display import Display

from ...module_utils.core import notice
from .kept import keep, kept
from .session import Session, holder, now

#: What the steps that are told of are called; what a step of another name begins is not told.
ACTIONS = {"source": "deploy", "converge": "deploy", "rollback": "rollback", "restore": "restore"}

#: Steps of which only a failure is told, where they are no part of a deployment.
_FAILING = {"backup": "backup", "certificates": "renewal"}

#: Seconds that the end of a run gives the last event, to be able to say that it did not arrive.
_LAST_WAIT = 1.0


def receiver(values: Mapping[str, Any]) -> dict[str, Any]:
    """Whom ``bulkhead_notify`` names, as ``deliver`` takes it; empty where it is empty."""
    words = [str(word) for word in values.get("bulkhead_notify") or ()]
    if not words:
        return {}
    if words[0].startswith("https://"):
        headers = {str(name): str(value) for name, value in (values.get("bulkhead_notify_headers") or {}).items()}
        return {"url": words[0], "headers": headers}
    return {"command": words}


def webhook(values: Mapping[str, Any]) -> dict[str, Any]:
    """The receiver as far as a machine can tell it: a command is on the controller."""
    found = receiver(values)
    return found if "url" in found else {}


class Notifications:
    """The events of one environment's run. In check mode there are none."""

    def __init__(self, prefix: str, values: Mapping[str, Any], check_mode: bool = False) -> None:
        self.prefix = prefix
        self._to = {} if check_mode else receiver(values)

    def started(self, session: Session, step: str) -> None:
        """Tell once in a run that a deployment, rollback or restore begins."""
        action = ACTIONS.get(step)
        if self._to and action and not self._told:
            keep(self._name, {"action": action, "results": [self._send(session, action, "started", {})]})

    def ended(self, session: Session, step: str, receipt: Mapping[str, Any]) -> None:
        """Tell how what was begun ended, and of a failed backup or renewal. Shows what did not arrive."""
        action = str(self._told.get("action") or "")
        if not action and receipt.get("outcome") == "failed":
            action = _FAILING.get(step, "")
        if not self._to or not action:
            return
        results = [*self._told.get("results", ()), self._send(session, action, "ended", receipt)]
        keep(self._name, {})
        time_left = time.monotonic() + _LAST_WAIT
        for result in results:
            while not Path(result).exists() and time.monotonic() < time_left:
                time.sleep(0.02)
        for problem in dict.fromkeys(filter(None, map(_problem, results))):
            Display().warning(f"{self.prefix}: bulkhead_notify was not told: {problem}")

    @property
    def _told(self) -> dict[str, Any]:
        found = kept(self._name)
        return found if isinstance(found, dict) else {}

    @property
    def _name(self) -> str:
        return f"notify-{self.prefix}"

    def _send(self, session: Session, action: str, event: str, receipt: Mapping[str, Any]) -> str:
        """Start the process that sends an event. Returns the file in which it leaves the result."""
        payload = {
            "event": event,
            "environment": self.prefix,
            "action": action,
            "outcome": receipt.get("outcome"),
            "step": receipt.get("step"),
            "commit": session.converged.get("commit") or session.commit or None,
            "release": session.converged.get("release") or None,
            "receipt": receipt.get("path") or None,
            "by": holder(),
            "at": now(),
        }
        result = str(Path(tempfile.mkdtemp(prefix="notify-", dir=C.DEFAULT_LOCAL_TMP)) / "result")
        given = json.dumps({"to": self._to, "payload": payload, "result": result}).encode()
        try:
            # Address and headers reach it by standard input: no process list, environment or file has them.
            process = subprocess.Popen(
                [sys.executable, "-I", str(notice.__file__)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            if process.stdin is not None:  # it is always there; types do not know
                with process.stdin as stream:
                    stream.write(given)
        except OSError as error:
            Path(result).write_text(f"the process that tells it cannot be started: {error.strerror}", encoding="utf-8")
        return result


def _problem(result: str) -> str:
    """Why an event did not arrive, as far as it is known."""
    try:
        return Path(result).read_text(encoding="utf-8")
    except OSError:
        return "there is no answer yet; it is still tried for some seconds, and this run does not wait"
