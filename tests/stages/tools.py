# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one tool for a test: its output goes to a log, and its end into the failure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache"
LOGS = CACHE / "logs"
LAST_LINES = 80


def run_tool(
    name: str,
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    cwd: Path = REPOSITORY,
    complaint: str = "",
) -> str:
    """The tool's output. Where it fails, so does the test, with the lines that match `complaint` or the last ones.

    A tool keeps a processor busy for minutes, and other tests mostly wait: where they want it, they go first.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            ["nice", *command],
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait()
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


def copy_collection(parent: Path) -> Path:
    """The files that git knows or would know, at a path as ansible-test wants it."""
    target = parent / "ansible_collections/aiia/bulkhead"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for relative in filter(None, listed.stdout.split("\0")):
        source = REPOSITORY / relative
        if source.is_file():
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / relative)
    return target


def build_archive(tree: Path, directory: Path, env: Mapping[str, str] | None = None) -> Path:
    """Build the collection of a tree, as Galaxy would get it. Returns the archive, which is in the directory."""
    galaxy = str(Path(sys.executable).with_name("ansible-galaxy"))
    run_tool("galaxy-build", [galaxy, "collection", "build", "--output-path", str(directory)], env, tree)
    (built,) = directory.glob("aiia-bulkhead-*.tar.gz")
    return built


def last_line(seconds: float) -> str:
    """The last line of the tool that said something most recently, if that is no longer ago than some seconds."""
    logs = sorted(LOGS.glob("*.log"), key=lambda log: log.stat().st_mtime)
    if not logs or time.time() - logs[-1].stat().st_mtime > seconds:
        return ""
    lines = [line.strip() for line in logs[-1].read_text(encoding="utf-8", errors="replace").splitlines()]
    return f"{logs[-1].stem}: {next(filter(None, reversed(lines)), '')[:90]}"
