# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets: no two environments share a value that authenticates. Values are never shown."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from ..facts.servers import fleet_uses
from ..model import Environment, Fleet, Severity, Where
from ..readers import fingerprints
from ..readers.fingerprints import RECORD, Secret, recorded, salt_of, sealed_of, secrets_of
from ..wording import listing
from . import Hit, Judgement, rule


@rule("shared-signing-key", "SE-01", "SE-02", severity=Severity.CRITICAL)
def shared_signing_key(fleet: Fleet) -> Judgement:
    """Two environments sign with one key, or one of them still accepts the other's."""
    yield from _shared(
        fleet,
        fingerprints.SIGNING,
        "Sessions, password reset links and tokens that one makes are valid in the other",
        "Give each environment its own key, and keep only its own old keys in SECRET_KEY_FALLBACKS",
    )


@rule("shared-jwt-key", "SE-03", severity=Severity.HIGH)
def shared_jwt_key(fleet: Fleet) -> Judgement:
    """Two environments sign their tokens with one key."""
    yield from _shared(
        fleet,
        fingerprints.JWT,
        "A token that one issues is valid in the other",
        "Give each environment its own signing key, issuer and audience",
    )


@rule("shared-encryption-key", "SE-13", severity=Severity.HIGH)
def shared_encryption_key(fleet: Fleet) -> Judgement:
    """Two environments encrypt stored data with one key."""
    yield from _shared(
        fleet,
        fingerprints.ENCRYPTION,
        "Each can decrypt what the other stored, also from a dump",
        "Give each environment its own key, and encrypt again what is restored from the other",
    )


@rule("shared-database-password", "DB-05", severity=Severity.HIGH)
def shared_database_password(fleet: Fleet) -> Judgement:
    """Two environments log in to their databases with one password."""
    yield from _shared(
        fleet,
        fingerprints.DATABASE,
        "When a name, a network or a port leads one to the other's server by mistake, the login succeeds and it "
        "writes there",
        "Give each environment's database role its own password",
    )


@rule("shared-secret", "SE-04", severity=Severity.HIGH)
def shared_secret(fleet: Fleet) -> Judgement:
    """Two environments have a password, token or key in common."""
    yield from _shared(
        fleet,
        fingerprints.OTHER,
        "Whoever has the secrets of one also has the other's access, and neither can be locked out alone",
        "Issue a separate one to each environment, or waive the sharing with a reason",
    )
    yield from _of_engine(fleet)


@rule("shared-fingerprint", "SE-04", severity=Severity.HIGH)
def shared_fingerprint(fleet: Fleet) -> Judgement:
    """Two environments have one secret, as the fingerprints say that each committed."""
    having: dict[str, list[tuple[str, str]]] = {}
    for environment in fleet.environments:
        for name, digest in recorded(environment.variables.get(RECORD)).items():
            having.setdefault(digest, []).append((environment.prefix, name))
    shown = {
        frozenset((secret.owner, secret.key) for secret in group)
        for groups in fleet.derived(shared_values).values()
        for group in groups
    }
    for found in having.values():
        owners = tuple(dict.fromkeys(owner for owner, _name in found))
        # What the values themselves showed is told by the rule for their use.
        if len(owners) == 1 or any(group.issuperset(found) for group in shown):
            continue
        named = listing(f"{name} of {owner}" for owner, name in found)
        worst = min((fingerprints.use_of(name) or fingerprints.OTHER for _owner, name in found), key=_GRAVITY)
        yield Hit(
            owners,
            listing(dict.fromkeys(name for _owner, name in found)),
            f"{named} have the same value, as their fingerprints show. Whoever has the secrets of one also has the "
            "other's access.",
            f"Give each environment one of its own: ansible-playbook aiia.bulkhead.secrets -l <group of {owners[-1]}> "
            f"-e bulkhead_secret=rotate -e bulkhead_secret_name={found[-1][1]}",
            tuple(fleet.by_prefix[owner].origin(RECORD) for owner in owners),
            severity=Severity.CRITICAL if worst == fingerprints.SIGNING else None,
        )


_GRAVITY = fingerprints.CLASSES.index


