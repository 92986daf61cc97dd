# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Host: no script of an environment changes what belongs to the whole machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..facts.code_lines import code_lines, lines_of
from ..facts.compose_calls import commands, tasks
from ..facts.machine_setup import setup_files
from ..model import Environment, Fleet, Severity, Where
from ..readers.shell.scripts import Command, pipelines
from . import Hit, Judgement, rule

_KILLERS = frozenset({"pkill", "killall", "killall5", "skill"})
#: Servers that developers run while they write.
_OF_DEVELOPERS = re.compile(r"\bvite\b|\bwatch\b|nodemon|webpack|next dev|runserver|storybook|--reload")
_SCOPES = re.compile(r"--filter|\s-f\s|label=|name=")
_GROUP_TASK = re.compile(r"\bgroups?:\s*\[?.*\bdocker\b")
_OPEN_DAEMON = re.compile(r"(?:dockerd|[\"']hosts[\"']\s*:).*?(tcp://(?!127\.|localhost)[^\s\"',\]]*)")

#: Files that a machine has once and that are overwritten as a whole. Appending a line is judged elsewhere.
_SINGLETON = re.compile(
    r"/etc/(?:docker/daemon\.json|sysctl(?:\.d/.+|\.conf)|hosts|ufw/.+|fail2ban/.+|ssh/sshd_config.*|timezone|localtime"
    r"|apt/apt\.conf\.d/.+|fstab|nginx/nginx\.conf|security/limits.*)\Z|/swapfile\Z"
)
_WRITING_TASKS = frozenset({"template", "copy", "get_url", "assemble"})
_SETTING_TASKS = frozenset({"sysctl", "timezone", "hostname"})
_WRITING_PROGRAMS = frozenset({"tee", "cp", "mv", "install", "ln", "fallocate", "mkswap"})
_SETTERS = ("sysctl", "ufw", "timedatectl", "hostnamectl")
_SETTING_COMMANDS = re.compile(
    r"sysctl\s+(?:-w|--write)\b|ufw\s+(?:--force\s+)?(?:reset|enable|disable|default)\b|timedatectl\s+set-|hostnamectl\s+set-"
)
_HOST_LEVEL = re.compile(
    r"(?:^|[/_.-])(?:hosts?|machines?|common|base|bootstrap|engine|provision(?:ing)?)(?=[/_.-]|\Z)"
)


@rule("host-kill", "HP-11", severity=Severity.HIGH, of_machine=True)
def host_kill(fleet: Fleet) -> Judgement:
    """A command kills processes or containers of every environment."""
    for environment, command, how in _kills(fleet):
        yield Hit(
            (environment.prefix,),
            command.text,
            f"{environment.prefix} runs `{command.text}` on {environment.machine}: {how}.",
            f"Name the service: docker compose -p {environment.prefix} kill -s SIGNAL SERVICE, or run the command "
            "inside its own container.",
            (command.where,),
            environment.machine,
        )


@rule("docker-group", "HP-02", severity=Severity.HIGH, of_machine=True)
def docker_group(fleet: Fleet) -> Judgement:
    """A user of an environment becomes a member of the group docker, which is root over all environments."""
    for environment in fleet.environments:
        prepared = setup_files(environment)
        for where, line in _joins_docker(environment):
            yield Hit(
                (environment.prefix,),
                line,
                f"{environment.prefix} adds a user to the group docker (`{line}`): whoever has that user's key is "
                f"root on {environment.machine}, and over every other environment there.",
                "Let the user run one fixed deployment command (command= in authorized_keys, or sudoers), or give "
                "the environment its own rootless engine.",
                (where,),
                environment.machine,
                severity=Severity.LOW if where.file in prepared else None,
            )


@rule("open-docker-port", "HP-07", severity=Severity.CRITICAL, of_machine=True)
def open_docker_port(fleet: Fleet) -> Judgement:
    """The engine listens on the network without asking who calls."""
    for environment in fleet.environments:
        for document in environment.documents:
            if "tcp://" not in document.text or "tlsverify" in document.text:
                continue
            for where, line in code_lines(document):
                match = _OPEN_DAEMON.search(line)
                if match:
                    yield Hit(
                        (environment.prefix,),
                        match[1],
                        f"{environment.prefix} makes the engine of {environment.machine} listen on {match[1]} "
                        "without TLS: every container of every environment can reach it and become root there.",
                        "Listen on the unix socket only; from elsewhere, use docker -H ssh://.",
                        (where,),
                        environment.machine,
                    )


