# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Destroying one environment: what goes, what stays, what is left, and that nothing else is touched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from make_repository import commit
from observe import moment, running
from support import IMAGE, SERVER, Run, Site, docker, health_check, only, remove_project

DOCKERFILE = 'FROM bulkhead-demo/python:3.13\nCOPY . /srv\nCMD ["python3", "-u", "/srv/server.py"]\n'


class Pair:
    """An environment to destroy, built from a repository, and another one beside it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        repository = site.directory / "origin.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(repository)], check=True)
        commit(repository, "main", {"Dockerfile": DOCKERFILE, "server.py": SERVER}, "First")
        self.ours = site.small(
            "staging",
            "staging",
            source_repository=str(repository),
            source_branch="main",
            app_service="web",
            services=only(web={"stop_grace_period": "0s", "healthcheck": health_check(), "volumes": ["data:/data"]}),
        )
        self.theirs = site.small("production", "prod")
        self.theirs.deploy().succeeded()

    def destroy(self, *arguments: str) -> Run:
        """Run the playbook on our environment."""
        return self.site.play("-l", "staging", *arguments, playbook="playbooks/destroy.yml")

    def names(self, kind: str) -> list[str]:
        """Our containers, networks, volumes or images, by their exact label."""
        listing = ["ps", "--all"] if kind == "container" else [kind, "ls"]
        return docker(*listing, "--quiet", "--filter", f"label=io.bulkhead.prefix={self.ours.prefix}").split()

    @property
    def state(self) -> Path:
        """The machine's state directory."""
        return self.site.directory / "machine-state"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Pair]:
    site = Site(tmp_path_factory.mktemp("destroy"), projects())
    yield Pair(site)
    remove_project(site.project)


def test_an_environment_goes_and_nothing_else(pair: Pair) -> None:
    """Listed first; volumes stay; what is somebody's own is left and told; the other environment is as it was."""
    ours, theirs = pair.ours, pair.theirs
    ours.deploy().succeeded()
    other, before = moment(theirs), moment(ours)
    project, network = f"com.docker.compose.project={ours.prefix}", f"{ours.prefix}_network"
    name = f"{ours.prefix}_mine"
    strange = docker(
        "run", "-d", "--name", name, "--label", project, "--network", network, IMAGE, "sleep", "600"
    ).strip()
    (ours.directory / "code" / "work.txt").write_text("not committed")
    (ours.directory / "notes.txt").write_text("mine")
    (ours.directory / "docker").mkdir(exist_ok=True)
    try:
        ours.variables["bulkhead_protected"] = True
        assert f"-e bulkhead_confirm={ours.prefix}" in pair.destroy().error
        listed = pair.destroy("--check").succeeded().result("destroy")
        assert running(ours.prefix) == before.containers and moment(ours).volumes == before.volumes
        run = pair.destroy("-e", f"bulkhead_confirm={ours.prefix}").succeeded()
        found = run.result("destroy")
        assert found["goes"] == listed["goes"]
        assert f"container {ours.prefix}_web" in found["goes"]
        assert f"image {ours.prefix}_web:" in " ".join(found["goes"])
        assert found["stays"] == [f"volume {ours.prefix}_data_staging"]
        left = "\n".join(found["left"])
        for words in (
            f"container {name} of the Compose project {ours.prefix}",
            f"network {network}: {name} is attached to it",
            f"{ours.directory}/code: it has files that are not in the repository: work.txt",
            f"{ours.directory}/notes.txt: no deployment wrote it",
        ):
            assert words in left
            assert words in run.output, "it is printed as well"
        assert run.output.index("this goes") < run.output.index("receipt of")
        assert running(ours.prefix) == {} and pair.names("image") == []
        assert len(pair.names("volume")) == len(pair.names("network")) == 1
        assert docker("container", "inspect", "--format", "{{.State.Running}}", strange).strip() == "true"
        assert sorted(each.name for each in ours.directory.iterdir() if each.name != "docker") == ["code", "notes.txt"]
        assert moment(theirs) == other
        receipt = json.loads(sorted((pair.state / "destroyed" / ours.prefix / "receipts").iterdir())[-1].read_text())
        assert receipt["what"] == "destroy" and receipt["bystanders"] == [theirs.prefix]
        assert receipt["bystander_changes"] == [] and f"remove container {ours.prefix}_web" in receipt["changed"]
        assert sorted(each.name for each in (pair.state / "environments").iterdir()) == [theirs.prefix]
    finally:
        docker("rm", "--force", strange)


def test_the_rest_goes_when_it_may_and_then_there_is_nothing(pair: Pair) -> None:
    """Without the stranger and the work in the checkout all of it goes, the directory too; a second run says so."""
    ours = pair.ours
    ours.variables["bulkhead_protected"] = False
    (ours.directory / "code" / "work.txt").unlink(missing_ok=True)
    (ours.directory / "notes.txt").unlink(missing_ok=True)
    ours.deploy().succeeded()
    run = pair.destroy("-e", "bulkhead_destroy_volumes=true").succeeded()
    assert run.result("destroy")["left"] == run.result("destroy")["stays"] == []
    assert not ours.directory.exists()
    assert not any(pair.names(kind) for kind in ("container", "network", "volume", "image"))
    again = pair.destroy().succeeded()
    assert again.changed == 0
    assert again.result("destroy")["msg"] == f"there is nothing of {ours.prefix} on the machine"
    assert running(pair.theirs.prefix)


def test_exactly_one_environment(pair: Pair) -> None:
    """Over both it is refused."""
    before = moment(pair.theirs)
    run = pair.site.play("-l", "all", playbook="playbooks/destroy.yml")
    assert run.code != 0 and "spans 2 environments" in run.output
    assert moment(pair.theirs) == before
