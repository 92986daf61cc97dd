# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we claim about speed, as a program: every claim is a ratio of two things measured side by side in this run.

.venv/bin/python tests/bench/run.py [NAME …] [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import check
import edge
import fleet
import look
import many
import no_change
import release
import releases
import rules
from measure import ROUNDS, Line
from programs import Failed

BENCHES: dict[str, tuple[str, Callable[[int], Iterator[Line | str]]]] = {
    "no-change": ("a deployment that changes nothing", no_change.lines),
    "release": ("one release, and one changed setting", release.lines),
    "releases": ("releases under load", releases.lines),
    "many": ("ten environments in one run", many.lines),
    "look": ("one look at a machine", look.lines),
    "fleet": ("the plan gate over a large fleet", fleet.lines),
    "rules": ("the rules over fleets of three sizes", rules.lines),
    "edge": ("the front door", edge.lines),
    "check": ("isolation_check of two projects", check.lines),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHES))
    if unknown:
        parser.error(f"there is no bench called {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    broken = 0
    for name in arguments.names or BENCHES:
        title, lines = BENCHES[name]
        began = time.monotonic()
        print(f"==> {name}: {title}, medians of {arguments.rounds}", flush=True)
        try:
            for line in lines(arguments.rounds):
                print(line, flush=True)
                broken += isinstance(line, Line) and not line.kept
        except Failed as error:
            print(f"FAIL  {name}: {error}", flush=True)
            broken += 1
        print(f"    {time.monotonic() - began:.0f} s", flush=True)
    if broken:
        print(f"\n{broken} over budget or failed", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
