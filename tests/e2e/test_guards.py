# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before any host is contacted. The hosts of these inventories leave a trace when they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT, Run, Site


class Traced:
    """Two environments on hosts whose ssh is a program that notes that it was called, and fails."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.trace = site.directory / "contacted"
        ssh = site.directory / "ssh"
        ssh.write_text(f"#!/bin/sh\ntouch {self.trace}\necho nobody is there >&2\nexit 255\n")
        ssh.chmod(0o755)
        site.host_variables = {
            "ansible_connection": "ssh",
            "ansible_host": "192.0.2.1",
            "ansible_ssh_executable": str(ssh),
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        self.production = site.small("production", "prod")
        self.staging = site.small("staging", "staging")

    def refused(self, run: Run, *words: str, contacted: bool = False) -> str:
        """The run was refused without any host being asked, and says these words."""
        assert run.code != 0, run.output
        assert self.trace.exists() is contacted, "a host was contacted" if not contacted else "no host was contacted"
        assert "Traceback" not in run.output, run.output
        for word in words:
            assert word in run.output, run.output
        return run.output


@pytest.fixture
def traced(site: Site) -> Traced:
    """Two environments, none of them reachable."""
    return Traced(site)


def playbook(directory: Path, **play: Any) -> Path:
    """A playbook of one play on all hosts."""
    path = directory / "playbook.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, **play}]))
    return path


def test_the_trace_works(traced: Traced) -> None:
    """A deployment that nothing forbids does contact its host; else no test of this file could fail."""
    run = traced.site.play("-l", "staging")
    traced.refused(run, "nobody is there", contacted=True)
    assert run.ran[0] == "plan" and run.tasks[0].status == "ok"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["there is no -l", "Name one environment: -l production"]),
        (["-l", ""], ["-l is empty", "Name one environment: -l production"]),
        (["-l", "production:staging"], ["spans 2 environments: production, staging", "Name one at a time"]),
        (["-l", "all"], ["spans 2 environments", "Name one at a time: -l production"]),
        (["-l", "staging-host,production-host"], ["spans 2 environments"]),
    ],
)
def test_selections(traced: Traced, arguments: list[str], words: list[str]) -> None:
    """Anything but exactly one environment."""
    traced.refused(traced.site.play(*arguments), *words, "refused before any host was contacted")


@pytest.mark.parametrize("limit", ["staging", "staging-host", "!production", "all:!production", "stag*"])
def test_one_environment_however_it_is_written(traced: Traced, limit: str) -> None:
    """The near misses: each of these means staging and nothing else."""
    run = traced.site.play("-l", limit, "--check")
    assert run.ran[0] == "plan" and run.tasks[0].status == "ok", run.output
    assert f"this run is for {traced.staging.prefix}" in run.output


@pytest.mark.parametrize(
    "variable",
    ["bulkhead_environment=prod", "bulkhead_prefix=other", "bulkhead_directory=/srv/other", "bulkhead_env={}"],
)
def test_extra_variables(traced: Traced, variable: str) -> None:
    """-e would count for every environment of the run; identity least of all may come by it."""
    name = variable.partition("=")[0]
    run = traced.site.play("-l", "staging", "-e", variable)
    traced.refused(run, f"-e sets {name}", f"Set {name} in group_vars of the environment")


def test_extra_variables_of_the_run(traced: Traced) -> None:
    """The near miss: what belongs to the run may come by -e."""
    run = traced.site.play("-l", "staging", "--check", "-e", "bulkhead_wait_timeout=5")
    assert run.tasks[0].status == "ok", run.output


def test_a_host_in_two_environments(traced: Traced) -> None:
    """It would keep the variables of only one of them."""
    traced.site.write()
    path = traced.site.inventory / "hosts.yml"
    hosts = {"hosts": {"shared-host": None}}
    path.write_text(yaml.safe_dump({"all": {"children": {"production": hosts, "staging": hosts}}}))
    run = traced.site.play("-l", "staging", write=False)
    traced.refused(run, "Host shared-host is in the groups", "its own inventory host")


def test_a_prefix_that_is_anothers_and_more(site: Site) -> None:
    """`x_prod` and `x_prod_eu` share names: `x_prod_eu_network` could be either's."""
    traced = Traced(site)
    site.small("europe", "prod_eu")
    run = site.play("-l", "staging", "-e", "bulkhead_fail_on_bystanders=true")
    traced.refused(run, f"{site.project}_prod_eu", f"{site.project}_prod")
    run = site.play("-l", "europe")
    traced.refused(run, f"{site.project}_prod_eu", f"{site.project}_prod")


