# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compose projects: two environments with the same project name, and misleading names.

Compose identifies containers by project and service, not by container_name. Two directories with the same project name
are one project, whatever their files are called.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from ..facts.compose_calls import PROJECT_VERBS, ComposeCall, compose_calls, control_variables, exported
from ..facts.ownership import called, inside, owner_of_name, sharers, short_names
from ..model import Claim, ComposeProject, Environment, Fleet, Severity, Where
from ..naming import normalise_project
from ..wording import listing
from . import Hit, Judgement, owners, places, rule


@rule("shared-project", "CP-01", "CP-04", "CP-11", "CP-22", severity=Severity.CRITICAL)
def shared_project(fleet: Fleet) -> Judgement:
    """Two environments of one machine are one Compose project."""
    for machine, name, claims in fleet.collisions("project"):
        prefixes = owners(claims)
        projects = [project for prefix in prefixes[:4] for project in named(fleet, prefix, name)]
        yield Hit(
            prefixes,
            f"project {name}",
            f"{listing(prefixes)} are one Compose project, {name}{why_shared(fleet, claims)}. "
            f"{what_up_does(prefixes, projects)}",
            f"Write 'name: {prefixes[-1]}' at the top of the Compose file of {prefixes[-1]} and "
            f"COMPOSE_PROJECT_NAME={prefixes[-1]} into its .env; do the same for the others, each with its own "
            "prefix.",
            places(claims),
            machine,
            hazards=shared_hazards(projects),
        )
    yield from in_checkouts(fleet)
    for machine, name, claims in fleet.collisions("bare-project"):
        by_command = [claim for claim in claims if claim.attributes.get("source") == "-p"]
        if by_command and len({claim.attributes.get("project") for claim in claims}) == len(claims):
            yield Hit(
                owners(claims),
                f"project {name}",
                f"Only -p in the commands keeps {listing(owners(claims))} apart: 'docker compose' without it acts on "
                f"one project, {name}, for all of them.",
                f"Write 'name: {by_command[0].attributes.get('project')}' at the top of the Compose file of "
                f"{by_command[0].owner}; do the same for the others.",
                places(claims),
                machine,
                severity=Severity.LOW,
            )


@rule("overridden-project-name", "CP-05", severity=Severity.HIGH)
def overridden_project_name(fleet: Fleet) -> Judgement:
    """COMPOSE_PROJECT_NAME in .env names another project than the Compose file or the deployment does."""
    for environment in fleet.environments:
        for project in environment.compose:
            declared, typed = normalise_project(project.declared_name), project.bare_name or project.name
            if typed == (declared or project.name) or project.name_source == "-p":
                continue
            owner = other_owner(fleet, environment, typed)
            yield Hit(
                (environment.prefix, owner) if owner else (environment.prefix,),
                f"project {typed}",
                f"The project of {environment.prefix} is {declared or project.name}, but COMPOSE_PROJECT_NAME makes "
                f"it {typed}{f', the project of {owner},' if owner else ''} for whoever types 'docker compose'. .env "
                "beats 'name:'.",
                f"Write COMPOSE_PROJECT_NAME={declared or project.name} into .env, or remove it.",
                (project.where("name"), *settings_of(environment, "COMPOSE_PROJECT_NAME")),
                environment.machine,
                severity=Severity.CRITICAL if owner else None,
            )


@rule("foreign-project-command", "CP-02", "CP-03", severity=Severity.HIGH)
def foreign_project_command(fleet: Fleet) -> Judgement:
    """A command acts on a project that is another environment's, or is shared with one."""
    for environment in fleet.environments:
        for call in compose_calls(environment):
            name = project_of(environment, call)
            owned = members(fleet, environment, name)
            touched = [prefix for prefix in owned if prefix != environment.prefix]
            common = sharers(fleet, call.where)
            if not name or not touched or (environment.prefix not in owned and common.issuperset(touched)):
                continue
            if call.removes_orphans and (call.verb == "down" or has_orphans(fleet, environment, touched)):
                hazard, does = "CP-02", f"removes every container of {listing(touched)} as an orphan"
            elif call.project and not call.files and call.verb in PROJECT_VERBS:
                hazard, does = "CP-03", f"acts on every container and network of {listing(touched)}"
            elif call.project and environment.prefix not in owned:
                hazard, does = "CP-03", f"takes the containers of {listing(touched)} for its own"
            else:
                continue
            yield Hit(
                (environment.prefix, *touched),
                f"project {name}",
                f"'{call.text}' of {environment.prefix} works on the project {name} and {does}.",
                f"Name the environment's own project and file: 'docker compose -p {environment.prefix} -f <file> "
                f"{call.verb}', without --remove-orphans.",
                (call.where,),
                environment.machine,
                hazards=(hazard,),
            )
        yield from orphans_by_variable(fleet, environment)


