# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each job of the README's table "Every day" as a person types it, on the guide's staging, with staging's password."""

from __future__ import annotations

import shlex

import pytest
from every_day import every_day
from guide_stack import Guide
from observe import running
from support import Run

#: What a job shows that only looks; {prefix} is staging's.
LOOKS = {
    "services": "{prefix}_django",
    "logs -e bulkhead_service=django": "{prefix}_django",
    "manage -e bulkhead_manage=showmigrations": "[X] 0001_initial",
    "shell -e bulkhead_service=redis": "docker exec --interactive --tty {prefix}_redis sh",
    "secrets -e bulkhead_secret=audit": "{prefix}",
    "releases": "{prefix}_django:",
    "backups": "{prefix}",
    "verify": "{prefix}",
    "status": "{prefix}",
    # Whether there is a fault depends on what other tests left; where there is, its exit code is not 0.
    "doctor": "no fault was found|faults, the likeliest cause first",
}

#: The jobs that change something, in an order in which each finds what it needs, and what they show.
CHANGES = {
    "restart -e bulkhead_service=django": "{prefix}_django",
    "maintenance -e bulkhead_maintenance=on": "{prefix} answers with its maintenance page",
    "backup": "{prefix}",
    "restore -e bulkhead_restore=latest": "{prefix}",
    "rollback": "{prefix}",
}

#: It ends what it is typed for: the README's own application is destroyed at the end of its test.
IN_TEST_README = "destroy"


def typed(guide: Guide, job: str) -> Run:
    """Type the command of a job."""
    program, playbook, *arguments = shlex.split(every_day()[job])
    assert program == "ansible-playbook" and arguments[-2:] == ["-l", "staging"]
    return guide.site.play(*arguments, playbook=playbook, passwords=["staging"])


def test_each_job_of_the_table_is_typed() -> None:
    assert {*LOOKS, *CHANGES, IN_TEST_README} == {*every_day()}


@pytest.mark.parametrize("job", LOOKS)
def test_looking(guide: Guide, job: str) -> None:
    before = [running(place.prefix) for place in guide.both]
    shown = typed(guide, job)
    assert shown.code == 0 or job == "doctor", shown.output
    words = LOOKS[job].format(prefix=guide.staging.prefix).split("|")
    assert any(word in shown.output for word in words), shown.output
    assert [running(place.prefix) for place in guide.both] == before


@pytest.mark.full
def test_changing(guide: Guide) -> None:
    """Left to the full run: two deployments and a restore take more than a minute."""
    production = running(guide.production.prefix)
    settings = guide.staging.variables["bulkhead_env"]
    guide.staging.deploy(passwords=["staging"]).succeeded()
    for job, word in CHANGES.items():
        if job == "rollback":
            guide.staging.variables["bulkhead_env"] = {**settings, "GREETING": "good day"}
            guide.staging.deploy(passwords=["staging"]).succeeded()
        assert word.format(prefix=guide.staging.prefix) in typed(guide, job).succeeded().output
        if job.startswith("maintenance"):
            guide.site.play(
                *("-l", "staging", "-e", "bulkhead_maintenance=off"),
                playbook="aiia.bulkhead.maintenance",
                passwords=["staging"],
            ).succeeded()
    guide.staging.variables["bulkhead_env"] = settings
    assert guide.staging.deploy(passwords=["staging"]).succeeded().changed == 0
    assert running(guide.production.prefix) == production
