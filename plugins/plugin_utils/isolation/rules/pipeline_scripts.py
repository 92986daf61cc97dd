# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What deployments do on the machine: directories, branches and files of another environment, and locks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise

from ..facts.domains import domains, neighbours, own_servers
from ..facts.ownership import foreign_owner_of_path, owners_of_path
from ..facts.workflows import (
    environment_commands,
    environment_locks,
    is_deployment,
    listed_documents,
    owner_of_branch,
    owner_of_file,
)
from ..model import Environment, Fleet, Severity, Where
from ..readers.documents import machine_commands
from ..readers.shell.docker_call import DOCKER, docker_call
from ..readers.shell.scripts import Command
from ..wording import listing
from . import Hit, Judgement, rule

_GIT_ACTS = frozenset(("pull", "reset", "checkout", "switch", "merge", "rebase", "fetch", "clean"))


@rule("git-wrong-branch", "CI-09", severity=Severity.CRITICAL)
def git_wrong_branch(fleet: Fleet) -> Judgement:
    """A script brings the branch of one environment into the checkout of another."""
    for listed in listed_documents(fleet):
        environment = listed.environments[0]
        for command in machine_commands(listed.document):
            act, directory, branch = _git(command, environment)
            if not act:
                continue
            here = owners_of_path(fleet, environment.machine, directory) if directory.startswith("/") else []
            own = bool(set(here) & set(listed.prefixes))
            owner = owner_of_branch(fleet, environment, branch, by_custom=not own) if branch else ""
            if here and not own:
                message = f"'git {act}' of {listing(listed.prefixes)} runs in {directory}, the checkout of {here[0]}"
            elif here and owner and owner not in here:
                message = f"'git {act}' brings branch {branch} of {owner} into {directory}, the checkout of {here[0]}"
            else:
                continue
            yield Hit(
                tuple(dict.fromkeys((*listed.prefixes, here[0], *filter(None, (owner,))))),
                f"git {act} in {directory}",
                f"{message}: the next build or restart there runs the wrong code.",
                "Let each environment's job work in its own directory and check out its own branch by commit: 'git "
                "fetch origin <branch> && git checkout --detach <commit>'.",
                (command.where,),
                environment.machine,
            )


def _git(command: Command, environment: Environment) -> tuple[str, str, str]:
    """What git does to a work tree: (act, directory, branch); act is empty if it does nothing to one."""
    if command.program != "git":
        return "", "", ""
    words = list(command.argv[1:])
    directory = command.directory or ""
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in ("-C", "-c", "--git-dir", "--work-tree") and words:
            value = words.pop(0)
            directory = value if option in ("-C", "--work-tree") else directory
    if not words or words[0] not in _GIT_ACTS:
        return "", "", ""
    arguments = [word for word in words[1:] if not word.startswith("-")]
    branch = ""
    if words[0] in ("pull", "fetch"):
        branch = arguments[1] if len(arguments) > 1 else ""
    elif arguments:
        branch = arguments[-1]
    branch = re.sub(r"^(?:refs/(?:heads|remotes)/)?(?:origin/)?", "", branch)
    return words[0], directory or environment.directory, "" if "$" in branch else branch


@rule("no-host-lock", "CI-10", severity=Severity.LOW)
def no_host_lock(fleet: Fleet) -> Judgement:
    """Two environments of one machine are deployed at the same time, with nothing to order what they share."""
    unlocked: dict[str, dict[str, Where]] = {}
    taken: dict[str, dict[str, set[str]]] = {}
    for environment in fleet.environments:
        if len(fleet.machines[environment.machine]) < 2:
            continue
        for _command, lock in environment_locks(environment):
            taken.setdefault(environment.machine, {}).setdefault(environment.prefix, set()).add(lock.path)
        for _document, command in environment_commands(environment, *DOCKER):
            if is_deployment(command):
                unlocked.setdefault(environment.machine, {}).setdefault(environment.prefix, command.where)
    for machine, members in unlocked.items():
        known = [taken.get(machine, {}).get(prefix, set()) for prefix in members]
        if len(members) > 1 and not set.intersection(*known):
            yield Hit(
                tuple(members),
                f"deployments on {machine}",
                f"{listing(members)} are deployed to {machine} by scripts without a common lock: two pushes at once "
                "build, reload and clean up at the same time.",
                "Take one lock on the machine around what they share: 'flock /var/lock/deploy-host.lock …'.",
                tuple(members.values()),
                machine,
            )