def has_orphans(fleet: Fleet, environment: Environment, others: Iterable[str]) -> bool:
    """Whether other environments have services that an environment's own files do not."""
    own = {name for _project, name, _service in environment.services()}
    return any(name not in own for other in others for _project, name, _service in fleet.by_prefix[other].services())


def orphans_by_variable(fleet: Fleet, environment: Environment) -> Judgement:
    """COMPOSE_REMOVE_ORPHANS with a shared project: ignored in .env up to Compose 2.26, honoured since 2.27."""
    for variable, value, where in control_variables(environment):
        if variable != "COMPOSE_REMOVE_ORPHANS" or value.lower() not in ("1", "true", "yes"):
            continue
        name = next((project.name for project in environment.compose), directory_project(environment))
        touched = [prefix for prefix in members(fleet, environment, name) if prefix != environment.prefix]
        if touched:
            yield Hit(
                (environment.prefix, *touched),
                f"project {name}",
                f"COMPOSE_REMOVE_ORPHANS of {environment.prefix} makes every 'up' and 'down' in the project {name} "
                f"remove the containers of {listing(touched)}. In .env it takes effect from Compose 2.27.",
                "Remove COMPOSE_REMOVE_ORPHANS.",
                (where,),
                environment.machine,
                hazards=("CP-02",),
            )


@rule("collapsed-name", "CP-10", severity=Severity.HIGH)
def collapsed_name(fleet: Fleet) -> Judgement:
    """A name lost a part because a variable is empty, so it is the same in every environment."""
    for environment in fleet.environments:
        # Without .env, which is in no repository, it is unknown what will be set.
        known = any(not setting.service for setting in environment.settings)
        given = {name for name, _value, _where in exported(environment)}
        told: set[tuple[str, bool]] = set()
        for project in environment.compose:
            for used in project.interpolations:
                unset = used.value is None or (used.value == "" and used.operator not in ("-", "+", ":+"))
                # A required variable without a value is a finding of the reader.
                if (
                    used.operator in (":-", ":+", "+", "-", "?", ":?")
                    or not unset
                    or used.name in (*_OF_THE_SHELL, *given)
                ):
                    continue
                names = is_name(used.where.item)
                if not (names or used.value is None) or (used.name, names) in told:
                    continue
                told.add((used.name, names))
                collides = names and known and not used.where.item.endswith(".image")
                yield Hit(
                    (environment.prefix,),
                    f"${{{used.name}}}",
                    f"{used.name} is {'not set' if used.value is None else 'empty'} in {environment.prefix}, so "
                    f"{used.where.item or 'the value'} is rendered without it"
                    + (": every environment that lacks it gets the same name." if names else "."),
                    f"Set {used.name} in .env of {environment.prefix}, and write '${{{used.name}:?}}' so that Compose "
                    "refuses to start without it.",
                    (used.where,),
                    environment.machine,
                    severity=None if collides else Severity.LOW,
                )


@rule("confusable-project", "CP-11", severity=Severity.LOW)
def confusable_project(fleet: Fleet) -> Judgement:
    """Project names that a person takes for each other, or that Compose writes in another way than the file."""
    spelt: dict[tuple[str, str], dict[str, Claim]] = {}
    for (machine, name), claims in fleet.claims("project").items():
        spelt.setdefault((machine, re.sub("[_-]", "", name)), {})[name] = claims[0]
    for (machine, _unused), names in spelt.items():
        prefixes = owners(names.values())
        if len(prefixes) > 1:
            yield Hit(
                prefixes,
                f"project {listing(names)}",
                f"The projects of {listing(prefixes)} are called {listing(names)}, which are easy to mistake for one "
                "another.",
                "Choose prefixes that differ in more than '_' and '-'.",
                places(names.values()),
                machine,
            )
    for environment in fleet.environments:
        for project in environment.compose:
            if project.declared_name and normalise_project(project.declared_name) != project.declared_name:
                yield Hit(
                    (environment.prefix,),
                    f"project {project.declared_name}",
                    f"Compose turns 'name: {project.declared_name}' of {environment.prefix} into {project.name}, and "
                    "refuses the same spelling after -p.",
                    "Use only a-z, 0-9, '_' and '-' in project names, and begin with a letter or digit.",
                    (project.where("name"),),
                    environment.machine,
                )


