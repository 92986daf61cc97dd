# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names: prefixes that contain each other, containers of the same name, truncated names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from ..facts.ownership import one_project
from ..model import SEAL, Claim, Environment, Fleet, Severity, Where
from ..naming import DNS_LABEL, IDENTIFIER_BYTES
from ..wording import listing
from . import Hit, Judgement, owners, places, rule


def _where_named(environment: Environment) -> Where:
    """Where an environment's prefix was set, or what it is made of."""
    made_of = environment.origins.get("bulkhead_environment")
    return environment.origins.get("bulkhead_prefix") or made_of or environment.origin("bulkhead_prefix")


#: What two environments never have in common.
_IDENTITY = (
    *("bulkhead_environment", "bulkhead_prefix", "bulkhead_directory", "bulkhead_source_branch", "bulkhead_domains"),
    *("bulkhead_http_port", "bulkhead_https_port"),
)


def _told_apart(here: Sequence[Environment]) -> str:
    """What to change in groups with one prefix; nothing for environments that have no variables."""
    first, *others = here
    if not all(environment.variables for environment in here):
        return ""
    alike = [
        name
        for name in _IDENTITY
        if name in first.origins
        and SEAL not in str(first.variables[name])
        and all(first.variables[name] == other.variables[name] for other in others)
    ]
    return (
        f"Give group {others[-1].group} or {first.group} its own {', '.join(alike) or 'bulkhead_prefix'}, and whatever "
        "else names the environment. aiia.bulkhead.new writes a group like another one, with all of that made "
        "different (-e bulkhead_new=… -e bulkhead_like=…)."
    )


@rule("prefix-of-prefix", "NM-01", "NM-02", "NM-10", severity=Severity.CRITICAL)
def prefix_of_prefix(fleet: Fleet) -> Judgement:
    """The prefix of an environment is another's, or another's with more behind it."""
    known: dict[str, list[Environment]] = {}
    for environment in fleet.environments:
        known.setdefault(environment.prefix.casefold(), []).append(environment)
    yield from _spelt_alike(known)
    for prefix, here in known.items():
        if len(here) > 1:
            # Of a copied group everything is equal but its own name.
            names = listing(
                f"group {environment.group}"
                if environment.group
                else environment.name or environment.directory or prefix
                for environment in here
            )
            spelt = dict.fromkeys(environment.prefix for environment in here)
            both = f" ({listing(spelt)})" if len(spelt) > 1 else ""
            yield Hit(
                tuple(environment.prefix for environment in here),
                f"prefix {here[0].prefix}",
                f"{len(here)} environments have the prefix {here[0].prefix} ({names}): every container, volume and "
                f"network of one is the other's{both}.",
                _told_apart(here) or "Give each environment its own prefix.",
                tuple(_where_named(environment) for environment in here),
                here[0].machine,
            )
        for shorter in (prefix[:end] for end, letter in enumerate(prefix) if letter in "_-" and prefix[:end] in known):
            short, long = known[shorter][0], here[0]
            rest = long.prefix[len(shorter) + 1 :]
            yield Hit(
                (short.prefix, long.prefix),
                f"prefix {short.prefix}",
                f"{short.prefix} is the beginning of {long.prefix}: a search for names that begin with "
                f"'{short.prefix}_' also finds those of {long.prefix}, and a service '{rest}_db' of {short.prefix} "
                f"has the same name as a service 'db' of {long.prefix}.",
                f"Choose prefixes that do not begin with one another, such as {short.prefix} and "
                f"{short.prefix.rpartition('_')[0] or short.prefix}_{rest.replace('-', '_').replace('_', '')}.",
                (short.origin("bulkhead_prefix"), long.origin("bulkhead_prefix")),
                short.machine if short.machine == long.machine else "",
            )


def _spelt_alike(known: Mapping[str, Sequence[Environment]]) -> Iterator[Hit]:
    """Yield prefixes that differ in their separators only, as ``aiia_prod`` and ``aiia-prod`` do."""
    spelt: dict[str, list[Environment]] = {}
    for prefix, here in known.items():
        if here[0].variables:
            spelt.setdefault(re.sub("[_-]", "", prefix), []).append(here[0])
    for environments in spelt.values():
        if len(environments) > 1:
            prefixes = tuple(environment.prefix for environment in environments)
            yield Hit(
                prefixes,
                f"prefix {prefixes[0]}",
                f"{listing(prefixes)} are one name in several spellings: buckets, host names and accounts take only "
                "some of them, so such a name does not say whose it is.",
                "Choose prefixes that differ in more than '_' and '-'.",
                tuple(environment.origin("bulkhead_prefix") for environment in environments),
                severity=Severity.HIGH,
            )


@rule("shared-container-name", "NM-02", "NM-03", "CP-23", severity=Severity.MEDIUM)
def shared_container_name(fleet: Fleet) -> Judgement:
    """Two environments want one container name on one machine."""
    for machine, name, claims in fleet.collisions("container"):
        prefixes = owners(claims)
        generated = any(claim.attributes.get("generated") for claim in claims)
        if generated and one_project(fleet, prefixes):
            continue  # it is one container, which shared-project reports
        how = ", which Compose makes from project and service" if generated else ""
        yield Hit(
            prefixes,
            f"container {name}",
            f"{listing(prefixes)} use the same container name on {machine}, {name}{how}: the second fails with a "
            "conflict after its networks and volumes were created, or replaces the first.",
            f"Set 'container_name: {prefixes[-1]}_<service>' in the Compose file of {prefixes[-1]}, or use another "
            "project name.",
            places(claims),
            machine,
        )


