# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Destroying one environment: what goes, what stays, what is left, and that nothing else is touched."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import LOCK
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.recovery import JOURNAL
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, sentences
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.naming import firewall_chain
from filter_table import COMMANDS, chain_of, drop_rules, unable
from make_repository import commit
from observe import cron_file, far_away, may_schedule, moment, running
from support import IMAGE, SERVER, Place, Run, Site, docker, health_check, only, remove_project, web

BACKED_UP = {"x-bulkhead": {"backup": {"kind": "files", "path": "/data"}}, "volumes": ["data:/data"]}

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
            services=only(web={"stop_grace_period": "0s", "healthcheck": health_check(), **BACKED_UP}),
            **self.around,
        )
        self.theirs = site.small("production", "prod", services=only(web=web(**BACKED_UP)), **self.around)
        self.theirs.deploy().succeeded()
        self.back_up("production")

    @property
    def around(self) -> dict[str, Any]:
        """What is beside an environment on a machine, where this one's may be changed: a guard and a schedule."""
        return {
            **({} if unable() else {"firewall": True}),
            **({"backup_schedule": far_away()} if may_schedule() else {}),
        }

    def back_up(self, group: str) -> Path:
        """Make one more backup."""
        run = self.site.play("-l", group, playbook="playbooks/backup.yml").succeeded()
        return Path(run.result("backup")["backup"]["path"])

    def receipt(self) -> dict[str, Any]:
        """The receipt of the last destruction."""
        kept = sorted((self.state / "destroyed" / self.ours.prefix / "receipts").iterdir())
        found: dict[str, Any] = json.loads(kept[-1].read_text())
        return found

    def beside(self, place: Place) -> dict[str, Any]:
        """What of an environment is on the machine beside its directory and the engine's objects."""
        rules = [] if unable() else [line for command in COMMANDS for line in chain_of(place, command)]
        paths = [*Path("/etc/cron.d").glob(f"bulkhead-{place.prefix}-*"), *self.state.glob(f"*/{place.prefix}/**/*")]
        kept = [path for path in paths if "receipts" not in path.parts and path.name != LOCK]
        return {
            "rules": rules,
            "files": {str(path): path.read_bytes() for path in kept if path.is_file()},
        }

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
    made = Pair(site)
    yield made
    for place in (made.ours, made.theirs):
        cron_file(place).unlink(missing_ok=True)
        if not unable():
            drop_rules(place)
    remove_project(site.project)


def test_an_environment_goes_and_nothing_else(pair: Pair) -> None:
    """Listed first; volumes stay; what is somebody's own is left and told; the other environment is as it was."""
    ours, theirs = pair.ours, pair.theirs
    ours.deploy().succeeded()
    backup = pair.back_up("staging")
    other, before, beside = moment(theirs), moment(ours), pair.beside(theirs)
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
        assert Step("remove", f"{ours.prefix}_web", "container").as_dict() in found["goes"]
        assert f"image {ours.prefix}_web:" in " ".join(sentences(found["goes"]))
        assert found["stays"] == [f"volume {ours.prefix}_data_staging", f"backup {backup}"]
        left = "\n".join(found["left"])
        for words in (
            f"container {name} of the Compose project {ours.prefix}",
            f"network {network}: {name} is attached to it",
            f"{ours.directory}/code: it has files that are not in the repository: work.txt",
            f"{ours.directory}/notes.txt: no deployment wrote it",
        ):
            assert words in left
            assert words in run.output, "it is printed as well"
        assert run.output.index("to be removed") < run.output.index("receipt of")
        assert running(ours.prefix) == {} and pair.names("image") == []
        assert len(pair.names("volume")) == len(pair.names("network")) == 1
        assert docker("container", "inspect", "--format", "{{.State.Running}}", strange).strip() == "true"
        assert sorted(path.name for path in ours.directory.iterdir() if path.name != "docker") == ["code", "notes.txt"]
        assert moment(theirs) == other and pair.beside(theirs) == beside
        assert (backup / "manifest.json").exists()
        receipt = pair.receipt()
        assert receipt["what"] == "destroy" and receipt["bystanders"] == [theirs.prefix]
        assert receipt["bystander_changes"] == []
        assert f"remove container {ours.prefix}_web" in sentences(receipt["changed"])
        assert sorted(path.name for path in (pair.state / "environments").iterdir()) == [theirs.prefix]
    finally:
        docker("rm", "--force", strange)


