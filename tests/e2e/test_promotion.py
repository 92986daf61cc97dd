# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Production takes the very image that was healthy in staging for long enough, and no other."""

from __future__ import annotations

import json
import subprocess

from make_repository import commit
from observe import moment, say
from support import IMAGE, SERVER, Place, Site, docker, health_check, only, web

DOCKERFILE = 'FROM bulkhead-demo/python:3.13\nCOPY . /srv\nCMD ["python3", "-u", "/srv/server.py"]\n'
APPLICATION = {"stop_grace_period": "0s", "healthcheck": health_check()}


def image(place: Place) -> tuple[str, str]:
    """The image that runs: its name and its id."""
    found = json.loads(docker("container", "inspect", f"{place.prefix}_web"))[0]
    return str(found["Config"]["Image"]), str(found["Image"])


def test_an_image_goes_from_staging_to_production(site: Site) -> None:
    """Refused while staging has not run it for long enough; then the same image under production's name."""
    repository = site.directory / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(repository)], check=True)
    files = {"Dockerfile": DOCKERFILE, "server.py": SERVER, "release": "one"}
    commit(repository, "staging", files, "In staging")
    merged = commit(repository, "main", files, "Merged: the same files, another commit")
    site.everyone = {"bulkhead_source_repository": str(repository)}
    shared = {"app_service": "web", "services": only(web=APPLICATION)}
    staging = site.small("staging", "staging", source_branch="staging", **shared)
    production = site.small("production", "prod", source_branch="main", promotion_from="staging", **shared)

    staging.deploy().succeeded()
    error = production.deploy().error
    assert "are accepted (bulkhead_promotion_from" in error and "wait 60 minutes more" in error
    assert image(staging)[1][:19] in error
    assert docker("ps", "--all", "--quiet", "--filter", f"label=io.bulkhead.prefix={production.prefix}") == ""

    production.variables["bulkhead_promotion_minutes"] = 0
    run = production.deploy().succeeded()
    assert run.result("source")["built"] is False
    assert image(production) == (f"{production.prefix}_web:{merged}", image(staging)[1])
    assert f"was healthy in {staging.prefix} since" in run.output
    assert "promoted" in json.dumps(run.result("verify")["receipt"]["notes"])
    assert say(production.prefix) == "hello"

    # What is in force stays acceptable when staging has moved on: a changed setting is no new image.
    commit(repository, "staging", {"release": "two"}, "On")
    staging.deploy().succeeded()
    production.variables["bulkhead_env"] = {"SAY": "set"}
    production.deploy().succeeded()
    assert say(production.prefix) == "set"

    # Other files than staging's, and a named image that staging does not run: each refused, production serves on.
    before = moment(production)
    commit(repository, "main", {"release": "three"}, "Not in staging")
    assert "runs no image that was built from these files" in production.deploy().error
    production.variables["bulkhead_source_commit"] = merged
    production.variables["bulkhead_services"] = only(web=APPLICATION, other=web())
    error = production.deploy().error
    assert f"{IMAGE} (sha256:" in error and f"does not run in {staging.prefix}" in error
    assert moment(production) == before
    assert say(production.prefix) == "set"
