# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups: who deletes whose, and where they are restored."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from ..facts.guards import checked_variables
from ..facts.ownership import carries_name, foreign_owner_of_path, sharers, short_names
from ..facts.path_patterns import Pattern, absolute, meetings
from ..facts.workflows import environment_commands
from ..model import Environment, Fleet, Severity, Where
from ..readers.documents import machine_commands
from ..readers.shell.docker_call import DOCKER, docker_call
from ..readers.shell.scripts import Command, pipelines
from ..wording import listing
from . import Hit, Judgement, rule


@rule("shared-retention", "OP-03", "OP-04", severity=Severity.CRITICAL)
def shared_retention(fleet: Fleet) -> Judgement:
    """What deletes old backups of one environment also fits those of another."""
    deleted: dict[str, list[Pattern]] = {}
    kept: dict[str, list[Pattern]] = {}
    for environment in fleet.environments:
        for document in environment.documents:
            listed = machine_commands(document)
            if not listed or _runs_inside(environment, document.path):
                continue  # what it deletes is in its container
            if document.kind == "workflow" and environment.prefix != min(sharers(fleet, Where(document.path)) or [""]):
                continue  # a workflow that several use runs once
            for pipeline in pipelines(listed):
                first = pipeline[0]
                # What $(find …) lists may only be counted or shown.
                if not first.substituted or "-delete" in first.argv or _is_removed(first, listed):
                    deleted.setdefault(environment.machine, []).extend(_deletions(environment, pipeline))
                kept.setdefault(environment.machine, []).extend(_written(environment, pipeline))
    for machine, patterns in deleted.items():
        for pattern, others in meetings(patterns, [*patterns, *kept.get(machine, ())]):
            yield Hit(
                (pattern.owner, *(other.owner for other in others)),
                f"{pattern.text} on {machine}",
                f"{pattern.owner} deletes old files that match {pattern.text}, also those of "
                f"{listing(other.owner for other in others)} ({others[0].text}): when one backs up more often, the "
                "other's backups are the oldest and are deleted.",
                "Give each environment its own directory for backups, such as "
                f"{posixpath.dirname(pattern.text)}/{pattern.owner}/, and delete only there.",
                (pattern.where, *(other.where for other in others)),
                machine,
                severity=Severity.LOW if _by_one_script(fleet, pattern, others) else None,
            )


def _runs_inside(environment: Environment, path: str) -> bool:
    """Whether a service has a script mounted, or runs it."""
    name = posixpath.basename(path)
    return name in environment.derived(_run_or_mounted) and any(
        name in str(service.get("command") or "")
        or any(name in str(mount.get("source") or "") for mount in service.get("volumes") or ())
        for _project, _name, service in environment.services()
    )


def _run_or_mounted(environment: Environment) -> str:
    """What the services of an environment run and mount, as one text."""
    services = [service for _project, _name, service in environment.services()]
    mounts = (mount for service in services for mount in service.get("volumes") or ())
    said = (*(service.get("command") for service in services), *(mount.get("source") for mount in mounts))
    return "\n".join(str(text or "") for text in said)


def _by_one_script(fleet: Fleet, pattern: Pattern, others: Sequence[Pattern]) -> bool:
    """Whether a script of all of them saves one fixed thing, wherever it is run: a container, project or Compose file
    that it names."""
    environment = fleet.by_prefix[pattern.owner]
    calls = [
        docker_call(command.argv)
        for document in environment.documents
        if document.path == pattern.where.file
        for command in machine_commands(document)
    ]
    named = any(
        bool(call.project or call.files) if call.compose else call.verb == ("exec",)
        for call in calls
        if call is not None
    )
    return named and all(
        other.where.file == pattern.where.file and other.owner in sharers(fleet, pattern.where) for other in others
    )


def _is_removed(first: Command, commands: Sequence[Command]) -> bool:
    """Whether what a command lists may be given to ``rm``: in its line, or at the end of a short loop."""
    return any(
        0 <= command.where.line - first.where.line <= 3 and re.search(r"\brm\b", command.text) for command in commands
    )


def _deletions(environment: Environment, pipeline: Sequence[Command]) -> Iterator[Pattern]:
    """The files that a pipeline deletes, as patterns."""
    first, last = pipeline[0], pipeline[-1]
    removes = any(
        command.program == "rm" or (command.program == "xargs" and "rm" in command.argv) for command in pipeline
    )
    substituted = first.substituted and first.program in ("ls", "find")  # rm $(ls -t … | tail)
    if first.program == "find" and (removes or substituted or "-delete" in first.argv or _executes_rm(first)):
        yield from _found(environment, first)
    elif first.program == "ls" and (removes or substituted):
        paths = [word for word in first.argv[1:] if not word.startswith("-")] or ["*"]
        yield from _patterns(environment, first, [path if _is_pattern(path) else f"{path}/*" for path in paths])
    elif last.program == "rm" and len(pipeline) == 1:
        yield from _patterns(environment, last, [word for word in last.argv[1:] if "*" in word])


