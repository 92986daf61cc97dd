# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a machine: with few containers on it, and with many more. It must not cost more calls of the engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import checkout

checkout.install()

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible.module_utils.testing import patch_module_args  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.observation import observe  # noqa: E402
from measure import Line, ratio, seconds  # noqa: E402
from programs import BIN, SCRATCH, run  # noqa: E402

MORE = 40
LABEL = "io.bulkhead.prefix=benchlook_prod"
IMAGE = "bulkhead-demo/redis:8"


class Counting(Engine):
    """An engine that counts what it is asked."""

    calls = 0

    def docker(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Ask, and count."""
        self.calls += 1
        return super().docker(*args, **options)


def look() -> tuple[int, int]:
    """How many calls of the engine one look takes, and how many containers it sees."""
    with patch_module_args({}):
        engine = Counting(AnsibleModule(argument_spec={}), "unix:///var/run/docker.sock")
    seen = observe(engine, str(SCRATCH / "look"))
    return engine.calls, len(seen["containers"])


def create() -> None:
    """A container to be looked at."""
    run(["docker", "create", "--label", LABEL, IMAGE, "sleep", "1"])


def remove() -> None:
    """The containers that were made for this, by their exact label."""
    found = run(["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"]).split()
    if found:
        run(["docker", "rm", "--force", *found])


def lines(rounds: int) -> Iterator[Line | str]:
    """Calls with many containers beside calls with few, and how long each takes."""
    run([str(BIN / "python"), "tests/images/build.py"])
    remove()
    try:
        create()  # what is not there is not inspected: a machine without any container takes a call less
        few, before = look()
        times = {"few": min(seconds(look) for _round in range(rounds))}
        for _number in range(MORE):
            create()
        many, after = look()
        times["many"] = min(seconds(look) for _round in range(rounds))
    finally:
        remove()
    title = f"engine calls of one look at {after} containers / at {before}"
    yield Line(title, many / few, 1.0, f"{many} calls, {few} calls")
    yield ratio(f"the time of one look at {after} containers / at {before}", times, "many", "few")
