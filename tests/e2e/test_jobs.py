# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The day's small jobs: what they do, to whom, and what they refuse."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentences
from observe import moment, running, say
from sabotage import lease_path
from support import SERVER, Place, Run, Site, docker, only, remove_project, web

SECRET = "q7-very-secret-text"

#: Writes a secret to its log, beside what every small server says.
LOUD = "import os, sys; print('token', os.environ['TOKEN'], file=sys.stderr, flush=True)\n" + SERVER

#: A management command of one line.
MANAGE = "import os, sys; print(sys.argv[1:], os.environ['SAY'], os.environ['TOKEN'])"


class Pair:
    """Two environments on one machine; jobs are done on the first."""

    def __init__(self, site: Site) -> None:
        self.site = site
        manage = {"manage": ["python3", "-c", MANAGE]}
        services = only(
            web=web(command=["python3", "-u", "-c", LOUD], depends_on=["store"], **{"x-bulkhead": manage}), store=web()
        )
        self.ours = site.small(
            "staging",
            "staging",
            services=services,
            env={"SAY": "ours"},
            secrets={"bulkhead_secrets": {"TOKEN": SECRET}},
            metrics_directory=str(site.directory / "collector"),
        )
        self.theirs = site.small("production", "prod", env={"SAY": "theirs"})
        self.theirs.deploy().succeeded()
        self.ours.deploy().succeeded()

    def do(self, job: str, *arguments: str, place: Place | None = None) -> Run:
        """Run a job's playbook on our environment."""
        more = [word for argument in arguments for word in (("-e", argument) if "=" in argument else (argument,))]
        return self.site.play("-l", (place or self.ours).group, *more, playbook=f"playbooks/{job}.yml")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Pair]:
    site = Site(tmp_path_factory.mktemp("jobs"), projects())
    yield Pair(site)
    remove_project(site.project)


def test_restart_of_one_service(pair: Pair) -> None:
    """It is the same container, started anew and well; nothing else was touched, and the receipt says so."""
    theirs, before = moment(pair.theirs), running(pair.ours.prefix)
    run = pair.do("restart", "bulkhead_service=web").succeeded()
    after, name = running(pair.ours.prefix), f"{pair.ours.prefix}_web"
    assert sentences(run.result("service")["steps"]) == [f"restart {name}"]
    assert run.result("service")["changed"] is True
    assert after[name][0] == before[name][0] and after[name][1] > before[name][1]
    assert after[f"{pair.ours.prefix}_store"] == before[f"{pair.ours.prefix}_store"]
    assert say(pair.ours.prefix) == "ours"
    assert moment(pair.theirs) == theirs
    assert f"receipt of {pair.ours.prefix}, restart" in run.output
    assert f"unchanged {pair.theirs.prefix}" in run.output


def test_restart_of_everything(pair: Pair) -> None:
    """What others depend on comes first. Check mode says the same and does nothing."""
    before = running(pair.ours.prefix)
    steps = [f"restart {pair.ours.prefix}_{name}" for name in ("store", "web")]
    assert sentences(pair.do("restart", "--check").succeeded().result("service")["steps"]) == steps
    assert running(pair.ours.prefix) == before
    assert sentences(pair.do("restart").succeeded().result("service")["steps"]) == steps
    after = running(pair.ours.prefix)
    started = [after[f"{pair.ours.prefix}_{name}"][1] for name in ("store", "web")]
    assert max(container[1] for container in before.values()) < started[0] < started[1]


@pytest.mark.full
def test_a_container_that_does_not_come_back(pair: Pair) -> None:
    """Its condition and its last lines are shown, without the secret that is among them."""
    name = f"{pair.ours.prefix}_store"
    docker("exec", name, "sh", "-c", "touch /broken")
    broken = 'test -e /broken && { echo "the reason"; exit 3; }'
    docker("exec", name, "sh", "-c", f"mv $(command -v python3) /usr/bin/kept; printf '#!/bin/sh\\n%s\\n' '{broken}' "
           f"> /usr/bin/python3; chmod +x /usr/bin/python3")  # fmt: skip
    try:
        error = pair.do("restart", "bulkhead_service=store").error
        assert f"{name} of service store did not get healthy" in error and "the reason" in error
    finally:
        docker("rm", "--force", name)
        pair.ours.deploy().succeeded()