def test_the_rest_goes_when_it_may_and_then_there_is_nothing(pair: Pair) -> None:
    """Without the stranger and the work in the checkout all of it goes: directory, volumes, backups, schedule, guard.

    The last run says so. Of the other environment nothing goes, not even a backup that lies among ours.
    """
    ours, theirs = pair.ours, pair.theirs
    ours.variables["bulkhead_protected"] = False
    (ours.directory / "code" / "work.txt").unlink(missing_ok=True)
    (ours.directory / "notes.txt").unlink(missing_ok=True)
    ours.deploy().succeeded()
    if may_schedule():
        line = cron_file(ours).read_text().splitlines()[-1]
        subprocess.run(["/bin/sh", "-c", line.split(None, 6)[6]], check=True, capture_output=True)
    backups = pair.state / "backups"
    theirs_here = next(path for path in (backups / theirs.prefix).iterdir() if path.is_dir())
    guest = shutil.copytree(theirs_here, backups / ours.prefix / theirs_here.name)
    (backups / ours.prefix / ".partial-killed").mkdir()
    (backups / ours.prefix / JOURNAL).write_text("{}")
    own = [path for path in (backups / ours.prefix).iterdir() if path.is_dir() and path != guest]
    other, beside = moment(theirs), pair.beside(theirs)
    run = pair.destroy("-e", "bulkhead_destroy_volumes=true", "-e", "bulkhead_destroy_backups=true").succeeded()
    found = run.result("destroy")
    assert found["stays"] == [] and found["left"] == [f"{guest}: not a backup of {ours.prefix}"]
    gone = {(step["kind"], step["target"]) for step in found["goes"]}
    assert {("backup", str(path)) for path in own} == {item for item in gone if item[0] == "backup"}
    assert {("file", str(backups / ours.prefix / name)) for name in (LOCK, JOURNAL)} <= gone
    assert not ours.directory.exists()
    assert not any(pair.names(kind) for kind in ("container", "network", "volume", "image"))
    assert sorted(pair.beside(ours)["files"]) == sorted(str(path) for path in guest.iterdir())
    assert pair.beside(ours)["rules"] == [] and (moment(theirs), pair.beside(theirs)) == (other, beside)
    receipt = pair.receipt()
    assert receipt["bystander_changes"] == [] and receipt["changed"] == found["goes"]
    assert {step["verb"] for step in found["goes"]} == {"remove"}
    if may_schedule():
        last = pair.state / "schedules" / ours.prefix
        assert {("schedule", str(cron_file(ours))), ("schedule", str(last))} <= gone and len(own) == 3
    if not unable():
        assert ("firewall chain", firewall_chain(ours.prefix)) in gone
    shutil.rmtree(guest)
    folder = pair.destroy("-e", "bulkhead_destroy_backups=true").succeeded().result("destroy")
    assert folder["goes"] == [Step("remove", str(backups / ours.prefix), "backup directory").as_dict()]
    again = pair.destroy("-e", "bulkhead_destroy_backups=true").succeeded()
    assert again.changed == 0
    assert again.result("destroy")["msg"] == f"there is nothing of {ours.prefix} on the machine"
    for job in ("shell", "verify"):
        run = pair.site.play("-l", "staging", playbook=f"playbooks/{job}.yml")
        assert f"{ours.prefix} is not deployed here" in run.error
    listed = pair.site.play("-l", "staging", playbook="playbooks/releases.yml").succeeded()
    assert f"{ours.prefix} has no releases here" in listed.output
    assert pair.beside(theirs) == beside


def test_exactly_one_environment(pair: Pair) -> None:
    """Over both it is refused."""
    before = moment(pair.theirs)
    run = pair.site.play("-l", "all", playbook="playbooks/destroy.yml")
    assert run.code != 0 and "spans 2 environments" in run.output
    assert moment(pair.theirs) == before