@rule("two-project-names", "CP-20", severity=Severity.HIGH)
def two_project_names(fleet: Fleet) -> Judgement:
    """A name is made of COMPOSE_PROJECT_NAME while a command says another project with -p."""
    for environment in fleet.environments:
        given = {call.project: call.where for call in compose_calls(environment) if "$" not in call.project}
        for project in environment.compose:
            for used in project.interpolations:
                if used.name != "COMPOSE_PROJECT_NAME" or not is_name(used.where.item):
                    continue
                for name, where in given.items():
                    if name and name != project.bare_name:
                        owner = other_owner(fleet, environment, project.bare_name)
                        yield Hit(
                            (environment.prefix, owner) if owner else (environment.prefix,),
                            used.where.item,
                            f"{used.where.item} of {environment.prefix} is made from COMPOSE_PROJECT_NAME, which is "
                            f"{project.bare_name}"
                            + (f", the project of {owner}," if owner else "")
                            + f" while the command "
                            f"says -p {name}. Which of them counts depends on the version of Compose.",
                            "Write the name out, such as 'name: " + name + "_pgdata', or use the same project in "
                            "both places.",
                            (used.where, where),
                            environment.machine,
                        )


@rule("single-letter-volume", "CP-24", severity=Severity.LOW)
def single_letter_volume(fleet: Fleet) -> Judgement:
    """A volume whose name is one letter: Compose reads 'd:/data' as a drive of Windows."""
    for environment in fleet.environments:
        for project in environment.compose:
            for key in project.volumes:
                if len(key) == 1:
                    yield Hit(
                        (environment.prefix,),
                        f"volume {key}",
                        f"Compose reads '{key}:/…' of {environment.prefix} as a Windows drive, and stops after it "
                        "has created the networks.",
                        f"Give the volume {key} a longer name.",
                        (project.where("volumes", key),),
                        environment.machine,
                    )


#: Variables that every shell sets; their meaning for paths is judged elsewhere.
_OF_THE_SHELL = frozenset({"HOME", "USER", "PWD", "UID", "GID", "LOGNAME", "HOSTNAME", "PATH", "COMPOSE_PROJECT_NAME"})


def is_name(item: str) -> bool:
    """Whether an item of a Compose file is the name of something on the machine."""
    return bool(re.fullmatch(r"name|services\.[^.]+\.(?:container_name|hostname|image)|\w+\.[^.]+\.name", item))


def named(fleet: Fleet, prefix: str, name: str) -> Iterator[ComposeProject]:
    """The Compose projects of an environment that have a name."""
    return (project for project in fleet.by_prefix[prefix].compose if project.name == name)


def why_shared(fleet: Fleet, claims: Sequence[Claim]) -> str:
    """Why two environments have the same project name."""
    environments = [fleet.by_prefix[claim.owner] for claim in claims]
    by_directory = [e for e in environments if any(project.name_source == "directory" for project in e.compose)]
    if by_directory:
        return f", because their directories are both called {claims[0].key} and no file says otherwise"
    spellings = {project.declared_name for e in environments for project in e.compose if project.declared_name}
    return f", because Compose spells {listing(sorted(spellings))} alike" if len(spellings) > 1 else ""


def checkouts(fleet: Fleet, prefix: str) -> frozenset[str]:
    """The names of the directories in which an environment's own scripts and workflows call Compose on the machine."""
    environment = fleet.by_prefix[prefix]
    own = (call for call in compose_calls(environment) if len(sharers(fleet, call.where)) < 2)
    places = (call.directory for call in own if call.directory.startswith("/") and "$" not in call.directory)
    return frozenset(posixpath.basename(place) for place in places if not inside(place, environment.directory))


def _told_apart(fleet: Fleet, prefixes: Sequence[str]) -> bool:
    """Whether directories have different names: all are known, or those that are known hold the environment's name."""
    known = {prefix: checkouts(fleet, prefix) for prefix in prefixes}
    names = [name for places in known.values() for name in places]
    if not names or len(names) != len(set(names)):
        return False
    return all(known.values()) or all(
        short_names(fleet.by_prefix[prefix]) & set(re.split(r"[^a-z0-9]+", name.lower()))
        for prefix, places in known.items()
        for name in places
    )


