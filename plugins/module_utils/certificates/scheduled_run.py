# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that keeps an environment's certificate current, without Ansible. Runs on the targets.

``backup/schedule.py`` packs it into a zip file and writes the settings beside it.
"""

from __future__ import annotations

from typing import Any

from ..backup.job import CERTIFICATES as JOB
from ..backup.scheduled_run import Runner, end, read_settings, scheduled
from ..core.steps import sentence
from ..docker.engine import Engine
from ..state.home import Home
from .obtain import Certificates

__all__ = ("JOB", "main", "run")

#: What a scheduled run is called to those who wait for it.
_WHO = "the renewal of its certificate"


def run(folder: str) -> str:
    """Renew what is due while holding the environment's lock. Returns what was done. Raises Failure."""
    with scheduled(read_settings(folder)["certificates"], _WHO):
        settings: dict[str, Any] = read_settings(folder)  # the deployment that held the lock may have changed them
        wanted = settings["certificates"]
        engine = Engine(Runner(), settings["docker_host"], wanted["project"], wanted["directory"])
        steps = Certificates(engine, wanted).bring(Home.of(wanted))
        return "; ".join(map(sentence, steps)) or "nothing is due"


def main() -> int:
    """Renew, print the outcome and record it in ``last.json``. Returns the exit code."""
    return end(run)
