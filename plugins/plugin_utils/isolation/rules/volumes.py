# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes: the same name in two environments, others' volumes, and commands that delete them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ..declared import adopted_volumes
from ..facts.compose_calls import ComposeCall, compose_calls
from ..facts.names_in_text import TokenIndex
from ..facts.ownership import owner_of_name
from ..facts.storage_contents import contents, uses
from ..model import ComposeProject, Document, Environment, Fleet, Severity, Where
from ..readers.beside import DEFAULT_FILES
from ..readers.documents import machine_commands
from ..wording import listing
from . import Hit, Judgement, owners, places, rule


@rule("shared-volume", "VP-01", "CP-04", "VP-08", "VP-09", "VP-11", "VP-12", severity=Severity.CRITICAL)
def shared_volume(fleet: Fleet) -> Judgement:
    """One volume of a machine belongs to two environments."""
    for machine, name, here in shared_names(fleet):
        prefixes = tuple(here)
        mounts = [use for prefix in prefixes[:4] for use in uses(fleet.by_prefix[prefix], name)]
        place = contents("", mounts, "VP-01")
        first = declared(fleet.by_prefix[prefixes[0]], name)
        by_project = any(name == f"{project.name}_{key}" for key, project in first)
        reason = ", because they have one project and the volume has no 'name:'" if by_project else ""
        yield Hit(
            prefixes,
            f"volume {name}",
            f"{listing(prefixes)} use the same volume, {name}, on {machine}{reason}. Compose mounts what is there "
            f"with only a warning: {place.what}",
            f"Give each its own: 'name: {prefixes[-1]}_{name.rpartition('_')[2]}' in the Compose file of "
            f"{prefixes[-1]}.",
            tuple(here.values()),
            machine,
            hazards=(*place.hazards, "CP-04") if by_project else place.hazards,
        )


@rule("foreign-volume", "VP-03", severity=Severity.CRITICAL)
def foreign_volume(fleet: Fleet) -> Judgement:
    """An environment mounts a volume that another environment owns."""
    for (machine, name), here in volumes(fleet).items():
        makers = [prefix for prefix, (external, _unused) in here.items() if not external]
        named = owner_of_name(fleet, name)
        for prefix, (external, where) in here.items():
            named = named or _spelled_owner(fleet, fleet.by_prefix[prefix], name)
            others = [maker for maker in makers if maker != prefix]
            if external and others:
                owner = others[0]
            elif (
                named
                and named != prefix
                and named not in makers
                and fleet.by_prefix[named].machine == machine
                and not _is_taken_over(fleet.by_prefix[prefix], name, fleet.by_prefix[named])
            ):
                owner = named
            else:
                continue
            warned = "without any warning, because it is external" if external else "with only a warning"
            yield Hit(
                (prefix, owner),
                f"volume {name}",
                f"{prefix} mounts {name}, the volume of {owner}, {warned}: it reads and overwrites the data of "
                f"{owner}.",
                f"Name its own volume: 'external: true' needs 'name: {prefix}_…' beside it, because without a name "
                "the key is the name.",
                (where,),
                machine,
            )


def _spelled_owner(fleet: Fleet, environment: Environment, name: str) -> str:
    """The other environment whose name a volume that is taken over carries in another spelling; empty if none."""
    if name not in adopted_volumes(environment).values():
        return ""
    return next((owner for owner, *_token in fleet.derived(TokenIndex).owners_in(name, environment.prefix)), "")


def _is_taken_over(environment: Environment, name: str, owner: Environment) -> bool:
    """Whether an environment takes over a volume of a project that nobody deploys with Bulkhead: the volume keeps the
    name that Compose gave it, as long as no environment claims it. Whose label it has is looked at on the machine."""
    is_deployed = owner.project or owner.compose or owner.registered_services is not None
    return name in adopted_volumes(environment).values() and not is_deployed


@rule("foreign-volumes-from", "VP-07", severity=Severity.CRITICAL, of_machine=True)
def foreign_volumes_from(fleet: Fleet) -> Judgement:
    """A service takes all volumes of a container that is not its environment's own."""
    for environment in fleet.environments:
        own = {str(service.get("container_name") or "") for _project, _name, service in environment.services()}
        for project, name, service in environment.services():
            for entry in map(str, service.get("volumes_from") or ()):
                container = entry.split(":")[1] if entry.startswith("container:") else ""
                if not container or container in own:
                    continue
                owner = container_owner(fleet, environment, container)
                yield Hit(
                    (environment.prefix, owner) if owner else (environment.prefix,),
                    f"container {container}",
                    f"{name} of {environment.prefix} mounts every volume of the container {container}"
                    + (f", which belongs to {owner}," if owner else "")
                    + " and can write to them.",
                    "Mount the environment's own volumes by name; within one project write 'volumes_from: "
                    "[<service>:ro]'.",
                    (project.where("services", name, "volumes_from"),),
                    environment.machine,
                )


_THROW_AWAY = re.compile(r"(?:\A|[_-])(?:pr|ci|review|preview|test|testing|tmp|e2e|sandbox)(?:[_-]?\d+)?(?:\Z|[_-])")


