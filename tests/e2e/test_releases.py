# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases under load: production and staging are asked all the time while staging gets new versions, good and bad."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from guide_stack import SERVICES, Guide
from load import Load, Pace
from load_guide import (
    ADD_COLUMN,
    FAIL,
    faults_of_rows,
    migration,
    peer,
    project_file,
    put_back,
    release,
    with_broken_health,
    with_headline,
)
from observe import ask, by_hand, containers, running
from support import Place, Run, docker
from test_changes import variables_of

PACE = Pace(rate=12, slow=1)  # well below the time that a container may drain for
SETTING, RESTART, GOOD, UNHEALTHY, UNPREPARED, ROLLBACK = (
    "a changed setting", "a restart", "a new version", "a failed health check", "a failed migration", "a rollback"
)  # fmt: skip
STYLE = "notes/static/notes/style.css"


@dataclass(frozen=True)
class Look:
    """What staging is like: which setting its application has, which body nginx takes, and which style its page asks
    for, with the path and what comes back."""

    greeting: str
    large_body: int
    style: str
    content: bytes


def look(place: Place) -> Look:
    """See what is in force after a step."""
    greeting = variables_of(place)["GREETING"]
    large_body = ask(place, "/redis/size", "PUT", b"x" * 5000).status
    found = re.search(r'rel="stylesheet" href="([^"]+)"', ask(place, "/").body.decode())
    assert found, "the page asks for no style"
    return Look(greeting, large_body, found[1], style(place, found[1]))


def style(place: Place, path: str) -> bytes:
    """A file that nginx serves by itself."""
    answer = ask(place, path)
    return answer.body if answer.status == 200 else b"answered %d" % answer.status


@dataclass
class Story:
    """What happened, in order; the tests below say what must be true of it."""

    guide: Guide
    load: Load
    runs: dict[str, Run] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    looks: dict[str, Look] = field(default_factory=dict)
    old_styles: dict[str, bytes] = field(default_factory=dict)
    production: list[object] = field(default_factory=list)
    staging: dict[str, Any] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        """Where the source comes from."""
        return Path(self.guide.site.everyone["bulkhead_source_repository"])

    def step(self, name: str, *arguments: str, playbook: str = "deploy.yml", fails: bool = False) -> None:
        """One run on staging under load; both are looked at afterwards."""
        with self.load.during(name):
            run = self.guide.staging.deploy(*arguments, playbook=playbook, passwords=["staging"])
        self.load.rest(1)
        self.runs[name] = run
        answer = ask(self.guide.staging, "/whoami/")
        self.served[name] = answer.json["commit"] if answer.status == 200 else f"answered {answer.status}"
        self.looks[name] = look(self.guide.staging)
        self.old_styles[name] = style(self.guide.staging, self.looks[SETTING].style)
        self.production.append(running(self.guide.production.prefix))
        self.staging[name] = running(self.guide.staging.prefix)
        print(f"\n{name}: exit code {run.code} after {run.seconds:.1f} s", flush=True)
        if (run.code != 0) != fails:
            print(run.output, flush=True)

    def commit(self, name: str, changes: dict[str, str | None]) -> None:
        """A commit on staging's branch."""
        self.commits[name] = release(self.repository, "staging", changes, name)


@pytest.fixture(scope="module")
def story(guide: Guide) -> Iterator[Story]:
    """All of it, once: about two minutes."""
    first = guide.commits["staging"]
    with Load([peer(place) for place in guide.both], PACE) as load:
        told = Story(guide, load, commits={SETTING: first})
        told.production.append(running(guide.production.prefix))
        load.rest(4)
        guide.staging.variables["bulkhead_env"] = {"GREETING": "hello again"}
        guide.staging.variables["bulkhead_probe_timeout"] = 3  # under load an answer takes its time
        told.step(SETTING)
        told.step(RESTART, "-e", "bulkhead_service=django", playbook="playbooks/restart.yml")
        column = migration("0002_colour", "0001_initial", ADD_COLUMN.format(name="colour"))
        in_colour = {STYLE: project_file(told.repository, "staging", STYLE) + "body { color: #036; }\n"}
        told.commit(GOOD, {**with_headline("Notes in colour"), **in_colour, **column})
        guide.staging.variables |= {"bulkhead_env": {"GREETING": "in colour"}, "bulkhead_nginx_body_size": "4k"}
        told.step(GOOD)
        told.commit(UNHEALTHY, {**with_broken_health(told.repository, "staging")})
        # A version that starts well is healthy after seconds; the others need not be waited for any longer.
        guide.staging.variables["bulkhead_wait_timeout"] = 45
        told.step(UNHEALTHY, fails=True)
        del guide.staging.variables["bulkhead_wait_timeout"]
        put_back(told.repository, "staging", told.commits[GOOD])
        half = migration("0003_size", "0002_colour", ADD_COLUMN.format(name="size"))
        told.commit(UNPREPARED, {**half, **migration("0004_fails", "0003_size", FAIL)})
        told.step(UNPREPARED, fails=True)
        told.step(ROLLBACK, playbook="playbooks/rollback.yml")
        load.rest(3)
    for name in ("bulkhead_probe_timeout", "bulkhead_nginx_body_size"):
        del guide.staging.variables[name]
    guide.staging.variables["bulkhead_env"] = {"GREETING": "hello again"}
    put_back(told.repository, "staging", first)
    yield told


