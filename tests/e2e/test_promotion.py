# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Production takes the very image that was healthy in staging for long enough, and no other."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from make_repository import commit
from observe import moment, say
from private_engine import private_engine
from support import IMAGE, SERVER, Place, Site, docker, health_check, only, web

DOCKERFILE = 'FROM bulkhead-demo/python:3.13\nCOPY . /srv\nCMD ["python3", "-u", "/srv/server.py"]\n'
APPLICATION = {"stop_grace_period": "0s", "healthcheck": health_check()}


def origin(site: Site) -> tuple[Path, str]:
    """A repository with the same files on both branches, in another commit each: it, and the commit of main."""
    repository = site.directory / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(repository)], check=True)
    files = {"Dockerfile": DOCKERFILE, "server.py": SERVER, "release": "one"}
    commit(repository, "staging", files, "In staging")
    site.everyone = {"bulkhead_source_repository": str(repository)}
    return repository, commit(repository, "main", files, "Merged: the same files, another commit")


def image(place: Place) -> tuple[str, str]:
    """The image that runs: its name and its id."""
    found = json.loads(docker("container", "inspect", f"{place.prefix}_web"))[0]
    return str(found["Config"]["Image"]), str(found["Image"])


def test_an_image_goes_from_staging_to_production(site: Site) -> None:
    """Refused while staging has not run it for long enough; then the same image under production's name."""
    repository, merged = origin(site)
    shared = {"app_service": "web", "services": only(web=APPLICATION)}
    staging = site.small("staging", "staging", source_branch="staging", **shared)
    production = site.small("production", "prod", source_branch="main", promotion_from="staging", **shared)

    staging.deploy().succeeded()
    error = production.deploy().error
    early = r"wait (60|5\d) more minutes"  # a slow machine has had it for a minute or two
    assert "are accepted (bulkhead_promotion_from" in error and re.search(early, error), error
    assert image(staging)[1][:19] in error
    assert re.search(early, production.deploy("--check").error)
    assert docker("ps", "--all", "--quiet", "--filter", f"label=io.bulkhead.prefix={production.prefix}") == ""

    production.variables["bulkhead_promotion_minutes"] = 0
    judged = production.deploy("--check").succeeded().result("source")["promoted"]
    assert f"was healthy in {staging.prefix} since" in judged
    assert docker("image", "ls", "--quiet", f"{production.prefix}_web") == ""
    run = production.deploy().succeeded()
    assert run.result("source")["built"] is False
    inputs = image(staging)[0].rpartition("-")[2]
    assert image(production) == (f"{production.prefix}_web:{merged}-{inputs}", image(staging)[1])
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
    for arguments in (["--check"], []):
        assert "runs no image built from these files" in production.deploy(*arguments).error
    production.variables["bulkhead_source_commit"] = merged
    production.variables["bulkhead_services"] = only(web=APPLICATION, other=web())
    error = production.deploy().error
    assert f"{IMAGE} (sha256:" in error and f"does not run in {staging.prefix}" in error
    assert moment(production) == before
    assert say(production.prefix) == "set"


def test_staging_on_another_engine(site: Site) -> None:
    """Seen on its own machine, without its secrets: refused until the very image was copied, and when it is gone."""
    origin(site)
    shared = {"app_service": "web", "services": only(web=APPLICATION), "promotion_minutes": 0}
    with private_engine([IMAGE]) as engine:
        there = {"machine": "staging-machine", "state_directory": str(site.directory / "staging-state")}
        staging = site.small(
            "staging", "staging", source_branch="staging", docker_host=engine.address, **there, **shared
        )
        staging.secrets = {"bulkhead_secrets": {"TOKEN": "a token of staging's own"}}
        production = site.small("production", "prod", source_branch="main", promotion_from="staging", **shared)
        # Both are this machine, where one address has two names.
        accepted = {"resource": "localhost", "reason": "a test", "until": "2099-01-01"}
        site.everyone["bulkhead_waivers"] = [{"rule": "one-machine-two-names", **accepted}]
        staging.deploy().succeeded()
        place = f"staging-host {engine.address} {there['state_directory']}"
        error = production.deploy(passwords=["production"]).error
        assert f"set bulkhead_promotion_machine: '{place}' in group_vars/production" in error
        production.variables["bulkhead_promotion_machine"] = place
        found = json.loads(engine.docker("container", "inspect", f"{staging.prefix}_web"))[0]

        # Its vault is locked here, and so far the image is on its engine only.
        error = production.deploy(passwords=["production"]).error
        assert "is not on this machine, and building it here would make a different one" in error
        assert f"docker save {found['Config']['Image']}" in error and "Nothing was changed" in error
        assert docker("ps", "--all", "--quiet", "--filter", f"label=io.bulkhead.prefix={production.prefix}") == ""

        with subprocess.Popen(
            ["docker", "--host", engine.address, "save", found["Config"]["Image"]], stdout=subprocess.PIPE
        ) as saving:
            subprocess.run(["docker", "load", "--quiet"], stdin=saving.stdout, check=True)
        run = production.deploy(passwords=["production"]).succeeded()
        assert image(production)[1] == found["Image"]
        assert f"was healthy in {staging.prefix} since" in run.output
        assert say(production.prefix) == "hello"

        # Staging's engine does not answer, then its machine: production serves on as it is.
        before = moment(production)
        engine.stop()
        unseen = f"only what was healthy in {staging.prefix} (bulkhead_promotion_from), but what runs there cannot be"
        error = production.deploy(passwords=["production"]).error
        assert unseen in error and f"the Docker engine at {engine.address} cannot be reached" in error
    nowhere = {"connection": "ssh", "host": "192.0.2.1", "ssh_common_args": "-o ConnectTimeout=1 -o BatchMode=yes"}
    staging.variables |= {f"ansible_{name}": value for name, value in nowhere.items()}
    assert "which is to be seen at 192.0.2.1" in production.deploy(passwords=["production"]).error
    production.variables["bulkhead_promotion_machine"] = place.replace("staging-host", "192.0.2.1")
    error = production.deploy(passwords=["production"]).error
    assert unseen in error and "staging-host cannot be asked: " in error and "192.0.2.1" in error
    assert "It may need what is not used here: " in error
    assert moment(production) == before
