# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shell that calls, files that lie about, and things of other people with our names."""

from __future__ import annotations

from pathlib import Path

import pytest
from observe import by_hand, moment, running, say
from support import IMAGE, Site, docker

HOSTILE = """
name: hostile
services:
  web: {image: "bulkhead-demo/python:3.13", container_name: hostile, command: [sleep, "60"]}
"""


def test_a_polluted_shell(site: Site) -> None:
    """Variables that would steer Compose, Docker or the application change nothing, whoever exports them."""
    place = site.small(env={"SAY": "hello", "DB_HOST": "pgbouncer"})
    machine = place.directory.parent
    machine.mkdir(parents=True)
    (machine / "docker-compose.yml").write_text(HOSTILE)
    (machine / ".env").write_text("COMPOSE_PROJECT_NAME=hostile\nSAY=hostile\n")
    polluted = {
        "COMPOSE_FILE": str(machine / "docker-compose.yml"),
        "COMPOSE_PROJECT_NAME": "hostile",
        "COMPOSE_REMOVE_ORPHANS": "true",
        "COMPOSE_PROFILES": "hostile",
        "COMPOSE_ENV_FILES": str(machine / ".env"),
        "COMPOSE_PROJECT_DIRECTORY": "/nonexistent",
        "COMPOSE_PATH_SEPARATOR": "x",
        "DOCKER_CONTEXT": "nowhere",
        "DOCKER_CONFIG": "/nonexistent",
        "DOCKER_DEFAULT_PLATFORM": "windows/arm64",
        "DOCKER_BUILDKIT": "0",
        "DB_HOST": "hostile",
        "SAY": "hostile",
        "GIT_DIR": "/nonexistent",
    }
    place.deploy(environment=polluted).succeeded()
    assert list(running(place.prefix)) == [f"{place.prefix}_web"]
    assert say(place.prefix) == "hello"
    assert "DB_HOST=pgbouncer" in docker("exec", f"{place.prefix}_web", "env").splitlines()
    assert docker("ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=hostile") == ""
    before = running(place.prefix)
    assert place.deploy().succeeded().changed == 0
    done = by_hand(place.directory, "env -u COMPOSE_FILE docker-compose -f docker-compose.test.yml up -d")
    assert done.returncode == 0, done.stderr
    assert running(place.prefix) == before


def test_somebody_elses_orphans_stay(site: Site) -> None:
    """Containers of a project of another name, even one that ours begins with, are never removed."""
    place = site.small()
    name = f"{place.prefix}er"
    docker("run", "--detach", "--name", name, "--label", f"com.docker.compose.project={name}", IMAGE, "sleep", "600")
    try:
        place.deploy().succeeded()
        place.variables["bulkhead_env"] = {"SAY": "again"}
        place.deploy().succeeded()
        assert docker("inspect", "--format", "{{.State.Running}}", name).strip() == "true"
    finally:
        docker("rm", "--force", name)


@pytest.mark.parametrize("kind", ["container", "network", "volume"])
def test_things_with_our_names_that_are_not_ours(site: Site, kind: str) -> None:
    """Refused before anything is made, and left as it is."""
    place = site.small()
    place.variables["bulkhead_services"]["web"]["volumes"] = ["data:/data"]
    names = {"container": "web", "network": "network", "volume": "data_test"}
    name = f"{place.prefix}_{names[kind]}"
    make = ["run", "--detach", "--name", name, IMAGE, "sleep", "600"] if kind == "container" else [kind, "create", name]
    docker(*make)
    try:
        run = place.deploy()
        assert run.code != 0 and name in run.output, run.output
        assert "Traceback" not in run.output
        assert "converge" not in run.ran or "Nothing was changed" in run.output
        after = moment(place)
        assert after.containers == {} and after.networks == [] and after.volumes == []
        assert docker(kind, "inspect", "--format", "{{.Name}}", name).strip().lstrip("/") == name
    finally:
        docker("rm", "--force", name) if kind == "container" else docker(kind, "rm", name)


def test_the_same_project_from_another_directory(site: Site, tmp_path: Path) -> None:
    """The guide's trap: somebody else's project of our name is not replaced."""
    place = site.small()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "docker-compose.yml").write_text(HOSTILE.replace("hostile", f"{site.project}-hostile"))
    project = ["compose", "--project-name", place.prefix, "--file", str(elsewhere / "docker-compose.yml")]
    docker(*project, "up", "--detach")
    try:
        run = place.deploy()
        assert run.code != 0 and str(elsewhere) in run.output, run.output
        assert running(place.prefix) == {}
        assert docker("inspect", "--format", "{{.State.Running}}", f"{site.project}-hostile").strip() == "true"
    finally:
        docker(*project, "down", "--timeout", "0")


def test_an_application_that_is_not_django(site: Site) -> None:
    """One service, no database, no nginx, a port of its own: deployed, again without a change, changed, removed."""
    place = site.small("shop", "live")
    assert place.deploy().succeeded().changed == 1
    assert list(running(place.prefix)) == [f"{place.prefix}_web"]
    assert say(place.prefix) == "hello"
    assert docker("volume", "ls", "--quiet", "--filter", f"label=io.bulkhead.prefix={place.prefix}") == ""
    assert sorted(path.name for path in place.directory.iterdir()) == [".bulkhead", ".env", "docker-compose.live.yml"]
    before = moment(place)
    assert place.deploy().succeeded().changed == 0
    assert moment(place) == before
    place.variables["bulkhead_env"] = {"SAY": "good bye"}
    place.deploy().succeeded()
    assert say(place.prefix) == "good bye"