@rule("deletes-volumes", "VP-02", severity=Severity.HIGH, of_machine=True)
def deletes_volumes(fleet: Fleet) -> Judgement:
    """A script deletes volumes by the names in its Compose file, whoever they belong to."""
    for environment in fleet.environments:
        asking = {document.path for document in environment.documents if "-v" in document.text and _asks(document)}
        for call in compose_calls(environment):
            if not call.removes_volumes or of_other_files(environment, call):
                continue
            shared = fleet.derived(_shared_by_user).get(environment.prefix, {})
            others = [prefix for prefixes in shared.values() for prefix in prefixes if prefix != environment.prefix]
            throw_away = not environment.protected and bool(_THROW_AWAY.search(environment.prefix))
            yield Hit(
                (environment.prefix, *others),
                call.text,
                f"'{call.text}' of {environment.prefix} deletes every volume that its Compose file names, without "
                f"asking whose it is{f'; {listing(shared)} also belongs to {listing(others)}' if others else ''}.",
                "Leave out -v (remove_volumes), declare data volumes 'external: true', and delete them by hand, by "
                "name.",
                (call.where,),
                environment.machine,
                severity=_deletion(call, bool(others), throw_away or call.where.file in asking),
            )


#: Scripts that make what they delete.
_TRIES = re.compile(r"(?:\A|[._-])(?:tests?|validate|ci|e2e|check)(?:[._-]|\Z)")


def _deletion(call: ComposeCall, shared: bool, harmless: bool) -> Severity | None:
    if harmless or _TRIES.search(posixpath.basename(call.where.file)):
        return Severity.LOW
    return Severity.CRITICAL if shared else None


def _asks(document: Document) -> bool:
    """Whether a script waits for an answer, so that a person decides."""
    return any(command.program == "read" for command in machine_commands(document))


def of_other_files(environment: Environment, call: ComposeCall) -> bool:
    """Whether a call names files of which none is the environment's, such as those of developers."""
    own = {posixpath.basename(place.file) for project in environment.compose for place in project.files}
    named = {posixpath.basename(path) for path in call.files} or (
        set(DEFAULT_FILES) if call.text.startswith(("docker ", "docker-compose ")) and not call.opaque else set()
    )
    return bool(own and named) and not own & named


@rule("shared-user", "VP-18", severity=Severity.LOW)
def shared_user(fleet: Fleet) -> Judgement:
    """One user of the machine owns the directories of several environments."""
    for (machine, user), claims in fleet.claims("user").items():
        owned = [claim for claim in claims if claim.attributes.get("kind") == "owner"]
        if len(owners(owned)) > 1:
            names = owners(owned)
            yield Hit(
                names,
                f"user {user}",
                f"The user {user} on {machine} owns the directories of {listing(names)}: whoever can write as {user} "
                "for one (a CI key, code in a bind mount) can write to the others'.",
                "Give each environment its own user (bulkhead_owner), and directories with mode 0750.",
                places(owned),
                machine,
            )


@rule("foreign-user", "VP-18", severity=Severity.HIGH)
def foreign_user(fleet: Fleet) -> Judgement:
    """An environment runs a command as a user of the machine whom another environment has."""
    for (machine, user), claims in fleet.claims("user").items():
        owned = {claim.owner for claim in claims if claim.attributes.get("kind") == "owner"}
        running = [claim for claim in claims if claim.attributes.get("kind") == "command" and claim.owner not in owned]
        names = owners(claims)
        if running and len(names) > 1:
            yield Hit(
                names,
                f"user {user}",
                f"{running[0].owner} runs bulkhead_backup_copy_command as {user} on {machine}, who also acts for "
                f"{listing(set(names) - {running[0].owner})}: the command can do there what {user} can, and use the "
                "credentials in that user's home.",
                "Give each environment its own user (bulkhead_backup_copy_user), or leave it empty to run the "
                "command as bulkhead_owner.",
                places(running),
                machine,
            )


def volumes(fleet: Fleet) -> dict[tuple[str, str], dict[str, tuple[bool, Where]]]:
    """Who names a machine's volume: {(machine, name): {prefix: (external, where)}}."""
    return fleet.derived(_volumes)


def _volumes(fleet: Fleet) -> dict[tuple[str, str], dict[str, tuple[bool, Where]]]:
    found: dict[tuple[str, str], dict[str, tuple[bool, Where]]] = {}
    for environment in fleet.environments:
        for project in environment.compose:
            for key, volume in project.volumes.items():
                external = bool((volume or {}).get("external"))
                name = str((volume or {}).get("name") or (key if external else f"{project.name}_{key}"))
                here = found.setdefault((environment.machine, name), {})
                if environment.prefix not in here or here[environment.prefix][0]:
                    here[environment.prefix] = (external, project.where("volumes", key))
    return found


def shared_names(fleet: Fleet) -> Iterator[tuple[str, str, dict[str, Where]]]:
    """Yield volumes that several environments use and none owns alone: (machine, name, {prefix: where})."""
    for (machine, name), here in volumes(fleet).items():
        makers = [prefix for prefix, (external, _unused) in here.items() if not external]
        if len(here) > 1 and len(makers) != 1:
            yield machine, name, {prefix: where for prefix, (_unused, where) in here.items()}


def _shared_by_user(fleet: Fleet) -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for _unused, name, here in shared_names(fleet):
        for prefix in here:
            found.setdefault(prefix, {})[name] = tuple(here)
    return found


def declared(environment: Environment, name: str) -> Iterator[tuple[str, ComposeProject]]:
    """The (key, project) under which an environment declares a volume."""
    for project in environment.compose:
        for key, volume in project.volumes.items():
            if (volume or {}).get("name", f"{project.name}_{key}") == name:
                yield key, project


def container_owner(fleet: Fleet, environment: Environment, container: str) -> str:
    """The other environment that a container belongs to, by its declaration or by its name."""
    claims = fleet.claims("container").get((environment.machine, container), ())
    owners = [claim.owner for claim in claims if claim.owner != environment.prefix]
    named = owner_of_name(fleet, container)
    return owners[0] if owners else named if named != environment.prefix else ""
