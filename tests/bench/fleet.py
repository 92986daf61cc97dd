# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan gate over a thousand environments, beside Ansible's own reading of the same inventory.

What people wait for counts: the gate works on all processors, Ansible reads on one. The processor time of both, which a
busy machine does not change, is there to compare runs with.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import time
from collections.abc import Callable, Iterator

from fleets import write_inventory
from measure import Line, processor_time, ratio, seconds, side_by_side
from programs import BIN, SCRATCH, Failed, playbook, run

COUNT = 1000
PLAN, LISTING = "plan.yml", "ansible-inventory --list"


def lines(rounds: int) -> Iterator[Line | str]:
    """The ratio of what passes, that of the processors' time, and the memory of the largest process."""
    folder = SCRATCH / "fleet"
    shutil.rmtree(folder, ignore_errors=True)
    inventory = write_inventory(folder, COUNT)

    def plan() -> None:
        output = playbook("playbooks/plan.yml", inventory)
        if f"proved on paper: {COUNT} environments" not in " ".join(output.split()):
            raise Failed("the generated fleet was not proved:\n  " + "\n  ".join(output.splitlines()[:25]))

    def listing() -> None:
        run([str(BIN / "ansible-inventory"), "-i", str(inventory), "--list"])

    title = f"the plan gate for {COUNT} environments of 8 services / ansible-inventory --list"
    used: dict[str, list[float]] = {PLAN: [], LISTING: []}

    def noted(name: str, action: Callable[[], None]) -> Callable[[], None]:
        return lambda: used[name].append(seconds(action, processor_time))

    try:
        actions = {PLAN: noted(PLAN, plan), LISTING: noted(LISTING, listing)}
        yield ratio(title, side_by_side(actions, rounds, time.perf_counter), PLAN, LISTING, 4)
        times = {name: statistics.median(taken) for name, taken in used.items()}
        yield ratio(f"processor time of {title}", times, PLAN, LISTING)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        yield Line("the largest process of the plan gate", memory, 600, f"{COUNT} environments", "MiB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