@rule("foreign-deploy-file", "CI-13", "OP-02", severity=Severity.CRITICAL)
def foreign_deploy_file(fleet: Fleet) -> Judgement:
    """A script acts with the Compose file of one environment in the directory, or on behalf, of another."""
    for listed in listed_documents(fleet):
        environment = listed.environments[0]
        for command in machine_commands(listed.document):
            call = docker_call(command.argv)
            if call is None or not call.compose or not call.verb or call.verb[0] in ("ps", "logs", "config", "ls"):
                continue
            for file in call.files:
                owner = owner_of_file(fleet, environment, file)
                directory = command.directory or ""
                foreign = foreign_owner_of_path(fleet, environment, directory) if directory else ""
                wrong = owner if owner and owner not in listed.prefixes else ""
                if not wrong and foreign and not owner and foreign not in listed.prefixes:
                    wrong = foreign
                if wrong:
                    yield Hit(
                        (*listed.prefixes, wrong),
                        f"docker compose -f {file} {call.verb[0]}",
                        f"'docker compose {call.verb[0]}' of {listing(listed.prefixes)} uses "
                        f"{file}{f' in {directory}, one of which' if directory else ', which'} belongs to {wrong}: "
                        f"Compose takes the project and .env from there and acts on the containers of {wrong}.",
                        "Use the environment's own file in its own directory, with '-p' and '--env-file'.",
                        (command.where,),
                        environment.machine,
                    )


@rule("foreign-server-name", "CI-13", "WB-04", severity=Severity.HIGH)
def foreign_server_name(fleet: Fleet) -> Judgement:
    """An nginx file that was meant for one environment came with a merge into another."""
    known = domains(fleet)
    for environment in fleet.environments:
        own = known.of[environment.prefix]
        for server in own_servers(environment):
            foreign = [
                item
                for name in server.names
                if name not in own and not server.rejects()
                for item in known.exactly(name, environment.prefix)
            ]
            if foreign:
                yield Hit(
                    (environment.prefix, *(owner for _name, owner in foreign)),
                    f"server_name {foreign[0][0]}",
                    f"The nginx of {environment.prefix} serves "
                    f"{listing(f'{name} of {owner}' for name, owner in foreign)}: requests that arrive here get the "
                    "wrong code and data.",
                    f"Leave the name to {foreign[0][1]}, and make the names in a shared template a variable.",
                    (server.names_where,),
                    environment.machine,
                )


#: The script's own directory, which is there while it runs.
_OWN_DIRECTORY = re.compile(
    r"dirname\b|BASH_SOURCE|\$\{?(?:SCRIPT|BASE|ROOT|PROJECT|REPO)_?(?:DIR|ROOT|PATH|HOME)\b", re.IGNORECASE
)
#: A directory of the checkout, which is there like the script itself.
_NEAR = re.compile(r"cd\s+[\"']?(?:\.\.?(?:/[\w./-]*)?|\w[\w./-]*)[\"']?")
_ASKS = frozenset(("ps", "logs", "config", "ls", "version", "info", "images"))


@rule("unguarded-cd", "CI-12", severity=Severity.MEDIUM)
def unguarded_cd(fleet: Fleet) -> Judgement:
    """A script goes on where it is when it cannot go where it should."""
    for listed in listed_documents(fleet):
        environment = listed.environments[0]
        around = neighbours(fleet, environment)
        others = [name for name in around if name not in listed.prefixes] or [environment.prefix]
        flow = [command for command in machine_commands(listed.document) if not command.substituted] if around else []
        for index, (command, after) in enumerate(pairwise(flow)):
            if command.argv[:1] != ("cd",) or command.errexit or after.joined in ("&&", "||"):
                continue
            if _OWN_DIRECTORY.search(command.text) or _NEAR.fullmatch(command.text):
                continue
            victims = [(following, harm) for following in _until_next_cd(flow, index + 1) if (harm := _harm(following))]
            if victims:
                unset = "$" in command.text
                victim, harm = next((found for found in victims if found[1] == _DELETES), victims[0])
                yield Hit(
                    tuple(dict.fromkeys((*listed.prefixes, *others))),
                    command.text,
                    f"If '{command.text}' fails{', or its variable is empty,' if unset else ','} the script of "
                    f"{listing(listed.prefixes)} carries on in the wrong directory: '{victim.text[:60]}' {harm}, "
                    f"which may belong to {listing(others)}.",
                    "Begin with 'set -euo pipefail', or write 'cd … && …' or 'cd … || exit 1'.",
                    (command.where,),
                    environment.machine,
                    severity=Severity.HIGH if unset else None if harm == _DELETES else Severity.LOW,
                )


_DELETES = "deletes files there"


def _harm(command: Command) -> str:
    """What a command does to the files or the project of whatever directory it runs in; empty if that is harmless."""
    words = [word for word in command.argv[1:] if not word.startswith("-")]
    if command.program == "rm" and any(word[:1] not in "/$~" for word in words):
        return _DELETES
    if command.program == "git" and {"reset", "clean", "checkout"} & set(words[:1]):
        return "changes the checkout there"
    if command.program == "rsync" and any(word.startswith("--del") for word in command.argv):
        return _DELETES
    call = docker_call(command.argv)
    if call is None or not call.compose or call.files or not call.verb or call.verb[0] in _ASKS:
        return ""
    return "acts on the project of the next Compose file above"


def _until_next_cd(flow: list[Command], start: int) -> Iterator[Command]:
    for command in islice(flow, start, None):
        if command.argv[:1] == ("cd",):
            return
        yield command