def test_prefixes_that_live_together(site: Site) -> None:
    """The near miss: `pr-1` and `pr-12` share no name."""
    site.small("one", "pr-1", prefix=f"{site.project}-pr-1")
    site.small("twelve", "pr-12", prefix=f"{site.project}-pr-12")
    assert site.play("-l", "one", "--check").tasks[0].status == "ok"


def test_play_variables(traced: Traced) -> None:
    """A play that says it is another environment than the inventory does."""
    book = playbook(traced.site.directory, vars={"bulkhead_prefix": "other"}, tasks=[ROLE])
    run = traced.site.play("-l", "staging", playbook=book)
    traced.refused(run, "bulkhead_prefix, which contradicts the inventory")


#: A deployment in a playbook of somebody's own.
ROLE = {
    "name": "Deploy",
    "ansible.builtin.import_role": {"name": "aiia.bulkhead.environment", "rolespec_validate": False},
}

WALKS = [
    ["--skip-tags", "always"],
    ["--skip-tags", "all"],
    ["--start-at-task", "Converge to the release"],
    ["--start-at-task", "Check out the commit and build its image"],
]


@pytest.mark.parametrize("arguments", WALKS, ids=[" ".join(walk) for walk in WALKS])
def test_walking_around_the_gate(traced: Traced, arguments: list[str]) -> None:
    """Whatever is skipped, what changes a host asks for the proof itself."""
    run = traced.site.play(*arguments)
    assert not traced.trace.exists(), run.output
    assert run.ran == [] or (run.code != 0 and "there is no -l" in run.output), run.output


def test_ignored_errors(traced: Traced) -> None:
    """A play that ignores errors gets to every task, and each that would change something refuses."""
    book = playbook(traced.site.directory, ignore_errors=True, tasks=[ROLE])
    run = traced.site.play(playbook=book)
    changing = {task.action: task for task in run.tasks if not task.action.endswith(".verify")}
    assert set(changing) == {
        f"aiia.bulkhead.{action}" for action in ("plan", "preflight", "source", "backup", "converge", "certificates")
    }
    for action, task in changing.items():
        assert task.status == "ignored", action
        assert "no-limit" in task.result["msg"], action


@pytest.mark.parametrize("action", ["aiia.bulkhead.converge", "aiia.bulkhead.source", "aiia.bulkhead.preflight"])
def test_the_action_alone(traced: Traced, action: str) -> None:
    """A playbook that calls only what changes a host, for everybody."""
    book = playbook(traced.site.directory, tasks=[{"name": "Just do it", action: {}}])
    traced.refused(traced.site.play(playbook=book), "there is no -l", "Name one environment")


def test_a_forged_proof(traced: Traced) -> None:
    """No fact or variable stands for the proof."""
    forged = {"bulkhead_proof": True, "_environment_source": {"commit": "0" * 40}}
    tasks = [
        {"name": "Forge", "ansible.builtin.set_fact": forged},
        {"name": "Just do it", "aiia.bulkhead.converge": None},
    ]
    traced.refused(traced.site.play(playbook=playbook(traced.site.directory, tasks=tasks)), "there is no -l")


def test_the_module_itself(traced: Traced) -> None:
    """Options of the module cannot be given by hand: the action takes none."""
    task = {"name": "By hand", "aiia.bulkhead.converge": {"directory": "/srv/x", "prefix": "x"}}
    run = traced.site.play("-l", "staging", playbook=playbook(traced.site.directory, tasks=[task]))
    traced.refused(run, "Unsupported parameters")


def test_an_environment_that_is_no_host_of_the_inventory(traced: Traced) -> None:
    """A limit that matches nothing is an error of its own."""
    assert traced.site.play("-l", "nowhere").code != 0
    assert not traced.trace.exists()


def test_the_checkout_is_what_is_tested() -> None:
    """The runs above use this checkout's playbook and no installed collection."""
    link = ROOT / ".ansible/collections/ansible_collections/aiia/bulkhead"
    assert link.resolve() == ROOT
