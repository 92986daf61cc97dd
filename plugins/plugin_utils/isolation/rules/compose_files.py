# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a Compose project: Compose files, environment files and directories of another environment."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..facts.compose_calls import PROJECT_VERBS, commands, compose_calls, control_variables, tasks
from ..facts.ownership import ancestors, directories, foreign_owner_of_path, owners_of_path, sharers
from ..model import Environment, Fleet, Severity, Where
from ..wording import listing
from . import Hit, Judgement, owners, places, rule

#: Names that Compose looks for by default, in the directory and all directories above.
DEFAULT_NAMES = frozenset({"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"})


@rule("foreign-compose-file", "CP-12", "CP-15", "CP-16", severity=Severity.CRITICAL)
def foreign_compose_file(fleet: Fleet) -> Judgement:
    """A project takes in a Compose file or a directory of another environment."""
    for environment in fleet.environments:
        for hazard, how, path, where in compose_files(environment):
            owner = foreign_owner_of_path(fleet, environment, path)
            if owner and owner not in sharers(fleet, where):
                yield Hit(
                    (environment.prefix, owner),
                    path,
                    f"{environment.prefix} {how} {path} of {owner}: the project of {environment.prefix} then has the "
                    f".env, bind mounts and names of {owner}.",
                    f"Use a file inside {environment.directory or 'its own directory'}, and copy what both need.",
                    (where,),
                    environment.machine,
                    hazards=(hazard,),
                )


@rule("foreign-env-file", "CP-13", severity=Severity.CRITICAL)
def foreign_env_file(fleet: Fleet) -> Judgement:
    """An environment takes its settings from the environment file of another."""
    for environment in fleet.environments:
        for how, path, where in env_files(environment):
            owner = foreign_owner_of_path(fleet, environment, path)
            if owner and owner not in sharers(fleet, where):
                yield Hit(
                    (environment.prefix, owner),
                    path,
                    f"{environment.prefix} takes its settings from {path} of {owner} ({how}), and with them "
                    f"{owner}'s database, domains and secrets.",
                    f"Use {posixpath.join(environment.directory or '.', '.env')}.",
                    (where,),
                    environment.machine,
                )
    yield from shared_env_files(fleet)


def shared_env_files(fleet: Fleet) -> Judgement:
    """One environment file, outside of all directories, that services of several environments read."""
    for (machine, path), claims in fleet.claims("path").items():
        reading = [claim for claim in claims if claim.attributes.get("kind") == "env_file"]
        if len(owners(reading)) < 2 or not path.startswith("/") or owners_of_path(fleet, machine, path):
            continue
        yield Hit(
            owners(reading),
            path,
            f"{listing(owners(reading))} take their settings from the same file, {path} on {machine}: all of them "
            "get the same database, keys and passwords.",
            "Give each environment its own file, in its own directory.",
            places(reading),
            machine,
        )


@rule("compose-file-above", "CP-14", severity=Severity.MEDIUM)
def compose_file_above(fleet: Fleet) -> Judgement:
    """A Compose file that a command without -f finds by going up from another environment's directory."""
    above = fleet.derived(_default_files)
    for (machine, directory), prefixes in directories(fleet).items():
        for higher in ancestors(posixpath.dirname(directory)):
            for owner, where in above.get((machine, higher), {}).items():
                others = [prefix for prefix in prefixes if prefix != owner]
                if others:
                    yield Hit(
                        (*others, owner),
                        where.file,
                        f"'docker compose' without -f in the directory of {listing(others)} searches upwards, finds "
                        f"{where.file} of {owner} and acts on {owner} instead.",
                        f"Rename or move the file of {owner}, and always write -f.",
                        (where,),
                        machine,
                    )


@rule("command-without-file", "CP-14", severity=Severity.MEDIUM)
def command_without_file(fleet: Fleet) -> Judgement:
    """A command without -f where no file has a name that Compose looks for: it goes up and takes what it finds."""
    for environment in fleet.environments:
        names = {posixpath.basename(place.file) for project in environment.compose for place in project.files}
        if (
            not names
            or names & DEFAULT_NAMES
            or any(n == "COMPOSE_FILE" for n, _value, _where in control_variables(environment))
        ):
            continue
        if puts_default_file(environment) or has_file_of_nobody(fleet, environment):
            continue
        for call in compose_calls(environment):
            if (
                call.opaque
                or any(has_default_name(fleet.by_prefix[prefix]) for prefix in sharers(fleet, call.where))
                or call.files
                or call.project
                or call.verb not in PROJECT_VERBS
                or "COMPOSE_FILE" in call.assignments
            ):
                continue
            yield Hit(
                (environment.prefix,),
                call.text,
                f"'{call.text}' of {environment.prefix} names no file, and Compose does not look for "
                f"{listing(sorted(names))}: it takes the first docker-compose.yml in this directory or one above, "
                "whichever environment that belongs to.",
                f"Write 'docker compose -f {sorted(names)[0]} {call.verb}'.",
                (call.where,),
                environment.machine,
            )


