# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks and roles: a task of one environment changes nothing that others share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..facts.playbooks import IDENTITY, Code, each_code
from ..model import Severity, Where
from ..readers.ansible.commands import INTERRUPTIONS, SERVICE_MODULES
from ..readers.ansible.inventory import leaves
from ..readers.ansible.tasks import Play, Task, is_true
from ..wording import listing
from . import Hit, rule

#: Modules that change nothing.
_HARMLESS = frozenset({
    "assert", "debug", "fail", "find", "gather_facts", "getent", "include_vars", "meta", "pause", "ping",
    "service_facts", "set_fact", "setup", "slurp", "stat", "validate_argument_spec", "wait_for", "wait_for_connection",
})  # fmt: skip

#: Services of which a machine has one.
_HOST_SERVICES = re.compile(
    r"(?:docker|containerd|nginx|apache2|httpd|haproxy|caddy|sshd?|cron|ufw|firewalld|nftables|networking|fail2ban"
    r"|systemd-[a-z]+|postgresql|redis(?:-server)?|rsyslog)(?:\.service)?\Z"
)
_LIMIT = re.compile(r"\bansible_limit\b")


@rule("play-over-all", "AN-03", severity=Severity.HIGH)
@each_code
def play_over_all(code: Code) -> Iterator[Hit]:
    """A play changes the hosts of several environments, and nothing asks for one."""
    for play in code.plays:
        if code.unguarded(play) and _changes(code, play):
            yield Hit(
                code.concerned(),
                f"hosts: {play.hosts}",
                f"The play for {play.hosts!r} changes {listing(code.concerned())} in one run when -l is forgotten.",
                "Begin it with an assertion, tagged always, that ansible_limit is exactly one environment, or use "
                "aiia.bulkhead.deploy, which refuses to run without one.",
                (play.where,),
            )


def _changes(code: Code, play: Play) -> bool:
    return bool(play.roles) or any(
        task.module not in _HARMLESS and not code.task_files.of_task(task, play) for task in code.tasks_of(play)
    )


@rule("skippable-guard", "AN-29", severity=Severity.HIGH)
@each_code
def skippable_guard(code: Code) -> Iterator[Hit]:
    """The task that asks for one environment is left out when somebody chooses tags."""
    for task in code.tasks:
        if task.module in ("assert", "fail") and any(_LIMIT.search(text) for text in _words(task)):
            tags = task.keywords.get("tags") or (task.play.keywords.get("tags") if task.play else None) or ()
            if "always" not in ([tags] if isinstance(tags, str) else list(tags)):
                yield Hit(
                    code.concerned(),
                    f"{task.where.file}: {task.module}",
                    f"The task that refuses a run over {listing(code.concerned())} is not tagged always: '--tags "
                    "deploy' skips it.",
                    "Tag it 'tags: [always]', and repeat it in each role that destroys. --start-at-task skips both; "
                    "the actions of aiia.bulkhead refuse by themselves.",
                    (task.where,),
                )


def _words(task: Task) -> Iterator[str]:
    yield from leaves(task.arguments)
    yield from leaves(task.keywords.get("when"))


@rule("run-once", "AN-11", severity=Severity.CRITICAL)
@each_code
def run_once(code: Code) -> Iterator[Hit]:
    """A task that changes something runs once for all environments, with the values of the first."""
    for task in code.tasks:
        if not task.flag("run_once") or task.module in _HARMLESS:
            continue
        plays = code.plays_of(task)
        if any(code.unguarded(play) for play in plays) or (task.role and not plays and code.of_environments(task)):
            yield Hit(
                code.concerned(),
                f"{task.where.file}: {task.module}",
                f"The task has run_once, so in one run it acts only for the first of {listing(code.concerned())}, "
                "with its values: the others are neither migrated nor backed up, and nothing says so.",
                "Remove run_once, or limit the play to one environment.",
                (task.where,),
            )


@rule("sticky-facts", "AN-13", severity=Severity.HIGH)
@each_code
def sticky_facts(code: Code) -> Iterator[Hit]:
    """Facts that say which environment this is stay with a host that another play uses as another environment."""
    for playbook in code.playbooks:
        for number, play in enumerate(playbook.plays):
            later = [other for other in playbook.plays[number + 1 :] if other.hosts == play.hosts]
            for task in code.tasks_of(play) if later else ():
                what = _sticks(code, task)
                if what:
                    yield Hit(
                        code.concerned(),
                        f"{play.hosts}: {what}",
                        f"{what} stays with {play.hosts} until the end of the run and beats the variables of the "
                        f"next play on it: {listing(code.concerned())} are mixed in one deployment.",
                        "Give each environment its own inventory name and group_vars.",
                        (task.where, later[0].where),
                    )


def _sticks(code: Code, task: Task) -> str:
    if task.module == "set_fact":
        return next((key for key in task.arguments if IDENTITY.search(key)), "")
    if task.module == "include_vars":
        file = task.text("file") or task.text("name") or task.raw
        return file if code.scoped(file) else ""
    return ""


@rule("host-wide-task", "AN-16", severity=Severity.HIGH)
@each_code
def host_wide_task(code: Code) -> Iterator[Hit]:
    """A role of an environment restarts a service of the machine."""
    for task in code.tasks:
        state = task.text("state")
        if (
            task.module in SERVICE_MODULES
            and state in INTERRUPTIONS
            and _HOST_SERVICES.match(task.text("name"))
            and code.of_environments(task)
        ):
            name = task.text("name")
            yield Hit(
                code.concerned(),
                name,
                f"{name} serves the whole machine, and a deployment of any of {listing(code.concerned())} leaves it "
                f"{state} for all of them.",
                f"Move it to a play of the machine, and only reload {name} there. In an environment, act on its own "
                "containers.",
                (task.where,),
            )