def _of_engine(fleet: Fleet) -> Iterator[Hit]:
    """Yield secrets that an engine has once and several environments use."""
    found: dict[tuple[str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        for project in environment.compose:
            used = {
                str(entry.get("source"))
                for service in project.services.values()
                for entry in service.get("secrets") or ()
                if isinstance(entry, Mapping)
            }
            for key, secret in project.secrets.items():
                if (secret or {}).get("external") and key in used:
                    name = str((secret or {}).get("name") or key)
                    place = project.where("secrets", key)
                    found.setdefault((environment.machine, name), {}).setdefault(environment.prefix, place)
    for (machine, name), places in found.items():
        if len(places) > 1:
            yield Hit(
                tuple(places),
                f"secret {name} of {machine}",
                f"{listing(places)} use the external secret {name}, of which the engine has only one: all of them "
                "get the same value, and with it the same database, account or key.",
                f"Create one for each, and name it in the Compose file: 'name: {list(places)[-1]}_{name}' beside "
                "'external: true'.",
                tuple(places.values()),
                machine,
                severity=Severity.CRITICAL,
            )


#: The rule that judges two environments with one value, by what the value is for.
RULE_OF_USE = {
    fingerprints.SIGNING: "shared-signing-key",
    fingerprints.JWT: "shared-jwt-key",
    fingerprints.ENCRYPTION: "shared-encryption-key",
    fingerprints.DATABASE: "shared-database-password",
    fingerprints.MAIL: "shared-mail-account",
    fingerprints.OTHER: "shared-secret",
}


def named_secrets(environment: Environment) -> Mapping[str, str]:
    """The use of each readable secret of an environment, by the secret's name."""
    uses = fleet_uses(Fleet((environment,)))[environment.prefix]
    return {secret.key: secret.use for secret in secrets_of(environment, uses)}


def rule_of(own: str, theirs: str) -> str:
    """The rule for a secret with the use ``own`` that another environment has under the name ``theirs``; empty if that
    is not a secret's name."""
    use = fingerprints.use_of(theirs)
    return RULE_OF_USE[min(own, use, key=fingerprints.CLASSES.index)] if use else ""


def open_checks(fleet: Fleet) -> list[str]:
    """What could not be compared because it is sealed: one sentence for all environments with the same values."""
    having: dict[tuple[str, ...], list[str]] = {}
    for environment in fleet.environments:
        having.setdefault(tuple(_uncompared(environment)), []).append(environment.prefix)
    return _other_salts(fleet) + [
        f"{listing(prefixes)}: {listing(sealed)} {'is' if len(sealed) == 1 else 'are'} sealed here and "
        f"{'was' if len(sealed) == 1 else 'were'} not compared with other environments: keys, passwords and tokens. A "
        "URL that is sealed as a whole does not show whose server it leads to."
        for sealed, prefixes in having.items()
        if sealed
    ]


def _uncompared(environment: Environment) -> Iterator[str]:
    """The names of sealed values that have no fingerprint either."""
    known = recorded(environment.variables.get(RECORD))
    for name in sealed_of(environment):
        if name not in known and not (name == "bulkhead_secrets" and known):
            yield name


def _other_salts(fleet: Fleet) -> list[str]:
    """A sentence where fingerprints were made with several salts, so that not all could be compared."""
    by_salt: dict[str, list[str]] = {}
    for environment in fleet.environments:
        if recorded(environment.variables.get(RECORD)):
            by_salt.setdefault(salt_of(environment.variables.get(RECORD)), []).append(environment.prefix)
    if len(by_salt) < 2:
        return []
    groups = "; ".join(listing(prefixes) for prefixes in by_salt.values())
    return [
        f"fingerprints were made with {len(by_salt)} salts and cannot be compared with each other: {groups}. Remove "
        "fingerprints.yml of all but one group and make them anew (-e bulkhead_secret=fingerprint)."
    ]


def _shared(fleet: Fleet, use: str, effect: str, fix: str) -> Iterator[Hit]:
    for group in fleet.derived(shared_values).get(use, ()):
        owners = tuple(dict.fromkeys(secret.owner for secret in group))
        keys = tuple(dict.fromkeys(secret.key for secret in group))
        if len(keys) == 1:
            sharing = f"{listing(owners)} have the same {keys[0]}"
        else:
            named = listing(f"{secret.key} of {secret.owner}" for secret in group)
            sharing = f"{named} have the same value"
        yield Hit(
            owners,
            listing(keys),
            f"{sharing}. {effect}.",
            f"{fix}.",
            tuple(secret.where for secret in group),
            severity=Severity.LOW
            if any(_by_default(fleet.by_prefix[secret.owner], secret) for secret in group)
            else None,
        )


def _arrives(environment: Environment, secret: Secret) -> bool:
    """Whether a value reaches a container, as far as is known: a ``.env`` that no service has is for interpolation."""
    services = list(environment.services())
    if environment.variables or not services or posixpath.basename(secret.where.file) != ".env":
        return True
    name = secret.where.file.lstrip("./")
    listed = (str(path) for _project, _name, service in services for path in service.get("env_file") or ())
    used = (each.name for project in environment.compose for each in project.interpolations)
    return secret.key in used or any(path.endswith(name) for path in listed)


def _by_default(environment: Environment, secret: Secret) -> bool:
    """Whether a secret is a default of the Compose file that the ``.env`` of the machine, not known here, replaces."""
    return not environment.variables and any(
        used.value is None
        and used.operator.endswith("-")
        and used.where.line == secret.where.line
        and used.where.file == secret.where.file
        for project in environment.compose
        for used in project.interpolations
    )


def shared_values(fleet: Fleet) -> Mapping[str, Sequence[Sequence[Secret]]]:
    """Secrets whose value several environments share, by the worst use of the value."""
    by_value: dict[str, list[Secret]] = {}
    uses = fleet.derived(fleet_uses)
    for environment in fleet.environments:
        for secret in secrets_of(environment, uses[environment.prefix]):
            if not _arrives(environment, secret):
                continue
            by_value.setdefault(secret.fingerprint, []).append(secret)
    found: dict[str, list[Sequence[Secret]]] = {}
    for group in by_value.values():
        if len({secret.owner for secret in group}) > 1:
            gravest = min((secret.use for secret in group), key=fingerprints.CLASSES.index)
            found.setdefault(gravest, []).append(group)
    return found