def test_logs(pair: Pair) -> None:
    """The last lines of one service, of all, and of neither more than was asked for; secrets are hidden."""
    run = pair.do("logs", "bulkhead_service=web").succeeded()
    assert "serving" in run.output and "token ********" in run.output
    assert SECRET not in run.output + json.dumps([task.result for task in run.tasks])
    assert run.changed == 0
    logs = pair.do("logs", "bulkhead_lines=1").succeeded().result("service")["logs"]
    assert [(log["container"], len(log["lines"])) for log in logs] == [
        (f"{pair.ours.prefix}_{name}", 1) for name in ("store", "web")
    ]


def test_a_secret_that_was_changed_and_not_deployed_is_hidden_too(pair: Pair) -> None:
    """The containers still have the old one, and the inventory knows it no more."""
    pair.ours.secrets["bulkhead_secrets"]["TOKEN"] = "another-secret-text"
    try:
        shown = pair.do("logs", "bulkhead_since=1h", "bulkhead_follow=1").succeeded().output
        assert "serving" in shown and SECRET not in shown
    finally:
        pair.ours.secrets["bulkhead_secrets"]["TOKEN"] = SECRET


def test_reading_waits_for_nobody(pair: Pair) -> None:
    """Somebody deploys: logs and list are shown at once, a restart is refused."""
    lock = lease_path(pair.ours)
    kept, far = lock.read_text(), 100
    soon = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout
    held = {"token": "x", "owner": "somebody", "since": float(soon), "expires": float(soon) + far}
    lock.write_text(json.dumps(held))
    try:
        listing = pair.do("services").succeeded()
        assert f"{pair.ours.prefix}_web" in listing.output and "healthy" in listing.output
        assert listing.changed == 0
        assert "is locked by somebody" in pair.do("restart", "bulkhead_lock_wait=0").error
    finally:
        lock.write_text(kept)


def test_shell(pair: Pair) -> None:
    """A command is split into words and given to no shell; its output is shown, and its failure is the run's."""
    run = pair.do("shell", "bulkhead_service=web", 'bulkhead_command=\'echo "a  b" "$SAY;" *\'').succeeded()
    assert run.result("service")["lines"] == ["a  b $SAY; *"]
    assert run.result("service")["changed"] is True
    error = pair.do("shell", "bulkhead_service=web", "bulkhead_command='ls /nowhere'").error
    assert f"{pair.ours.prefix}_web: ls /nowhere ended with exit code 2" in error


def test_shell_without_a_command_says_what_to_type(pair: Pair) -> None:
    """Through ssh where Ansible goes through it; here it does not."""
    run = pair.do("shell", "bulkhead_service=web").succeeded()
    assert run.result("service")["command"] == f"docker exec --interactive --tty {pair.ours.prefix}_web sh"
    assert run.changed == 0


def test_manage(pair: Pair) -> None:
    """The service that declares a management command is found; arguments arrive as they were meant."""
    run = pair.do("manage", "bulkhead_manage=\"show 'two words'\"").succeeded()
    assert run.result("service")["lines"] == ["['show', 'two words'] ours ********"]


def test_a_command_with_input_and_variables(pair: Pair, tmp_path: Path) -> None:
    """Neither shows anywhere; the command reads both."""
    (tmp_path / "rows").write_text("from a file\n")
    pair.ours.variables["bulkhead_command_env"] = {"ONE_OFF": "{{ bulkhead_secrets.TOKEN }}"}
    command = "bulkhead_command='sh -c \"cat; printenv ONE_OFF\"'"
    try:
        run = pair.do("shell", "bulkhead_service=web", command, f"bulkhead_input_file={tmp_path / 'rows'}").succeeded()
    finally:
        del pair.ours.variables["bulkhead_command_env"]
    assert run.result("service")["lines"] == ["from a file", "********"]
    assert SECRET not in run.output


