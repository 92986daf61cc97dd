# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables: how the shell, defaults and missing values change a Compose file, and which engine a command reaches."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import lru_cache

from ..facts.compose_calls import control_variables, exported
from ..facts.names_in_text import TokenIndex
from ..facts.ownership import called, sharers, short_names
from ..model import Environment, Fleet, Interpolation, Severity, Where
from ..readers.frameworks import is_mode
from ..wording import listing
from . import Hit, Judgement, owners, rule, worded


@rule("shell-overrides-env-file", "CP-06", severity=Severity.CRITICAL)
def shell_overrides_env_file(fleet: Fleet) -> Judgement:
    """A script or workflow exports a variable of the Compose file: it wins over .env."""
    for environment in fleet.environments:
        used = {
            interpolation.name: interpolation
            for project in environment.compose
            for interpolation in project.interpolations
        }
        for name, value, where in exported(environment):
            if name not in used or value == used[name].value or name.startswith("COMPOSE_"):
                continue
            computed = "$" in value or "{{" in value
            meant = foreign_words(fleet, environment, value) if not is_mode(name) else []
            known = used[name].value is not None
            if not known and not meant:
                continue  # it is in no .env, so it is meant to be exported
            yield Hit(
                (environment.prefix, *meant),
                f"variable {name}",
                f"{name} is exported before Compose runs for {environment.prefix}"
                + ("" if computed or not known else ", with a value other than the one in .env")
                + (f" (that of {listing(meant)})" if meant else "")
                + f". The shell beats .env, even with --env-file, so {used[name].where.item or 'the Compose file'} "
                "gets the exported value.",
                f"Remove {name} from the step's environment and set it in .env alone, or call Compose with 'env -i'.",
                (where, used[name].where),
                environment.machine,
                severity=Severity.LOW if computed else None,
            )


@rule("split-identity", "CP-07", severity=Severity.CRITICAL)
def split_identity(fleet: Fleet) -> Judgement:
    """A service is told who it is in two ways, by interpolation and by env_file, so that they can differ."""
    for environment in fleet.environments:
        for project, name, service in environment.services():
            settings = service.get("environment") or {}
            for key, value in settings.items():
                other = called(fleet, environment, str(value or "")) if is_identity(key) else ""
                if not other:
                    continue
                place = project.where("services", name, "environment", key)
                if not _says_so_too(fleet.by_prefix[other], name, key, place):
                    yield Hit(
                        (environment.prefix, other),
                        f"{key} of service {name}",
                        f"{name} of {environment.prefix} has {key}={value}, the name of {other}: it runs as {other}.",
                        f"Set {key} to {environment.name or environment.prefix} for {name}.",
                        (place,),
                        environment.machine,
                    )
            for used in names_made_of(project.interpolations, name):
                if used.name not in settings or not service.get("env_file"):
                    continue
                told = settings[used.name]
                same = told == used.value
                yield Hit(
                    (environment.prefix,),
                    f"${{{used.name}}} of service {name}",
                    f"{used.where.item} of {environment.prefix} is made from {used.name} ({used.value}), and an "
                    f"env_file gives the container {used.name}={told}. A shell that exports {used.name} changes only "
                    "the first: the container then has one environment's name and the other's settings.",
                    f"Write the value of {used.where.item.rpartition('.')[2]} out in the Compose file of "
                    f"{environment.prefix}.",
                    (used.where, project.where("services", name, "environment", used.name)),
                    environment.machine,
                    severity=Severity.MEDIUM if same else None,
                )


@rule("passthrough-variable", "CP-08", severity=Severity.HIGH)
def passthrough_variable(fleet: Fleet) -> Judgement:
    """A value is taken from the shell of whoever deploys."""
    for environment in fleet.environments:
        # Without .env, which is in no repository, it is unknown whether it sets them.
        known = bool(environment.variables) or any(not setting.service for setting in environment.settings)
        given = {name for name, _value, _where in exported(environment)}
        told: set[str] = set()
        for what, key, where in passed_through(environment):
            if key in told or key in given:
                continue
            told.add(key)
            yield Hit(
                (environment.prefix,),
                f"{key} of {what}",
                f"{key} of {what} in {environment.prefix} has no value of its own: Compose takes it from the shell "
                "of whoever deploys, where it may be another environment's.",
                f"Set {key} in .env and write '{key}: ${{{key}:?}}', or use an env_file. Write '{key}: \"\"' if it "
                "is meant to be empty.",
                (where,),
                environment.machine,
                severity=None if known else Severity.LOW,
            )


@rule("foreign-default", "CP-09", severity=Severity.HIGH)
def foreign_default(fleet: Fleet) -> Judgement:
    """A variable's default names another environment: when the variable is missing, it is meant."""
    for environment in fleet.environments:
        told: set[tuple[str, str]] = set()
        for project in environment.compose:
            for used in project.interpolations:
                if not used.operator.endswith("-") or not used.operand or _is_mode(used):
                    continue
                if (used.name, used.operand) in told:
                    continue
                told.add((used.name, used.operand))
                for other in defaults_to(fleet, environment, used):
                    yield Hit(
                        (environment.prefix, other),
                        f"${{{used.name}{used.operator}{used.operand}}}",
                        f"Without {used.name}, {used.where.item or 'the Compose file'} of {environment.prefix} "
                        f"becomes {used.operand}, which belongs to {other}: one line missing from .env makes it act "
                        f"as {other}.",
                        f"Write '${{{used.name}:?}}', so that Compose refuses to start without it.",
                        (used.where,),
                        environment.machine,
                    )
                    break