def _found(environment: Environment, command: Command) -> Iterator[Pattern]:
    """The files that ``find`` finds directly in the directory."""
    words = list(command.argv[1:])
    places = []
    while words and not words[0].startswith(("-", "(", "!")):
        places.append(words.pop(0))
    names = [words[index + 1] for index, word in enumerate(words[:-1]) if word in ("-name", "-iname", "-wholename")]
    yield from _patterns(
        environment, command, [f"{place}/{name}" for place in places or ["."] for name in names or ["*"]]
    )


def _executes_rm(command: Command) -> bool:
    return any(
        word in ("-exec", "-execdir") and "rm" in command.argv[index + 1 : index + 3]
        for index, word in enumerate(command.argv)
    )


def _is_pattern(path: str) -> bool:
    return any(mark in path for mark in "*?[")


def _patterns(environment: Environment, command: Command, paths: Sequence[str]) -> Iterator[Pattern]:
    for path in paths:
        text = absolute(path, command.directory or environment.directory)
        # /tmp/*/x identifies nothing, and whole trees are judged by the rules about paths.
        if text and text.strip("/*"):
            yield Pattern(environment.prefix, text, command.where)


def _written(environment: Environment, pipeline: Sequence[Command]) -> Iterator[Pattern]:
    """The files that a pipeline writes: redirections and the outputs of dump programs."""
    for command in pipeline:
        paths = [target for kind, target in command.redirects if kind in (">", ">>", ">|") and target != "/dev/null"]
        program = command.program
        if program in ("pg_dump", "pg_dumpall", "pg_basebackup", "mysqldump", "tar", "zip", "restic"):
            paths += _option_values(command.argv, ("-f", "--file", "-D", "-czf", "-cf", "-cJf", "czf", "cf"))
        elif program in ("cp", "mv", "rsync", "tee") and len(command.argv) > 1:
            paths.append(command.argv[-1])
        for path in paths:
            text = absolute(path, command.directory or environment.directory)
            if text and not text.startswith("/dev/"):
                yield Pattern(environment.prefix, text, command.where)


def _option_values(argv: Sequence[str], options: Sequence[str]) -> list[str]:
    found = [argv[index + 1] for index, word in enumerate(argv[:-1]) if word in options]
    return found + [word.partition("=")[2] for word in argv if word.partition("=")[0] in options and "=" in word]


#: Programs that copy what is in a directory, or delete, at a place elsewhere; and the verbs with which they do.
_COPIES_CONTENT = {
    "rclone": frozenset({"copy", "copyto", "sync", "move", "moveto", "bisync", "purge", "delete", "deletefile"}),
    "aws": frozenset({"cp", "sync", "mv", "rm"}),
    "s3cmd": frozenset({"sync", "put", "del", "rm"}),
    "mc": frozenset({"mirror", "cp", "rm"}),
    "gsutil": frozenset({"rsync", "rm"}),
    "gcloud": frozenset({"rsync", "rm"}),
    "azcopy": frozenset({"copy", "sync", "remove"}),
    "b2": frozenset({"sync", "rm"}),
}
#: Programs that keep backups of several under one roof, and the verbs that delete some of them.
_FORGETS = {"restic": frozenset({"forget"}), "borg": frozenset({"prune", "delete"}), "kopia": frozenset({"delete"})}
_MARKED = re.compile(r"\$\{?(?:BULKHEAD_PREFIX|BULKHEAD_BACKUP_NAME)\b")
#: A backup's directory, meant as what is in it.
_CONTENT = re.compile(r"\$\{?BULKHEAD_BACKUP\}?[\"']?/[.*]?[\"']?\Z")
#: Options of tar that name the file that it makes.
_WRITES_TAR = re.compile(r"-?[A-Za-z]*c[A-Za-z]*f\Z|-f|--file\b")
_COPY_COMMAND = "bulkhead_backup_copy_command"


@rule("unmarked-copy", "OP-03", severity=Severity.HIGH)
def unmarked_copy(fleet: Fleet) -> Judgement:
    """A backup is copied to a place that does not say whose it is, or deletes what is there."""
    for environment in fleet.environments:
        for document in environment.documents:
            if document.path != _COPY_COMMAND:
                continue
            for command in machine_commands(document):
                does = _acts_elsewhere(command)
                if does and not any(_says_whose(environment, word) for word in command.raw):
                    yield Hit(
                        (environment.prefix,),
                        f"{_COPY_COMMAND}: {command.program}",
                        f"{_COPY_COMMAND} of {environment.prefix} runs {command.text}, whose place does not say whose "
                        f"backups are there: with the same command in another environment each {does} the other's.",
                        "Put $BULKHEAD_PREFIX or $BULKHEAD_BACKUP_NAME, which begins with the prefix, into the place"
                        + (", or into the tag or pattern that it deletes by." if does == "deletes" else "."),
                        (environment.origin(_COPY_COMMAND),),
                    )