def in_checkouts(fleet: Fleet) -> Iterator[Hit]:
    """Yield environments whose directories are not known: a checkout is called like its repository."""
    for machine, environments in fleet.machines.items():
        found = [
            (environment.prefix, project)
            for environment in environments
            for project in environment.compose
            if environment.assumed_directory
            and project.name_source == "directory"
            and project.name == directory_project(environment)
        ]
        prefixes = tuple(dict.fromkeys(prefix for prefix, _project in found))
        if len(prefixes) > 1 and not _told_apart(fleet, prefixes):
            yield Hit(
                prefixes,
                f"project of {listing(prefixes)}",
                f"No file names the Compose projects of {listing(prefixes)}, so Compose names them after their "
                "directories. If these have the same name, as two clones do, both are one project. "
                f"{what_up_does(prefixes, [project for _prefix, project in found])}",
                f"Write 'name: {prefixes[-1]}' at the top of {found[-1][1].file}; do the same for the others. Or "
                "give this check 'compose_project' or 'directory' of each, or 'machine' if each has its own.",
                tuple(Where(project.file) for _prefix, project in found),
                machine,
                severity=Severity.MEDIUM,
                hazards=("CP-01",),
            )


def what_up_does(prefixes: Sequence[str], projects: Sequence[ComposeProject]) -> str:
    """What happens to one environment when the other is deployed."""
    first, last = prefixes[0], prefixes[-1]
    keys = [set(project.services) for project in projects]
    common = sorted(set.intersection(*keys)) if len(keys) > 1 else []
    if common or len(keys) < 2:
        what = f" ({listing(common)})" if common else ""
        return (
            f"'docker compose up -d' of {last} recreates the containers of {first}{what} as its own, whatever "
            "container_name says, and takes over volumes without a name."
        )
    return (
        f"'docker compose up' or 'down' of {last} with --remove-orphans removes the containers of {first}, which are "
        "in its project but not in its file."
    )


def shared_hazards(projects: Sequence[ComposeProject]) -> tuple[str, ...]:
    """The hazards of a shared project."""
    hazards = ["CP-01"]
    spellings = {project.declared_name for project in projects}
    if len(spellings) > 1 and "" not in spellings:
        hazards.append("CP-11")
    by_key: dict[tuple[str, str], set[str]] = {}
    unnamed = False
    for project in projects:
        for kind, section in (("network", project.networks), ("volume", project.volumes)):
            for key, definition in section.items():
                real = str((definition or {}).get("name") or f"{project.name}_{key}")
                unnamed = unnamed or real == f"{project.name}_{key}"
                by_key.setdefault((kind, key), set()).add(real)
    if unnamed:
        hazards.append("CP-04")
    if any(len(names) > 1 for names in by_key.values()):
        hazards.append("CP-22")
    return tuple(hazards)


def project_of(environment: Environment, call: ComposeCall) -> str:
    """The project that a call affects, as far as the files tell."""
    named_ = call.project or call.assignments.get("COMPOSE_PROJECT_NAME", "")
    if "$" in named_ or "{{" in named_:
        return ""
    if named_:
        return normalise_project(named_)
    return environment.compose[0].name if environment.compose else directory_project(environment)


def directory_project(environment: Environment) -> str:
    """The project name that Compose derives from the environment's directory."""
    return normalise_project(posixpath.basename(posixpath.normpath(environment.directory or "/")))


def members(fleet: Fleet, environment: Environment, name: str) -> Sequence[str]:
    """The environments whose containers a project name covers, or else those with a directory of that name."""
    claims = [*fleet.claims("project").get((environment.machine, name), ())]
    return owners(claims) or fleet.derived(_by_directory).get((environment.machine, name), ())


def _by_directory(fleet: Fleet) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for environment in fleet.environments:
        found.setdefault((environment.machine, directory_project(environment)), []).append(environment.prefix)
    return found


def other_owner(fleet: Fleet, environment: Environment, name: str) -> str:
    """The other environment that a project name belongs to: by its files, prefix or short name."""
    claims = fleet.claims("project").get((environment.machine, name), ())
    others = [claim.owner for claim in claims if claim.owner != environment.prefix]
    named_ = owner_of_name(fleet, name)
    return others[0] if others else named_ if named_ != environment.prefix else called(fleet, environment, name)


def settings_of(environment: Environment, key: str) -> tuple[Where, ...]:
    """Where a setting is set."""
    return tuple(setting.where for setting in environment.settings if setting.key == key)