@rule("block-marker", "AN-17", severity=Severity.HIGH)
@each_code
def block_marker(code: Code) -> Iterator[Hit]:
    """Two environments write their block into one file under one marker, so the second replaces the first's."""
    for task in code.tasks:
        path = task.text("path") or task.text("dest")
        if task.module != "blockinfile" or not path or code.scoped(path) or not code.of_environments(task):
            continue
        if not code.scoped(task.text("marker")) and code.scoped(task.text("block") or task.text("content")):
            yield Hit(
                code.concerned(),
                path,
                f"The block in {path} has the same marker for {listing(code.concerned())}: deploying one removes the "
                "block of the other.",
                'Put the environment into the marker: marker: "# {mark} <environment>".',
                (task.where,),
            )


@rule("shared-cron-name", "AN-18", severity=Severity.HIGH)
@each_code
def shared_cron_name(code: Code) -> Iterator[Hit]:
    """Two environments have a cron job of one name, so one of them vanishes."""
    for task in code.tasks:
        if task.module != "cron" or not code.of_environments(task) or not code.scoped(task.text("job")):
            continue
        if not code.scoped(f"{task.text('name')} {task.text('cron_file')} {task.text('user')}"):
            yield Hit(
                code.concerned(),
                task.text("name"),
                f"The cron job {task.text('name')!r} has the same name for {listing(code.concerned())}, and Ansible "
                "finds it by that name: deploying one turns the job of the other into its own.",
                "Put the environment into the name.",
                (task.where,),
            )


@rule("unanchored-line", "AN-19", severity=Severity.HIGH)
@each_code
def unanchored_line(code: Code) -> Iterator[Hit]:
    """A pattern that ends with an environment's name also finds the lines of those whose names begin with it."""
    for task in code.tasks:
        pattern = task.text("regexp").removesuffix(".*")
        if task.module not in ("lineinfile", "replace") or not code.of_environments(task):
            continue
        if pattern.endswith("}}") and code.scoped(pattern[pattern.rindex("{{") :]):
            shown = pattern[pattern.rindex("{{") :]
        else:
            shown = next((name for name in code.fleet.by_prefix if pattern.endswith(name)), "")
        if shown:
            path = task.text("path") or task.text("dest")
            yield Hit(
                code.concerned(),
                path,
                f"The pattern {task.text('regexp')!r} for {path} does not end after {shown}: it also finds lines of "
                f"an environment such as {code.owners[0]}_eu. This affects {listing(code.concerned())}.",
                r"End the name in the pattern: add \s, $ or \b, and escape the name with regex_escape.",
                (task.where,),
            )


@rule("unscoped-destination", "AN-27", severity=Severity.HIGH)
@each_code
def unscoped_destination(code: Code) -> Iterator[Hit]:
    """A template of an environment is written to one place for all of them."""
    for task in code.tasks:
        dest = task.text("dest") or task.text("path")
        text = task.module == "copy" and code.scoped(task.text("content"))
        if not (task.module == "template" or text) or not dest.startswith("/") or code.scoped(dest):
            continue
        if code.of_environments(task):
            yield Hit(
                code.concerned(),
                dest,
                f"{dest} is one file for every environment ({listing(code.concerned())}): whichever was deployed "
                "last has its values there, and the others run with them.",
                "Write it below the environment's own directory, or put the prefix into its name.",
                (task.where,),
            )


@rule("exclusive-singleton", "AN-28", severity=Severity.HIGH)
@each_code
def exclusive_singleton(code: Code) -> Iterator[Hit]:
    """An environment sets all keys or groups of a user whom others use too."""
    for task in code.tasks:
        user = task.text("user") or task.text("name")
        keys = task.module == "authorized_key" and is_true(task.arguments.get("exclusive"))
        groups = task.module == "user" and bool(task.text("groups")) and not is_true(task.arguments.get("append"))
        if (keys or groups) and user and not code.scoped(user) and code.of_environments(task):
            what = "keys" if keys else "groups"
            yield Hit(
                code.concerned(),
                f"{what} of {user}",
                f"A deployment replaces all {what} of the user {user}, which {listing(code.concerned())} share: it "
                "removes those that another environment needs.",
                f"{'Remove exclusive' if keys else 'Set append: true'}, or give each environment its own user.",
                (task.where,),
            )


@rule("foreign-delegate", "AN-24", severity=Severity.HIGH)
@each_code
def foreign_delegate(code: Code) -> Iterator[Hit]:
    """A task is delegated to a host of another environment."""
    homes = {host: name for name in code.environments for host in code.members(code.groups, name)}
    for task in code.tasks:
        target = str(task.keywords.get("delegate_to") or "")
        here = {name for play in code.plays_of(task) for name in code.covers(play.hosts)}
        if target in homes and here and here != {homes[target]}:
            other = code.environments[homes[target]]
            yield Hit(
                code.concerned(other),
                f"delegate_to: {target}",
                f"A task of {listing(sorted(here))} runs on {target}, a host of {other}, with the variables of the "
                f"environment that is deployed. This affects {listing(code.concerned(other))}.",
                "Delegate to a host of the same environment, or to localhost.",
                (task.where, Where(task.where.file, task.where.line, "delegate_to")),
            )