@rule("confusable-container-name", "NM-11", severity=Severity.LOW)
def confusable_container_name(fleet: Fleet) -> Judgement:
    """Container names that differ in upper and lower case only: two for Docker, one for DNS."""
    spelt: dict[tuple[str, str], dict[str, Claim]] = {}
    for (machine, name), claims in fleet.claims("container").items():
        spelt.setdefault((machine, name.casefold()), {})[name] = claims[0]
    for (machine, _unused), names in spelt.items():
        if len(owners(names.values())) > 1:
            yield Hit(
                owners(names.values()),
                f"container {listing(names)}",
                f"{listing(owners(names.values()))} call containers on {machine} {listing(names)}: for DNS they are "
                "one name.",
                "Write container names in lower case.",
                places(names.values()),
                machine,
            )


@rule("unsafe-prefix", "NM-05", severity=Severity.MEDIUM)
def unsafe_prefix(fleet: Fleet) -> Judgement:
    """A prefix with characters that mean something else in filters, patterns or host names."""
    for environment in fleet.environments:
        strange = sorted(set(re.sub(r"[a-z0-9_-]", "", environment.prefix)))
        if strange or not environment.prefix[:1].isalpha():
            yield Hit(
                (environment.prefix,),
                f"prefix {environment.prefix}",
                f"The prefix {environment.prefix} "
                f"{f'contains {listing(map(repr, strange))}' if strange else 'does not begin with a letter'}: in "
                "'docker ps --filter name=' and in every pattern it also matches names of other environments.",
                "Use only a-z, 0-9, '_' and '-', and begin with a letter.",
                (environment.origin("bulkhead_prefix"),),
                environment.machine,
            )


@rule("truncated-name", "NM-07", severity=Severity.HIGH)
def truncated_name(fleet: Fleet) -> Judgement:
    """A name is longer than what keeps it: the end is cut off, and with it what tells environments apart."""
    cut: dict[tuple[str, str], dict[str, tuple[str, Where]]] = {}
    for environment in fleet.environments:
        for what, name, limit, where in names_of(environment):
            if len(name.encode()) > limit and SEAL not in name:
                short = name.encode()[:limit].decode(errors="ignore")
                cut.setdefault((what, short), {}).setdefault(environment.prefix, (name, where))
    for (what, short), here in cut.items():
        several = len(here) > 1
        yield Hit(
            tuple(here),
            f"{what} {short}",
            f"The {what}{'s' if several else ''} {listing(name for name, _where in here.values())} of "
            f"{listing(here)} {'are' if several else 'is'} cut to {len(short.encode())} bytes: {short}, "
            + ("the same for all of them." if several else "like every other that begins the same way."),
            "Shorten it, and put what tells the environments apart at the front.",
            tuple(where for _unused, where in here.values()),
            fleet.by_prefix[next(iter(here), "")].machine,
            severity=None if several else Severity.MEDIUM,
        )


@rule("shared-hostname", "NM-11", severity=Severity.LOW)
def shared_hostname(fleet: Fleet) -> Judgement:
    """Containers of two environments call themselves by one host name."""
    for machine, name, claims in fleet.collisions("hostname"):
        yield Hit(
            owners(claims),
            f"host name {name}",
            f"Containers of {listing(owners(claims))} have the same host name, {name}: logs, metrics, error reports "
            "and Celery do not tell them apart.",
            f"Remove 'hostname', or begin it with the prefix: {owners(claims)[-1]}-{name}.",
            places(claims),
            machine,
        )


_DATABASE_NAME = re.compile(r"(?:\w+_)?(?:DB|DATABASE|PGDATABASE)(?:_NAME|_USER)?|POSTGRES_(?:DB|USER)|PGUSER")


@lru_cache(maxsize=1 << 12)  # a fleet repeats its settings
def _names_database(key: str) -> bool:
    return _DATABASE_NAME.fullmatch(key.upper()) is not None


def names_of(environment: Environment) -> Iterator[tuple[str, str, int, Where]]:
    """Yield names that something truncates, and after how many bytes."""
    for setting in environment.settings:
        if setting.text and _names_database(setting.key) and "/" not in setting.text:
            yield "database name", setting.text, IDENTIFIER_BYTES, setting.where
    for claim in environment.claims:
        if claim.namespace in ("database", "database-role"):
            yield "database name", str(claim.attributes.get("name") or claim.key), IDENTIFIER_BYTES, claim.where
    for project, name, service in environment.services():
        for key, value in (("container_name", service.get("container_name")), ("hostname", service.get("hostname"))):
            if value:
                yield "host name", str(value), DNS_LABEL, project.where("services", name, key)
    if environment.variables:
        yield "prefix", environment.prefix, IDENTIFIER_BYTES, environment.origin("bulkhead_prefix")