@pytest.mark.parametrize(
    ("job", "arguments", "words"),
    [
        ("manage", ["bulkhead_manage=dbshell"], ["asks a person", "docker exec --interactive --tty", "dbshell"]),
        ("restart", ["bulkhead_service=wbe"], ["has no service wbe", "did you mean web?", "store, web"]),
        ("manage", [], ["bulkhead_manage is empty"]),
        ("logs", ["bulkhead_prefix=other"], ["-e sets bulkhead_prefix"]),
    ],
)
def test_what_means_nothing_is_refused(pair: Pair, job: str, arguments: list[str], words: list[str]) -> None:
    """With the right names, before anything is done."""
    before = running(pair.ours.prefix)
    error = pair.do(job, *arguments)
    assert error.code != 0
    for word in words:
        assert word in error.output
    assert running(pair.ours.prefix) == before


@pytest.mark.parametrize(
    ("job", "limit", "word"), [("restart", [], "there is no -l"), ("logs", ["-l", "all"], "spans 2 environments")]
)
def test_one_environment_only(pair: Pair, job: str, limit: list[str], word: str) -> None:
    """Without -l, and over both: refused as a deployment is."""
    before = running(pair.ours.prefix), running(pair.theirs.prefix)
    run = pair.site.play(*limit, playbook=f"playbooks/{job}.yml")
    assert run.code != 0 and word in run.output
    assert (running(pair.ours.prefix), running(pair.theirs.prefix)) == before


def test_status_of_everything(pair: Pair) -> None:
    """Both on one screen, without the password of a vault and without a change. A container that was stopped shows, in
    the file for node_exporter too, which the deployment began."""
    metrics = pair.site.directory / "collector" / f"bulkhead_{pair.ours.prefix}.prom"
    assert f'bulkhead_healthy{{prefix="{pair.ours.prefix}"}} 1\n' in metrics.read_text()
    before = running(pair.ours.prefix), moment(pair.theirs)
    run = pair.site.play("-e", "bulkhead_format=json", playbook="playbooks/status.yml", passwords=[]).succeeded()
    found = {each["prefix"]: each for each in run.result("status")["environments"]}
    assert {each["state"] for each in found.values()} == {"deployed"}, run.output
    assert all(each["healthy"] and each["drift"] == 0 and each["release"] for each in found.values()), run.output
    assert f'"prefix": "{pair.ours.prefix}"' in run.output and SECRET not in run.output
    assert (running(pair.ours.prefix), moment(pair.theirs)) == before
    docker("stop", "--time", "0", f"{pair.ours.prefix}_store")
    try:
        run = pair.site.play("-l", pair.ours.group, playbook="playbooks/status.yml").succeeded()
    finally:
        docker("start", f"{pair.ours.prefix}_store")
    assert f'bulkhead_healthy{{prefix="{pair.ours.prefix}"}} 0\n' in metrics.read_text()
    assert f'bulkhead_drift{{prefix="{pair.ours.prefix}"}} 1\n' in metrics.read_text()
    assert [path.name for path in metrics.parent.iterdir()] == [metrics.name]
    assert "UNWELL" in run.output and f"{pair.ours.prefix}_store is exited" in run.output
    assert pair.theirs.prefix not in run.output


def test_the_doctor(pair: Pair) -> None:
    """It finds nothing where nothing is wrong, and the stopped container where one is. It needs no vault and changes
    nothing; its exit code says whether there is a fault."""
    run = pair.site.play(playbook="playbooks/doctor.yml", passwords=[]).succeeded()
    assert "2 examined" in run.output and "no fault was found" in run.output, run.output
    name, before = f"{pair.ours.prefix}_store", moment(pair.theirs)
    docker("stop", "--time", "0", name)
    try:
        run = pair.site.play("-e", "bulkhead_format=json", playbook="playbooks/doctor.yml", passwords=[])
    finally:
        docker("start", name)
    assert run.code == 2
    found = run.result("doctor")["results"]
    faults = [each for each in found if each["kind"] == "fault"]
    assert [(each["environment"], each["check"]) for each in faults] == [(pair.ours.prefix, "health")], run.output
    assert name in faults[0]["saw"] and name in faults[0]["next"]
    assert moment(pair.theirs) == before and SECRET not in run.output
