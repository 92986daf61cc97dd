# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that does its work and ends is well when it ended; a server that ended is not. Each release has its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from observe import running
from support import IMAGE, Run, Site, docker, only, remove_project, web

#: It exits with 0 when it is told to stop, as nginx and Redis do.
POLITE = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"


def test_what_ended_in_the_release_in_force(tmp_path: Path, projects: Callable[[], str]) -> None:
    site = Site(tmp_path, projects())
    try:
        worker = {"image": IMAGE, "command": ["sh", "-c", POLITE]}
        seed = {"image": IMAGE, "command": ["true"], "restart": "no"}
        place = site.small(services=only(web=web(), worker=worker, seed=seed))
        place.deploy().succeeded()
        place.variables["bulkhead_services"] = only(web=web())
        place.deploy().succeeded()
        place.deploy(playbook="playbooks/rollback.yml").succeeded()
        names = [f"{place.prefix}_{service}" for service in ("seed", "web", "worker")]
        assert list(running(place.prefix)) == names

        def verify() -> Run:
            return site.play("-l", place.group, playbook="playbooks/verify.yml")

        verify().succeeded()
        docker("rm", names[0])  # as `docker container prune` does
        verify().succeeded()
        docker("stop", names[2])
        run = verify()
        assert run.code != 0 and f"Container {names[2]} is exited (0)" in run.output, run.output
        docker("rm", names[2])
        run = verify()
        assert run.code != 0 and "Service worker has no container" in run.output, run.output
    finally:
        remove_project(site.project)
