# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work in numbered steps, each with its elapsed time.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PULSE_SECONDS = 20


class StepFailed(Exception):
    """A step that could not be done. Its text says what to do about it."""


class Steps:
    """Announces each step, runs it, and says how long it took."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.number = 0
        self._began = time.monotonic()
        self._title = ""

    def begin(self, title: str) -> None:
        self.number += 1
        self._title = title
        self._began = time.monotonic()
        print(f"==> {self.number}/{self.total} {title}", flush=True)

    def end(self, note: str = "") -> None:
        seconds = time.monotonic() - self._began
        print(f"    {self.number}/{self.total} {note or 'done'}  {seconds:.0f} s", flush=True)

    def run(self, title: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Run one command, its output on the screen, as one step."""
        self.begin(title)
        call(command, env)
        self.end()


def call(command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    """Run a command with its output on the screen."""
    result = subprocess.run(
        list(command), cwd=REPOSITORY, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, check=False
    )
    if result.returncode:
        raise StepFailed(f"`{' '.join(command)}` ended with exit code {result.returncode}.")


def call_quietly(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Run a command that says little that anyone wants to read; show a pulse, and its output where it fails."""
    with Pulse():
        result = subprocess.run(
            list(command),
            cwd=REPOSITORY,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if result.returncode:
        sys.stdout.write(result.stdout)
        raise StepFailed(f"`{' '.join(command)}` ended with exit code {result.returncode}.")
    return result.stdout


class Pulse:
    """Prints the elapsed time now and then, so that silence is never taken for a hang."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        began = time.monotonic()
        while not self._over.wait(PULSE_SECONDS):
            print(f"    … {time.monotonic() - began:.0f} s", flush=True)
