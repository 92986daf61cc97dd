# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make test` and `make check` do: one pytest run, so that its last line sums all of it up.

Two workers of pytest-xdist share it, a file or a named group of tests at a time: what is cheap first, then what takes
minutes, and last the small files, so that both workers come to their end together.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from steps import REPOSITORY

# In this order. A stage is a test too: it runs one tool, and fails with the end of its output.
GROUPS = {
    "lint": ["tests/stages/test_lint.py", "tests/stages/test_examples.py"],
    "unit": ["tests/unit", "tests/app", "tests/images"],
    "hazards": ["tests/hazards"],
    "differential": ["tests/differential"],
    "sanity": ["tests/stages/test_sanity.py"],
    "galaxy": ["tests/stages/test_galaxy.py"],
    "docs": ["tests/stages/test_docs.py"],
    "browser": ["tests/browser"],
    "molecule": ["tests/stages/test_molecule.py"],
    "e2e": ["tests/e2e"],
    "security": ["tests/security"],
}
# What `make check` runs: it needs no engine, and not much longer than it takes to read the change again.
QUICK = ("lint", "unit", "hazards")
LEFT_TO_FULL, LEFT_OF_QUICK = "full", "slow"
# End-to-end tests mostly wait for one engine and one disk: more workers would only wait for each other.
WORKERS = 2


def paths(only: Sequence[str]) -> list[str]:
    chosen = [path for name, paths in GROUPS.items() if not only or name in only for path in paths]
    return [path for path in chosen if (REPOSITORY / path).exists()]


def workers() -> int:
    return min(WORKERS, len(os.sched_getaffinity(0)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also what takes long")
    parser.add_argument("--quick", dest="only", action="store_const", const=QUICK, help=f"only {', '.join(QUICK)}")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=[], metavar="GROUP", help=f"of {', '.join(GROUPS)}"
    )
    options = parser.parse_args()
    selection = [] if options.full else ["-m", f"not {LEFT_TO_FULL}"]
    if options.only is QUICK:
        selection[-1] += f" and not {LEFT_OF_QUICK}"
    venv = REPOSITORY / ".venv/bin"
    environment = {
        **os.environ,
        "PATH": f"{venv}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY / "tests"),
        # The tests' own words, whatever the user's configuration of Ansible says.
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
    }
    plugins = ["-p", "stages.progress", "-p", "stages.sharing", "-o", "console_output_style=classic"]
    shared = ["-n", str(workers()), "--dist", "loadscope", "--no-loadscope-reorder"]
    command = [str(venv / "python"), "-m", "pytest", *plugins, *shared, *selection, *paths(options.only)]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