@rule("host-singleton", "HP-09", severity=Severity.HIGH, of_machine=True)
def host_singleton(fleet: Fleet) -> Judgement:
    """A role or script of an environment writes what the machine has only once."""
    for environment in fleet.environments:
        prepared = setup_files(environment)
        for thing, where in (*_set_by_tasks(environment), *_set_by_commands(environment)):
            if not _HOST_LEVEL.search(where.file) and where.file not in prepared:
                yield Hit(
                    (environment.prefix,),
                    thing,
                    f"A deployment of {environment.prefix} changes the machine itself ({thing}), which all "
                    f"environments on {environment.machine} share: whichever was deployed last decides for the "
                    "others.",
                    "Move it to the machine's own setup, with one value for all environments.",
                    (where,),
                    environment.machine,
                )


def _commands(environment: Environment) -> list[Command]:
    return [reference.attributes["command"] for reference in commands(environment)]


def _set_by_tasks(environment: Environment) -> Iterator[tuple[str, Where]]:
    """What the playbooks of an environment write or set that a machine has once."""
    for task in tasks(environment):
        target = task.text("dest")
        if task.module in _WRITING_TASKS and _SINGLETON.match(target):
            yield target, task.where
        elif task.module in _SETTING_TASKS:
            yield f"{task.module} {task.text('name')}".strip(), task.where


def _set_by_commands(environment: Environment) -> Iterator[tuple[str, Where]]:
    """Yield the same for commands; appending is left to the rules about shared files."""
    for command in _commands(environment):
        match = _SETTING_COMMANDS.match(command.text) if command.argv and command.argv[0].startswith(_SETTERS) else None
        if match:
            yield match.group(), command.where
        written = [target for kind, target in command.redirects if kind == ">"]
        if command.program in _WRITING_PROGRAMS and not {"-a", "--append"} & set(command.argv):
            written.append(command.argv[-1])
        for target in filter(_SINGLETON.match, written):
            yield target, command.where


def _kills(fleet: Fleet) -> Iterator[tuple[Environment, Command, str]]:
    for environment in fleet.environments:
        for pipeline in pipelines(_commands(environment)):
            for command in pipeline:
                if command.program in _KILLERS and not _OF_DEVELOPERS.search(command.text):
                    yield environment, command, "it sees the processes of all environments' containers"
                elif _kills_all(command, pipeline):
                    yield environment, command, "its list holds the containers of every environment"


def _kills_all(command: Command, pipeline: tuple[Command, ...]) -> bool:
    """Whether a command stops every container that ``docker ps`` lists without a filter."""
    text = command.text
    if "docker" not in text or not re.search(r"\bdocker\s+(?:container\s+)?(?:kill|stop|rm|restart|pause)\b", text):
        return False
    if command.program == "xargs":
        listed = " ".join(other.text for other in pipeline if other is not command)
        return bool(re.search(r"\bdocker\s+(?:container\s+)?(?:ps|ls)\b", listed)) and not (
            _SCOPES.search(listed) or "grep" in listed
        )
    inner = re.search(r"(?:\$\(|`)\s*docker\s+(?:container\s+)?(?:ps|ls)\b([^)`]*)", text)
    return inner is not None and not (_SCOPES.search(inner[1]) or "grep" in inner[1])


def _adds_to_group(command: Command) -> bool:
    """Whether a command makes a user a member of groups that it names."""
    program, words = command.program, command.argv
    if program in ("usermod", "useradd"):
        short = any("G" in word for word in words[1:] if word.startswith("-"))
        return short or (program == "usermod" and "--groups" in words)
    return (program == "gpasswd" and "-a" in words) or (program == "adduser" and len(words) > 2)


def _joins_docker(environment: Environment) -> Iterator[tuple[Where, str]]:
    forced = any('command="' in document.text for document in environment.documents)
    if forced:
        return
    for command in _commands(environment):
        if _adds_to_group(command) and any("docker" in word.split(",") for word in command.argv[1:]):
            yield command.where, command.text
    seen: set[tuple[str, int]] = set()
    for where, line in lines_of(environment, "docker"):
        if _GROUP_TASK.search(line):
            seen.add((where.file, where.line))
            yield where, line.strip()
    for task in tasks(environment):
        for where in (task.place("groups"), task.place("group")) if task.module == "user" else ():
            given = task.text(where.item)
            if "docker" in re.findall(r"[\w-]+", given) and (where.file, where.line) not in seen:
                yield where, f"{where.item}: {given}"