def _says_whose(environment: Environment, word: str) -> bool:
    """Whether a word of a command names the environment: in full, or as the one that it is of its project."""
    words = set(re.split(r"[^a-z0-9]+", word.lower()))
    return bool(_MARKED.search(word) or carries_name(environment, word) or words & short_names(environment))


def _acts_elsewhere(command: Command) -> str:
    """What a command does to what is at its place already; empty if nothing."""
    words = set(command.argv[1:])
    if words & _FORGETS.get(command.program, frozenset()):
        return "deletes"
    if words & _COPIES_CONTENT.get(command.program, frozenset()):
        deletes = words & {"sync", "purge", "delete", "rm", "del", "remove", "--delete", "--remove", "bisync"}
        return "deletes" if deletes else "overwrites"
    content = any(_CONTENT.search(word) for word in command.raw)
    if command.program in ("rsync", "cp") and content:
        return "deletes" if any(word.startswith("--delete") for word in words) else "overwrites"
    if command.program == "tar" and any(_WRITES_TAR.match(word) for word in words) and "-" not in words:
        return "overwrites"
    return ""


_RESTORERS = frozenset(("pg_restore", "psql", "dropdb", "mysql", "mongorestore"))
#: Those, and what may run one of them.
_RESTORING = (*DOCKER, "sh", "bash", *_RESTORERS)
_DESTRUCTIVE_SQL = re.compile(r"\b(?:DROP|TRUNCATE|DELETE\s+FROM|ALTER\s+DATABASE)\b", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{?(\w+)")


@rule("restore-target", "OP-05", severity=Severity.CRITICAL)
def restore_target(fleet: Fleet) -> Judgement:
    """A restore goes to whatever database a variable or a name of another environment says."""
    for environment in fleet.environments:
        sourced: dict[str, str] = {}
        for document, command in environment_commands(environment, "source", ".", *_RESTORING):
            if command.program in ("source", ".") and len(command.argv) > 1:
                path = absolute(command.argv[1], command.directory or environment.directory)
                sourced[document.path] = foreign_owner_of_path(fleet, environment, path) or environment.prefix
            act = _restores(command)
            if not act:
                continue
            call = docker_call(command.argv)
            container = call.arguments[0] if call and not call.compose and call.arguments else ""
            owner = _container_owner(fleet, environment, container)
            if owner in sharers(fleet, command.where):
                continue  # a script for both, which names the one that it is about
            used = (match[1] for word in command.argv if (match := _VARIABLE.search(word)))
            checked = checked_variables(document)
            variable = next((name for name in used if name not in checked), "")
            source = sourced.get(document.path, "")
            severity = None
            if owner:
                way = f"names the container {container} of {owner}"
            elif variable and source and source != environment.prefix:
                owner, way = source, f"takes ${variable} from the .env of {source}"
            elif (
                variable
                and not source
                and not container
                and not (call and call.compose)
                and len(fleet.environments) > 1
            ):
                way, severity = f"takes ${variable} from the shell that starts it", Severity.MEDIUM
            else:
                continue
            yield Hit(
                tuple(filter(None, (environment.prefix, owner))),
                f"{act} in {document.path}",
                f"{act} of {environment.prefix} {way}: it overwrites that database, whichever "
                "environment it belongs to.",
                "Name the target in the script: the environment's own container, or its own .env by full path. Let "
                "the script check the database's name and stop when it is another environment's.",
                (command.where,),
                environment.machine,
                severity=severity,
            )


def _container_owner(fleet: Fleet, environment: Environment, container: str) -> str:
    """The other environment on the machine that owns a container of this name."""
    owners = [claim.owner for claim in fleet.claims("container").get((environment.machine, container), ())]
    return owners[0] if owners and environment.prefix not in owners else ""


def _restores(command: Command) -> str:
    """What a command irrevocably does to a database; empty if nothing."""
    argv = list(command.argv)
    call = docker_call(argv)
    if call is not None:
        if call.verb != ("exec",):
            return ""
        argv = list(call.arguments[1:])
    program = posixpath.basename(argv[0]) if argv else ""
    if program in ("sh", "bash") and "-c" in argv[:-1]:
        argv = argv[argv.index("-c") + 1].split()
        program = posixpath.basename(argv[0]) if argv else ""
    if program not in _RESTORERS:
        return ""
    if program in ("psql", "mysql"):
        fed = command.joined == "|" or any(kind == "<" for kind, _target in command.redirects)
        told = any(word in ("-f", "--file") or word.startswith("--file=") for word in argv)
        return program if fed or told or _DESTRUCTIVE_SQL.search(" ".join(argv)) else ""
    return "" if "-l" in argv or "--list" in argv else program
