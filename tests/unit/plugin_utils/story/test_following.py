# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next command leads to the same environment, can be pasted, and repeats nothing that may be secret."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.story.following import Typed, following, wording

DEPLOYED = ("plan", "preflight", "source", "converge", "certificates", "backup", "verify")
TYPED = Typed(("deploy.yml",), ("my inventory",), "staging", ("staging@~/.vault/staging",))
SAME = "-i 'my inventory' -l staging --vault-id staging@~/.vault/staging"


def first(*arguments: Any) -> str:
    return following(*arguments)[0][0]


def test_after_a_deployment() -> None:
    assert [command for command, _why in following(TYPED, DEPLOYED)] == [
        f"ansible-playbook aiia.bulkhead.{job} {SAME}" for job in ("verify", "releases", "rollback")
    ]


def test_a_check_leads_to_the_run() -> None:
    assert first(replace(TYPED, check=True), DEPLOYED) == f"ansible-playbook deploy.yml {SAME}"


def test_a_refusal_leads_to_the_same_command() -> None:
    assert following(TYPED, ("plan",), "plan") == [(f"ansible-playbook deploy.yml {SAME}", "once that is mended")]


def test_a_failed_change_is_looked_at_first() -> None:
    commands = [command for command, _why in following(TYPED, DEPLOYED[:4], "converge")]
    assert commands == [f"ansible-playbook aiia.bulkhead.services {SAME}", f"ansible-playbook deploy.yml {SAME}"]


def test_an_unreachable_machine() -> None:
    assert first(TYPED, ("plan",), "", True) == "ansible staging -i 'my inventory' -m ansible.builtin.ping"


def test_extra_variables_are_not_repeated() -> None:
    for check, expected in ((False, "once that is mended"), (True, "once that is mended, without --check")):
        assert following(replace(TYPED, extra=True, check=check), ("plan",), "plan") == [("the same command", expected)]


def test_a_plan_of_the_whole_fleet_leads_to_one_environment() -> None:
    assert first(Typed(("aiia.bulkhead.plan",), ("inventory",)), ("plan",)) == (
        "ansible-playbook aiia.bulkhead.deploy -i inventory -l <environment>"
    )


@pytest.mark.parametrize(
    ("playbook", "actions", "job"),
    [
        ("aiia.bulkhead.backups", ("backup",), "backups"),
        ("/x/playbooks/backup.yml", ("backup",), "backup"),
        ("site.yml", DEPLOYED, "deploy"),
        ("site.yml", ("plan", "rollback"), "rollback"),
        ("site.yml", ("service",), "site"),
    ],
)
def test_the_job_is_known(playbook: str, actions: tuple[str, ...], job: str) -> None:
    assert Typed((playbook,)).job(actions) == job


def test_nothing_follows_what_is_not_known() -> None:
    assert following(Typed(("aiia.bulkhead.logs",)), ("service",)) == []
    assert following(Typed(), ()) == []


def test_what_was_typed_is_quoted() -> None:
    typed = Typed(("a; rm -rf b.yml",), ("$(id)",), "x' y", ("l@/p q",), ("/f`id`",), asks_password=True)
    assert shlex.split(typed.again("")[0]) == [
        *("ansible-playbook", "a; rm -rf b.yml", "-i", "$(id)", "-l", "x' y"),
        *("--vault-id", "l@/p q", "--vault-password-file", "/f`id`", "-J"),
    ]


def test_a_password_from_a_pipe_is_asked_for() -> None:
    """What the shell made of <(command) is gone with the run."""
    typed = Typed(("deploy.yml",), vault_ids=("staging@/dev/fd/63", "a@~/b"), password_files=("/proc/self/fd/12", "/k"))
    assert typed.options == "--vault-id staging@prompt --vault-id a@~/b --vault-password-file /k -J"


def test_commands_are_whole_lines() -> None:
    commands = following(TYPED, DEPLOYED)
    for width in (50, 79, 200):
        lines = wording(commands, width).splitlines()
        assert lines[:2] == ["", "Next:"]
        for command, why in commands:
            assert any(line.strip().partition("  # ")[0] == command for line in lines)
            assert any(line.endswith(f"# {why}") for line in lines)
