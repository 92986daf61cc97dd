# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many deployments in a row, of production and staging by turns, while both are asked all the time, for `make bench`:

.venv/bin/python tests/e2e/many_releases.py SCRATCH-DIRECTORY DEPLOYMENTS

What was seen is written as JSON.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import statistics
import sys
from pathlib import Path
from typing import Any

for _folder in ("", "e2e", "app", "images"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / _folder))

import checkout  # noqa: E402

checkout.install()

from guide_stack import deploy_guide  # noqa: E402
from load import Load, Pace  # noqa: E402
from load_guide import faults_of_rows, peer, release, with_headline  # noqa: E402
from support import Run, Site, remove_project  # noqa: E402

BEFORE, DURING = "before", "deployments"


def measure(scratch: Path, deployments: int) -> dict[str, Any]:
    """Deploy the guide's stack, load it, release again and again, and add up."""
    project = f"bench{secrets.token_hex(3)}"
    try:
        guide = deploy_guide(Site(scratch, project))
        runs: list[Run] = []
        with Load([peer(place) for place in guide.both], Pace(rate=20, longest=2 * 3600)) as load:
            load.rest(15)
            for number in range(deployments):
                place = guide.both[number % 2]
                change = with_headline(f"Release {number}")
                release(scratch / "origin.git", place.variables["bulkhead_source_branch"], change, f"Release {number}")
                with load.during(DURING):
                    runs.append(place.deploy(passwords=[place.group]).succeeded())
                load.rest(1)
            load.rest(15)
        return {
            "report": load.report(),
            "seconds": statistics.median(run.seconds for run in runs),
            "requests": load.summary().requests,
            "failures": len(load.failures),
            "writes": sum(len(target.writes.acknowledged) for target in load.targets.values()),
            "faults": faults_of_rows(load, *guide.both),
            "latency": {phase: load.summary(phase=phase).p50 for phase in (BEFORE, DURING)},
        }
    finally:
        remove_project(project)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        seen = measure(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(seen))