def test_no_request_failed(story: Story, record_property: Callable[[str, object], None]) -> None:
    """Neither in staging, which was released to, nor in production beside it; in none of the phases."""
    record_property("report", story.load.report())
    assert story.load.failures == [], story.load.report()


def test_the_load_was_a_load(story: Story) -> None:
    """There were enough requests of every kind, in each phase and to both, for the numbers to mean something."""
    for place in story.guide.both:
        for phase in ("before", *story.runs, "after"):
            assert story.load.summary(place.prefix, phase).requests > 40, story.load.report()
        kinds = {record.kind for record in story.load.records if record.target == place.prefix}
        assert kinds >= {"get", "get new", "post", "post new", "slow", "upload", "websocket open", "websocket"}
        assert len(story.load.targets[place.prefix].writes.acknowledged) > 100


def test_every_acknowledged_write_is_there(story: Story) -> None:
    """Asked of the database servers themselves; no row is in the other environment, none is there twice for nothing."""
    assert faults_of_rows(story.load, *story.guide.both) == []


def test_good_releases_are_served(story: Story) -> None:
    """A setting, a new version and the way back each end with what was asked for."""
    for name in (SETTING, RESTART, GOOD, ROLLBACK):
        story.runs[name].succeeded()
    assert story.served[SETTING] == story.served[RESTART] == story.commits[SETTING]
    assert story.served[GOOD] == story.commits[GOOD] != story.commits[SETTING]
    assert story.served[ROLLBACK] == story.commits[SETTING]


def test_a_release_is_all_of_it(story: Story) -> None:
    """A setting and nginx's configuration come with a release, and go with it: the inventory still says the new ones
    when staging is rolled back."""
    seen = {name: (item.greeting, item.large_body) for name, item in story.looks.items()}
    before, after = ("hello again", 204), ("in colour", 413)
    assert seen == {
        SETTING: before, RESTART: before, GOOD: after, UNHEALTHY: after, UNPREPARED: after, ROLLBACK: before
    }  # fmt: skip


def test_a_restart_replaces_the_application_and_nothing_else(story: Story) -> None:
    """Its container is a new one. That no request failed meanwhile, and that there were enough, is asked above."""
    before, after = story.staging[SETTING], story.staging[RESTART]
    assert set(before) == set(after)
    assert [name for name in before if before[name] != after[name]] == [f"{story.guide.staging.prefix}_django"]


def test_pages_of_the_release_before_find_their_style(story: Story) -> None:
    """The new release has another style, under another name; what open pages of the old one ask for is still there."""
    old, new = story.looks[SETTING], story.looks[GOOD]
    assert new.style != old.style
    assert new.content == old.content + b"body { color: #036; }\n"
    assert set(story.old_styles.values()) == {old.content} and len(story.old_styles) == len(story.runs)


def test_old_and_new_are_not_mixed_for_long(story: Story) -> None:
    """While one version takes over, each of the two answers for a while, and after that only the new one."""
    records = [
        record for record in story.load.records if record.phase == GOOD and record.target == story.guide.staging.prefix
    ]
    old, new = ([record for record in records if record.commit == story.commits[name]] for name in (SETTING, GOOD))
    assert old and new and len(old) + len(new) == sum(bool(record.commit) for record in records)
    answered = min(record.due + record.seconds for record in new)
    late = [record for record in old if record.due > answered]
    assert len(late) <= PACE.rate, "the old version answered again, after the new one had taken over"


