# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules alone over 100, 1,000 and 10,000 environments: their processor time and memory grow as the fleet does.

Run as a program it measures one fleet, in a process of its own whose memory is then its own:

    .venv/bin/python tests/bench/rules.py COUNT ROUNDS
"""

from __future__ import annotations

import gc
import json
import resource
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Line, processor_time, seconds
from programs import BIN, run

SIZES = (100, 1000, 10_000)


def measure(count: int, rounds: int) -> dict[str, float]:
    """Processor seconds of the rules over a fleet (median), how many findings, and the most memory in MiB."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import checkout

    checkout.install()
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.gc_pause import collector_paused
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge

    found: list[int] = []
    times: list[float] = []
    memory = 0.0
    with collector_paused():  # as the gate does
        environments = tuple(_environment(number) for number in range(count))
        for _round in range(rounds):
            # A new fleet each time: what rules derive from one is kept with it.
            times.append(seconds(lambda: found.append(len(judge(Fleet(environments)))), processor_time))
            # A gate judges once, so the memory of the first round counts.
            memory = memory or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            gc.collect()
    return {"seconds": statistics.median(times), "findings": found[-1], "memory": memory}


def _environment(number: int) -> Any:
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.rendered import RenderedArtefacts
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.definitions import definitions_of
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.stack import build_stack
    from fleets import MORE_SERVICES, environment

    values = environment(number)
    name, prefix = values["bulkhead_environment"], f"app_{values['bulkhead_environment']}"
    services = {
        "web": {"image": f"{prefix}_web:1", "env_file": [".env"], "volumes": ["storage:/srv"], "depends_on": ["db"]},
        "db": {"image": "postgres:17.6", "volumes": ["data:/data"]},
        "cache": {"image": "redis:7.4.5", "volumes": ["cache:/data"]},
        "pool": {"image": "edoburu/pgbouncer:v1.24.1-p1"},
        "nginx": {"image": "nginx:1.28.0", "ports": [f"127.0.0.1:{values['bulkhead_http_port']}:80"]},
        **{key: {"image": f"{prefix}_web:1", **item} for key, item in MORE_SERVICES.items()},
    }
    default = {"common": {"restart": "unless-stopped", "cap_drop": ["ALL"]}, "application": {}, "services": services}
    stack = build_stack(definitions_of(default, {}), {}, prefix=prefix, project="app", environment=name)
    settings = {
        "DB_HOST": "pool",
        "DB_NAME": prefix,
        "REDIS_URL": "redis://cache:6379/0",
        "ALLOWED_HOSTS": f"{name}.example.com",
    }
    return assemble(
        prefix=prefix,
        name=name,
        project="app",
        machine=values["bulkhead_machine"],
        directory=values["bulkhead_directory"],
        domains=values["bulkhead_domains"],
        http_port=values["bulkhead_http_port"],
        variables=values,
        rendered=RenderedArtefacts(
            compose=stack.compose,
            settings={**settings, **values["bulkhead_secrets"]},
            secrets=list(values["bulkhead_secrets"]),
        ),
    )


def lines(rounds: int) -> Iterator[Line | str]:
    """How time and memory grow."""
    command = [str(BIN / "python"), str(Path(__file__))]
    found = {size: json.loads(run([*command, str(size), str(min(rounds, 5))])) for size in SIZES}
    for size, item in found.items():
        detail = f"{item['seconds']:.2f} s, {item['memory']:.0f} MiB, {item['findings']} findings"
        yield f"      {size} environments: {detail}"
    small, large = found[1000], found[10_000]
    detail = f"{large['seconds']:.2f} s, {small['seconds']:.2f} s"
    yield Line("the rules for 10,000 environments / for 1,000", large["seconds"] / small["seconds"], 11, detail)
    yield Line("the rules for 10,000 environments", large["memory"], 600, "memory, the environments included", "MiB")


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