_COPIES = frozenset(("cp", "mv", "ln", "scp", "rsync", "install", "tee", "envsubst", "curl", "wget"))


def has_file_of_nobody(fleet: Fleet, environment: Environment) -> bool:
    """Whether a checkout has a file with a name that Compose looks for, and that is no environment's, such as that of
    developers."""
    theirs = fleet.derived(_files)
    return any(link.kind == "default-file" and link.target not in theirs for link in environment.references)


def _files(fleet: Fleet) -> frozenset[str]:
    """The Compose file of every project of a fleet."""
    return frozenset(project.file for environment in fleet.environments for project in environment.compose)


def has_default_name(environment: Environment) -> bool:
    """Whether a Compose file of an environment has a name that Compose looks for."""
    return any(posixpath.basename(place.file) in DEFAULT_NAMES for item in environment.compose for place in item.files)


def puts_default_file(environment: Environment) -> bool:
    """Whether a script or task makes a file with a name that Compose looks for, such as a copy of another."""
    for reference in commands(environment, everywhere=True):
        argv = reference.attributes.get("argv") or ()
        redirects = getattr(reference.attributes.get("command"), "redirects", ())
        targets = [target for kind, target in redirects if kind.startswith(">")]
        if argv and posixpath.basename(str(argv[0])) in _COPIES:
            targets += map(str, argv[1:])
        if targets and any(posixpath.basename(target.rpartition(":")[2]) in DEFAULT_NAMES for target in targets):
            return True
    return any(posixpath.basename(task.text("dest")) in DEFAULT_NAMES for task in tasks(environment))


def compose_files(environment: Environment) -> Iterator[tuple[str, str, str, Where]]:
    """Yield each Compose file and project directory that an environment names: (hazard, how, path, where)."""
    for reference in environment.references:
        if reference.kind in ("extends", "include"):
            hazard, how = ("CP-15", "extends a service of") if reference.kind == "extends" else ("CP-16", "includes")
            yield hazard, how, reference.target, reference.where
    for project in environment.compose:
        for place in project.files:
            if place.item not in ("extends", "include"):
                yield "CP-12", "is made of", place.file, Where(place.file)
    for name, value, where in control_variables(environment):
        if name == "COMPOSE_FILE":
            for path in value.split(":"):
                yield "CP-12", "sets COMPOSE_FILE to", absolute(environment, path), where
    for call in compose_calls(environment):
        for path in call.paths(*call.files):
            yield "CP-12", "uses", path, call.where
        for path in call.paths(*filter(None, [call.project_directory])):
            yield "CP-12", "works in the directory", path, call.where


def env_files(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    """Yield each environment file that an environment names: (how, path, where)."""
    for project, name, service in environment.services():
        for path in service.get("env_file") or ():
            yield f"env_file of {name}", str(path), project.where("services", name, "env_file")
    for name, value, where in control_variables(environment):
        if name == "COMPOSE_ENV_FILES":
            for path in value.split(","):
                yield name, absolute(environment, path), where
    for call in compose_calls(environment):
        for path in call.paths(*call.env_files):
            yield "--env-file", path, call.where
    for reference in commands(environment):
        argv: Sequence[Any] = reference.attributes.get("argv") or ()
        if len(argv) > 1 and argv[0] in (".", "source") and str(argv[1]).endswith("env"):
            base = str(reference.attributes.get("directory") or environment.directory)
            yield "source", posixpath.normpath(posixpath.join(base, str(argv[1]))), reference.where


def absolute(environment: Environment, path: str) -> str:
    """A path relative to the environment's directory."""
    return posixpath.normpath(posixpath.join(environment.directory or "/", path.strip()))


def _default_files(fleet: Fleet) -> Mapping[tuple[str, str], dict[str, Where]]:
    """The owners of Compose files with a default name, by (machine, directory)."""
    found: dict[tuple[str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        for project in environment.compose:
            for place in project.files:
                if posixpath.basename(place.file) in DEFAULT_NAMES and place.file.startswith("/"):
                    key = (environment.machine, posixpath.dirname(place.file))
                    found.setdefault(key, {}).setdefault(environment.prefix, Where(place.file))
    return found
