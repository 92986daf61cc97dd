# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one tool for a test: its output goes to a log, a line now and then to `say`, and its end into the failure."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache"
LOGS = CACHE / "logs"
PULSE_SECONDS = 30
LAST_LINES = 80


def run_tool(
    name: str,
    command: Sequence[str],
    say: Callable[[str], object],
    env: Mapping[str, str] | None = None,
    cwd: Path = REPOSITORY,
    complaint: str = "",
) -> str:
    """The tool's output. Where it fails, so does the test, with the lines that match `complaint` or the last ones."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            watch(name, process, log, say)
        finally:
            if process.poll() is None:
                process.kill()
    output = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        lines = output.splitlines()
        complaints = [line for line in lines if complaint and re.search(complaint, line)]
        tail = "\n".join((complaints or lines)[-LAST_LINES:])
        pytest.fail(f"{name} ended with {process.returncode}; all of it is in {log}\n{tail}", pytrace=False)
    return output


def watch(name: str, process: subprocess.Popen[bytes], log: Path, say: Callable[[str], object]) -> None:
    """Wait for the process, and say now and then how far it is."""
    began = time.monotonic()
    while True:
        try:
            process.wait(PULSE_SECONDS)
            return
        except subprocess.TimeoutExpired:
            lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
            last = lines[-1].strip()[:90] if lines else ""
            say(f"{name} … {time.monotonic() - began:.0f} s  {last}")
