# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One environment's secrets through everything that a run can do and how it can fail: where are they afterwards?"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from canaries import forms, holds, leftovers
from observe import ProcessArguments, containers
from sabotage import idle
from support import IMAGE, Place, Run, Site, docker, health_check, only, web

#: Does what applications do with their settings just before they die.
DIES = {
    "command": ["sh", "-c", 'env; echo "$$PRIVATE_KEY"; cat "$$IN_A_FILE_FILE"; exit 1'],
    "healthcheck": {**health_check(1, interval=1), "test": ["CMD", "false"]},
}


def canaries() -> dict[str, str]:
    """Values that nothing else on the machine has, of the kinds that secrets have."""
    word = secrets.token_hex
    return {
        "TOKEN": f"token-{word(16)}",
        "QUOTED": f'it\'s a "quoted" $HOME\\{word(16)} #{{{{ {word(8)} }}}}',
        "IN_A_FILE": f"file-{word(16)}",
        "PRIVATE_KEY": f"-----BEGIN PRIVATE KEY-----\n{word(24)}\n{word(24)}\n-----END PRIVATE KEY-----\n",
    }


def texts(values: Mapping[str, str]) -> list[str]:
    """What identifies the values: a key by its own lines."""
    return [line for value in values.values() for line in value.splitlines() if "PRIVATE KEY" not in line]


class Story:
    """Runs of one environment, and what they showed."""

    def __init__(self, site: Site) -> None:
        self.site, self.values = site, canaries()
        self.place: Place = site.small(secret_files={"IN_A_FILE": ["web"]})
        self.said: dict[str, str] = {}
        (site.directory / "tmp").mkdir()
        self.environment = {
            "TMPDIR": str(site.directory / "tmp"),
            "ANSIBLE_LOG_PATH": str(site.directory / "ansible.log"),
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(site.directory / "facts"),
        }

    def secrets(self, values: dict[str, str], **more: Any) -> None:
        """Give the environment these secrets, and its application these keys."""
        self.place.secrets["bulkhead_secrets"] = values
        # A neighbour of the same environment, which has none of them.
        self.place.variables["bulkhead_services"] = only(web=web(**more), neighbour=idle())

    def run(self, what: str, *options: str, playbook: str = "deploy.yml", **more: Any) -> Run:
        """A run, as loud as it gets; what it said is kept, and so is each result of a task."""
        book = playbook if playbook == "deploy.yml" else f"playbooks/{playbook}"
        run = self.place.deploy("-vvv", *options, playbook=book, environment=self.environment, **more)
        record = self.site.directory / "record.jsonl"
        self.said[what] = run.output + (record.read_text() if record.exists() else "")
        return run


@pytest.fixture
def story(site: Site) -> Iterator[Story]:
    yield Story(site)


def test_no_run_leaves_a_secret_anywhere(story: Story) -> None:
    """Deploy, rotate, fail, roll back, back up, verify, check, plan, and a wrong password.

    Controls: the application has the secrets, and so has each file that is meant for them; the release that dies prints
    them; a file in the machine's temporary directory is found.
    """
    began, place, directory = time.time(), story.place, story.site.directory
    first, second, third = canaries(), canaries(), canaries()
    hidden = [text for values in (first, second, third) for text in texts(values)]
    coded = [form for text in hidden for form in forms(text)]
    page, report, receipt = (directory / name for name in ("page.html", "report.json", "receipt.json"))

    with ProcessArguments(hidden) as arguments:
        story.secrets(first)
        story.run(
            "deploy", "--diff", "-e", f"bulkhead_receipt={receipt}", "-e", f"bulkhead_report={report}"
        ).succeeded()
        story.secrets(second)
        story.run("check", "--check", "--diff").succeeded()
        story.run("rotate", "--diff").succeeded()
        assert_meant(story, second, coded)
        story.secrets(third, **DIES)
        failed = story.run("fail", "--diff")
        story.secrets(second)
        story.run("roll back", playbook="rollback.yml").succeeded()
        story.run("back up", playbook="backup.yml")  # it has no data: the error that says so
        story.run("verify", playbook="verify.yml").succeeded()
        story.run("plan", "-e", f"bulkhead_report={page}", playbook="plan.yml").succeeded()
        seen, live = directory / "seen.html", "bulkhead_report_live=true"
        story.run("look", "-e", f"bulkhead_report={seen}", "-e", live, playbook="report.yml").succeeded()
        place.password = "another one"
        story.site.write()
        (directory / f"{place.group}.password").write_text("a wrong one")
        wrong = story.run("wrong password", write=False)

    assert failed.code != 0 and "TOKEN=********" in failed.output and "********" in failed.error, failed.output
    assert wrong.code != 0 and "Traceback" not in wrong.output
    assert page.is_file() and report.is_file() and receipt.is_file() and "The machines now" in seen.read_text()
    told = {what: [text for text in coded if text in said.encode()] for what, said in story.said.items()}
    assert not any(told.values()), {what: len(found) for what, found in told.items() if found}
    assert arguments.rounds > 50 and arguments.seen == set()
    assert_meant(story, first, coded)
    with NamedTemporaryFile() as control:
        control.write(coded[0])
        control.flush()
        assert list(leftovers(began, coded, directory)) == [Path(control.name)]
    assert [text for text in coded if text in elsewhere(place, began)] == []


#: The files that are meant for secrets, below the environment's directory and what root keeps of it.
MEANT = {".env", "IN_A_FILE"}


def assert_meant(story: Story, in_force: Mapping[str, str], coded: list[bytes]) -> None:
    """The files that are meant for secrets have them, closed to others; no other file below the site's has one."""
    place, directory = story.place, story.site.directory
    kept = directory / "machine-state/deployed" / place.prefix
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    holding = [path for path in files if holds(path, coded)]
    assert {path.name for path in holding} == MEANT, holding
    for path in holding:
        above = [path, *path.parents]
        assert path.is_relative_to(place.directory) or path.is_relative_to(kept), path
        assert any(each.stat().st_mode & 0o077 == 0 for each in above if each.is_relative_to(directory)), path
    env = place.directory / ".env"
    assert env.stat().st_mode & 0o777 == 0o600 and in_force["TOKEN"] in env.read_text()
    assert docker("exec", f"{place.prefix}_web", "cat", "/run/secrets/IN_A_FILE") == in_force["IN_A_FILE"]
    described = json.dumps(containers(place.prefix)[f"{place.prefix}_web"])
    assert in_force["TOKEN"] in described and in_force["IN_A_FILE"] not in described


def elsewhere(place: Place, began: float) -> bytes:
    """What the engine says of all but the application: containers, image, networks, volumes, events; and all logs."""
    application = f"{place.prefix}_web"
    label = ["--filter", f"label=io.bulkhead.prefix={place.prefix}"]
    names = docker("ps", "--all", "--format", "{{.Names}}").split()
    shown = [docker("container", "inspect", *[name for name in names if name != application], check=False)]
    shown += [docker("image", "inspect", IMAGE), docker("history", "--no-trunc", IMAGE)]
    for kind in ("network", "volume"):
        found = docker(kind, "ls", "--quiet", *label).split()
        shown += [docker(kind, "inspect", *found)] if found else []
    shown.append(docker("events", "--since", f"{began:.0f}", "--until", f"{time.time():.0f}", *label))
    for name in containers(place.prefix):
        logs = ["docker", "logs", name]
        shown.append(subprocess.run(logs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout.decode())
    assert application in names and "exec_create" in shown[-3]
    return "".join(shown).encode()