def _says_so_too(environment: Environment, name: str, key: str, place: Where) -> bool:
    """Whether an environment has the setting from the same line of a common file: it is the mode that both run in."""
    for project in environment.compose:
        if name in project.services:
            own = project.where("services", name, "environment", key)
            if (posixpath.basename(own.file), own.line) == (posixpath.basename(place.file), place.line) and own.line:
                return True
    return False


def _is_mode(used: Interpolation) -> bool:
    """Whether a variable, or the setting that is made of it, is the mode of a runtime."""
    return is_mode(used.name) or is_mode(used.where.item.rpartition(".")[2])


@rule("foreign-profile", "CP-18", severity=Severity.HIGH)
def foreign_profile(fleet: Fleet) -> Judgement:
    """COMPOSE_PROFILES switches on what is meant for another environment."""
    for environment in fleet.environments:
        for name, value, where in control_variables(environment):
            for profile in value.split(",") if name == "COMPOSE_PROFILES" else ():
                other = called(fleet, environment, profile)
                if other and other not in sharers(fleet, where):
                    yield Hit(
                        (environment.prefix, other),
                        f"profile {profile}",
                        f"{environment.prefix} enables the profile {profile}, whose services only {other} should run "
                        "(a second beat, a second mailer). Disabling it later does not stop them.",
                        f"Set COMPOSE_PROFILES to profiles of {environment.prefix}; 'docker compose --profile … rm "
                        "-s' stops the services that already run.",
                        (where,),
                        environment.machine,
                    )


@rule("foreign-engine", "CP-21", severity=Severity.HIGH)
def foreign_engine(fleet: Fleet) -> Judgement:
    """DOCKER_HOST or DOCKER_CONTEXT sends commands of one environment to the engine of another."""
    for environment in fleet.environments:
        for name, value, where in control_variables(environment):
            if name not in ("DOCKER_HOST", "DOCKER_CONTEXT") or not value or is_own_engine(environment, name, value):
                continue
            others = foreign_words(fleet, environment, value) or [
                other.prefix for machine, found in fleet.machines.items() if machine in value for other in found[:1]
            ]
            if others and set(others) <= sharers(fleet, where):
                continue
            yield Hit(
                (environment.prefix, *(other for other in others if other != environment.prefix)),
                f"{name}={value}",
                f"{name}={value} sends the commands of {environment.prefix} to another engine"
                + (f", that of {listing(others)}." if others else "."),
                f"Remove {name}"
                + worded(fleet, [environment.prefix], f", or set bulkhead_docker_host of {environment.prefix}.", "."),
                (where,),
                environment.machine,
                severity=None if others else Severity.MEDIUM,
            )


#: Settings that name the environment. Modes of frameworks (NODE_ENV, DJANGO_SETTINGS_MODULE) do not count.
_IDENTITY = re.compile(r"(?:APP_|DEPLOY_|DEPLOYMENT_|SITE_|STACK_)?(?:ENV|ENVIRONMENT)(?:_NAME)?|STAGE")


@lru_cache(maxsize=1 << 12)  # a fleet repeats its settings
def is_identity(key: str) -> bool:
    """Whether a setting names the environment."""
    return bool(_IDENTITY.fullmatch(key.upper()))


def names_made_of(interpolations: tuple[Interpolation, ...], service: str) -> Iterator[Interpolation]:
    """The variables in a service's names."""
    for used in interpolations:
        if used.where.item == f"services.{service}.container_name" and used.name != "COMPOSE_PROJECT_NAME":
            yield used


def passed_through(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    """Yield entries without a value: (of what, key, where)."""
    for project, name, service in environment.services():
        for key, value in (service.get("environment") or {}).items():
            if value is None:
                yield f"service {name}", key, project.where("services", name, "environment", key)
        for key, value in ((service.get("build") or {}).get("args") or {}).items():
            if value is None:
                yield f"the build of {name}", key, project.where("services", name, "build", "args", key)
    for project in environment.compose:
        for kind, section in (("secret", project.secrets), ("config", project.configs)):
            for key, definition in section.items():
                if (definition or {}).get("environment"):
                    yield f"{kind} {key}", str(definition["environment"]), project.where(f"{kind}s", key)


def defaults_to(fleet: Fleet, environment: Environment, used: Interpolation) -> Iterator[str]:
    """The other environments that a default names: by short name, by a name or domain of theirs, or by a port."""
    operand = used.operand.strip()
    other = called(fleet, environment, operand)
    if other:
        yield other
    yield from foreign_words(fleet, environment, operand)
    # A default that is in force is judged as the port that it is.
    kept = used.value not in (None, "", operand)
    if operand.isdigit() and kept and ("PORT" in used.name.upper() or ".ports" in used.where.item):
        taken = owners(fleet.claims("host-port").get((environment.machine, f"{operand}/tcp"), ()))
        literal = [prefix for prefix in taken if prefix != environment.prefix]
        if literal:
            yield literal[0]


def foreign_words(fleet: Fleet, environment: Environment, text: str) -> list[str]:
    """The other environments that a value names: by a token of theirs, or by their short name alone."""
    found = [owner for owner, _token, _position in fleet.derived(TokenIndex).owners_in(text, environment.prefix)]
    word = called(fleet, environment, text)
    return list(dict.fromkeys(filter(None, [*found, word])))


def is_own_engine(environment: Environment, name: str, value: str) -> bool:
    """Whether an engine's address is the local one or that of the environment's own machine."""
    if "$" in value or "{{" in value:
        return True
    if name == "DOCKER_CONTEXT":
        return value == "default" or value in short_names(environment) or value == environment.prefix
    own = str(environment.variables.get("bulkhead_docker_host") or "")
    host = re.sub(r"^\w+://(?:[^@/]*@)?", "", value).partition(":")[0]
    return value.startswith("unix://") or value == own or host == environment.machine
