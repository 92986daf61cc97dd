# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty deployments in a row, of production and staging by turns, while both are asked all the time: what failed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

from measure import Line
from programs import BIN, SCRATCH, run

DEPLOYMENTS = 20
HERE = SCRATCH / "releases"


def lines(_rounds: int) -> Iterator[Line | str]:
    """Failures and lost writes, both with a budget of none, and latency before, during and after."""
    run([str(BIN / "python"), "tests/images/build.py"])
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    try:
        command = [str(BIN / "python"), "tests/e2e/many_releases.py", str(HERE), str(DEPLOYMENTS)]
        said = [line for line in run(command).splitlines() if line.startswith("{")]
        seen = json.loads(said[0])
    finally:
        shutil.rmtree(HERE, ignore_errors=True)
    yield from (f"      {line}" for line in seen["report"].splitlines())
    yield from (f"      {fault}" for fault in seen["faults"])
    yield f"      a deployment under this load: {seen['seconds']:.1f} s, median of {DEPLOYMENTS}"
    detail = f"{seen['failures']} of {seen['requests']}"
    yield Line(f"requests without a valid answer in {DEPLOYMENTS} deployments", seen["failures"], 0, detail, unit="")
    detail = f"{len(seen['faults'])}, with {seen['writes']} acknowledged"
    yield Line("acknowledged writes that are lost, and rows too many", len(seen["faults"]), 0, detail, unit="")
    before, during = seen["latency"]["before"], seen["latency"]["deployments"]
    detail = f"{during * 1000:.0f} ms, {before * 1000:.0f} ms"
    yield Line("median latency during deployments / before", during / before, None, detail)
