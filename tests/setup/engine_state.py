# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's own docker command can reach, and what to do where that is not enough. Standard library only."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

COMPOSE_MINIMUM = (2, 24)


class EngineState(NamedTuple):
    """Versions as answered, "" where nothing answers. A docker command alone is no engine: its daemon must answer."""

    client: bool
    engine: str
    compose: str
    buildx: str
    complaint: str

    @property
    def ready(self) -> bool:
        return bool(self.engine and self.buildx) and version(self.compose) >= COMPOSE_MINIMUM


def version(text: str) -> tuple[int, ...]:
    """The leading number of a version: "v2.26.1-4" → (2, 26, 1); () where there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def look() -> EngineState:
    """Ask the docker command of the PATH, under the user's own DOCKER_HOST and context."""
    client, _output, _errors = _ask("docker", "--version")
    answered, engine, complaint = _ask("docker", "version", "--format", "{{.Server.Version}}")
    _code, compose, _errors = _ask("docker", "compose", "version", "--short")
    _code, buildx, _errors = _ask("docker", "buildx", "version")
    return EngineState(client, engine if answered else "", compose, buildx, complaint)


def advice(state: EngineState, is_root: bool, environ: Mapping[str, str]) -> str:
    """What the user has to do, "" where nothing is in the way of the role doing it."""
    elsewhere = environ.get("DOCKER_HOST", "")
    if not state.engine and elsewhere:
        return (
            f"DOCKER_HOST is {elsewhere}, and no engine answers there ({state.complaint}).\n"
            "Start that engine, or unset DOCKER_HOST to use this machine's own."
        )
    if is_root:
        return ""
    if not state.engine and "permission denied" in state.complaint.lower():
        return (
            "A Docker engine runs here, and you may not use it. Either\n"
            "  - have root put you into its group: `usermod -aG docker YOU`, then log in again, or\n"
            "  - run an engine of your own (rootless Docker) and set DOCKER_HOST to its socket."
        )
    missing = ", ".join(
        name
        for name, there in (
            ("no Docker engine answers", state.engine),
            ("Compose v2.24 or newer is missing", version(state.compose) >= COMPOSE_MINIMUM),
            ("buildx is missing", state.buildx),
        )
        if not there
    )
    return (
        f"On this machine {missing}, and only root can install it. Either\n"
        "  - run `sudo make engine` once (Debian 12/13, Ubuntu 22.04/24.04), or\n"
        "  - start the engine that you have, or set DOCKER_HOST to its socket;\n"
        "    plugins may go to ~/.docker/cli-plugins.\n"
        "Then run this command again."
    )


def _ask(*command: str) -> tuple[bool, str, str]:
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False, env=os.environ
        )
    except FileNotFoundError:
        return False, "", "there is no docker command"
    except subprocess.TimeoutExpired:
        return False, "", "no answer in 30 s"
    complaint = answer.stderr.strip().splitlines()
    return answer.returncode == 0, answer.stdout.strip() if answer.returncode == 0 else "", (complaint or [""])[-1]