@pytest.mark.parametrize("name", [UNHEALTHY, UNPREPARED])
def test_a_bad_release_is_never_served(story: Story, name: str) -> None:
    """The run fails with one clear error, and no request ever reaches the version that failed."""
    assert "Traceback" not in story.runs[name].output
    assert story.runs[name].error
    assert story.served[name] == story.commits[GOOD]
    assert story.commits[name] not in {record.commit for record in story.load.records}


def test_a_failed_health_check_says_why(story: Story) -> None:
    """What did not get healthy, what its health check said, and that the old version serves."""
    said = story.runs[UNHEALTHY].error
    assert "django" in said and "healthy" in said and "500" in said, said


def test_a_failed_migration_says_how_the_schema_stands(story: Story) -> None:
    """What failed, what the database said, and of the release's own migrations which one is in and which is not."""
    said = story.runs[UNPREPARED].error
    assert "notes_nothing" in said, said
    _title, *stands = said[said.index("how it stands") :].splitlines()
    assert [line.split() for line in stands[:2]] == [["[X]", "notes.0003_size"], ["[", "]", "notes.0004_fails"]], said
    assert "0002_colour" not in said, "what the version that serves knows is not told again"
    table = ["psql", "-U", story.guide.site.project, "-d", story.guide.staging.prefix, "-Atc"]
    names = docker(
        "exec", f"{story.guide.staging.prefix}_postgresql", *table,
        "SELECT name FROM django_migrations WHERE app = 'notes' ORDER BY name",
    ).split()  # fmt: skip
    assert names == ["0001_initial", "0002_colour", "0003_size"]


def test_a_backup_was_made_before_the_migration(story: Story) -> None:
    """It is listed as the release's, belongs to the release before, and its table lacks what the migration added."""
    place = story.guide.staging
    before, release_name = (story.runs[name].result("converge")["release"] for name in (SETTING, GOOD))
    run = place.deploy(playbook="playbooks/backups.yml", passwords=["staging"]).succeeded()
    reason = f"before release {release_name}"
    (made,) = (backup for backup in run.result("backup")["backups"] if backup["reason"] == reason)
    assert (made["trigger"], made["release"], made["commit"]) == ("release", before, story.commits[SETTING])
    (line,) = (line for line in run.output.splitlines() if reason in line)
    assert made["name"] in line and line.endswith(f", release {before}")
    folder = story.guide.site.directory / "machine-state/backups" / place.prefix / made["name"]
    (dump,) = (folder / part["file"] for part in made["parts"] if part["kind"] == "postgresql")
    command = ["docker", "exec", "--interactive", f"{place.prefix}_postgresql", "pg_restore"]
    with dump.open("rb") as stream:
        restored = [*command, "--schema-only", "--table=notes_note", "--file=-"]
        table = subprocess.run(restored, stdin=stream, capture_output=True, text=True, check=True).stdout
    assert "CREATE TABLE public.notes_note" in table and " text " in table and "colour" not in table
    own = ["pg_dump", "-U", story.guide.site.project, "--schema-only", "--table=notes_note", place.prefix]
    assert " colour " in docker("exec", f"{place.prefix}_postgresql", *own)


def test_production_is_what_it_was(story: Story) -> None:
    """Not one of its containers was touched by anything that happened to staging."""
    assert all(seen == story.production[0] for seen in story.production)


def test_names_are_the_guides(story: Story) -> None:
    """No stand-in is left, and what is there is called as ever."""
    for place in story.guide.both:
        found = containers(place.prefix)
        assert sorted(found) == [f"{place.prefix}_{service}" for service in SERVICES]
        assert {container["State"]["Health"]["Status"] for container in found.values()} == {"healthy"}


def _up_by_hand(place: Place) -> None:
    done = by_hand(place.directory, f"docker compose -f docker-compose.{place.name}.yml up -d")
    assert done.returncode == 0, done.stderr


def test_up_by_hand_recreates_nothing(story: Story) -> None:
    """The guide's command, typed after a rollback, leaves every container as it is."""
    before = [running(place.prefix) for place in story.guide.both]
    for place in story.guide.both:
        _up_by_hand(place)
    assert [running(place.prefix) for place in story.guide.both] == before


def test_what_was_rolled_back_to_is_not_deployed_again(story: Story) -> None:
    """Deploying the commit and the setting that a rollback brought back finds nothing to do."""
    before = running(story.guide.staging.prefix)
    run = story.guide.staging.deploy(passwords=["staging"]).succeeded()
    assert running(story.guide.staging.prefix) == before
    assert run.result("converge").get("changed") is False, run.output
