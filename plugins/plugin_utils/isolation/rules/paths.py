# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's paths: mounts in others' directories, paths that several environments write, and mounts of everything.

Paths are compared by component. A path inside an environment's directory belongs to it; one outside all directories is
compared with the others' mounts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from ..facts.domains import MOST
from ..facts.ownership import ancestors, directories, foreign_owner_of_path, owners_of_path
from ..facts.storage_contents import contents, uses
from ..model import Claim, Environment, Fleet, Severity
from ..wording import listing
from . import Hit, Judgement, owners, places, rule, worded

#: Kinds of path claims that read or write content. The Compose file rules judge env_file, the image rules build
#: contexts, and another rule directories.
MOUNTS = frozenset({"bind", "device", "config", "backup", "metrics"})

#: System directories that contain something of every environment.
EVERYBODYS = frozenset(
    {"/", "/home", "/root", "/var", "/var/lib", "/etc", "/usr", "/opt", "/srv", "/mnt", "/run", "/var/run", "/dev",
     "/proc", "/sys", "/var/lib/docker", "/var/lib/containerd", "/var/log"}
)  # fmt: skip

#: Files that are the same for all containers, with or without ':ro'.
_COMMON = (
    ("/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo", "/etc/ssl/certs", "/etc/hosts", "/etc/resolv.conf",
     "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/machine-id", "/lib/modules")
)  # fmt: skip


@rule("nested-directories", "VP-05", severity=Severity.CRITICAL)
def nested_directories(fleet: Fleet) -> Judgement:
    """The directory of an environment is, or lies in, another's."""
    for (machine, path), here in directories(fleet).items():
        above = owners_of_path(fleet, machine, posixpath.dirname(path)) if path != "/" else []
        if len({*here, *above}) < 2:
            continue  # of two with one prefix, prefix-of-prefix says all that is to be said
        what = (
            f"{path} on {machine} is" if len(here) > 1 else f"The directory of {here[0]}, {path} on {machine}, lies in"
        )
        yield Hit(
            (*here, *above),
            path,
            f"{what} the directory of {listing(here if len(here) > 1 else above)}: deploying one can replace the "
            f"Compose file, .env and code of {listing((*here, *above))}.",
            f"Give each environment its own directory{worded(fleet, here, ' (bulkhead_directory)', '')}, with no "
            "other's inside it.",
            tuple(fleet.by_prefix[prefix].origin("bulkhead_directory") for prefix in (*here, *above)),
            machine,
        )


@rule("foreign-path", "VP-05", "VP-17", severity=Severity.CRITICAL)
def foreign_path(fleet: Fleet) -> Judgement:
    """An environment mounts or reads a path inside another environment's directory."""
    for machine, path, claims in fleet.derived(mounted):
        for claim in claims:
            owner = foreign_owner_of_path(fleet, fleet.by_prefix[claim.owner], path)
            if not owner:
                continue
            secret = claim.attributes.get("kind") == "config"
            does = "gives its containers the secret or config" if secret else _uses(claim)
            yield Hit(
                (claim.owner, owner),
                path,
                f"{claim.owner} {does} {path}, which lies in the directory of {owner}: it reads what belongs to "
                f"{owner}" + (", and can write it." if not claim.attributes.get("read_only") else "."),
                f"Use a path inside {fleet.by_prefix[claim.owner].directory or 'its own directory'}.",
                (claim.where,),
                machine,
                severity=Severity.HIGH if secret else None,
                hazards=("VP-17",) if secret else ("VP-05",),
            )


@rule("broad-mount", "VP-14", "VP-05", severity=Severity.HIGH, of_machine=True)
def broad_mount(fleet: Fleet) -> Judgement:
    """A mount contains other environments' directories, or what Docker keeps for everybody."""
    holds = fleet.derived(_holders)
    for machine, path, claims in fleet.derived(mounted):
        for claim in claims:
            held = (prefix for prefix in holds.get((machine, path), ()) if prefix != claim.owner)
            others = list(islice(held, MOST))
            if not (others or path in EVERYBODYS or path.startswith(("/var/lib/docker/", "/var/lib/containerd/"))):
                continue
            if claim.owner in owners_of_path(fleet, machine, path):
                continue
            harmless = path in ("/proc", "/sys", "/dev", "/var/log") and claim.attributes.get("read_only")
            inside = f"the directories and .env files of {listing(others)}" if others else "every environment's data"
            yield Hit(
                (claim.owner, *others),
                path,
                f"{claim.owner} {_uses(claim)} {path} of {machine}, and with it {inside}.",
                "Mount only what the service needs, from inside the environment's own directory. Run an agent that "
                "watches the whole machine from a project that belongs to no environment.",
                (claim.where,),
                machine,
                severity=Severity.LOW if harmless else None,
            )


@rule(
    "shared-path",
    *("VP-04", "VP-05", "VP-08", "VP-09", "VP-10", "VP-11", "VP-12", "VP-13", "OP-03"),
    severity=Severity.CRITICAL,
)
def shared_path(fleet: Fleet) -> Judgement:
    """Two environments mount one path of a machine, or one inside the other's, and at least one of them writes."""
    for machine, path, claims in overlapping(fleet):
        if any(claim.attributes.get("kind") == "backup" for claim in claims):
            yield _shared_backups(fleet, machine, path, claims)
            continue
        base = "VP-04" if any(claim.attributes.get("kind") == "device" for claim in claims) else "VP-05"
        mounts = [use for claim in claims[:4] for use in uses(fleet.by_prefix[claim.owner], claim.key)]
        place = contents(path, mounts, base)
        nested = sorted({str(claim.key) for claim in claims} - {path})
        also = f" (and {listing(nested)} inside it)" if nested else ""
        yield Hit(
            owners(claims),
            path,
            f"{listing(owners(claims))} mount {path}{also} on {machine}: {place.what}",
            "Give each environment its own path inside its directory, or a volume that begins with its prefix. Mount "
            "what both only read with ':ro'.",
            places(claims),
            machine,
            severity=place.severity,
            hazards=place.hazards,
        )


@rule("shared-read-file", "WB-14", severity=Severity.HIGH)
def shared_read_file(fleet: Fleet) -> Judgement:
    """Root reads one file of a machine, such as a private key, for two environments."""
    for (machine, path), claims in fleet.claims("path").items():
        reading = [claim for claim in claims if claim.attributes.get("kind") == "read"]
        names = owners(reading)
        if len(names) > 1 and not all(claim.attributes.get("shared") for claim in reading):
            yield Hit(
                names,
                path,
                f"{listing(names)} name the file {path} on {machine}, which root reads for them: whoever can write "
                "the variables of one gets the other's file, such as its private key.",
                "Give each environment its own file. If they share it on purpose, such as a wildcard certificate, "
                f"list it in bulkhead_shared of each: {{kind: path, name: {path}, reason: ...}}.",
                places(reading),
                machine,
            )


def _shared_backups(fleet: Fleet, machine: str, path: str, claims: Sequence[Claim]) -> Hit:
    kept = [claim.owner for claim in claims if claim.attributes.get("kind") == "backup"]
    how = f"{listing(owners(claims))} keep their backups" if len(kept) > 1 else f"{kept[0]} keeps its backups"
    return Hit(
        owners(claims),
        path,
        f"{how} in {path} on {machine}"
        + (": " if len(kept) > 1 else f", which {listing(set(owners(claims)) - set(kept))} can write: ")
        + "each overwrites and deletes the other's files there.",
        worded(
            fleet,
            kept,
            "Give each environment its own directory for backups (bulkhead_backup_directory), such as "
            f"{path}/{{{{ bulkhead_prefix }}}}.",
            f"Give each environment its own directory for backups, such as {path}/{kept[0]}.",
        ),
        places(claims),
        machine,
        hazards=("OP-03",),
    )


@rule("home-path", "VP-06", severity=Severity.HIGH, of_machine=True)
def home_path(fleet: Fleet) -> Judgement:
    """A mount depends on the home directory of whoever types the command."""
    for environment in fleet.environments:
        for project, name, service in environment.services():
            for index, mount in enumerate(service.get("volumes") or ()):
                source = str(mount.get("source") or "") if mount.get("type") == "bind" else ""
                if not (project.interpolations or source.startswith("~") or mount.get("x-home")):
                    continue
                where = project.where("services", name, "volumes", index)
                by_variable = any(
                    used.name == "HOME" and used.where.file == where.file and used.where.line == where.line
                    for used in project.interpolations
                )
                if not (by_variable or source.startswith("~") or mount.get("x-home")):
                    continue
                others = mounting(fleet, environment, source)
                same = f". For the same user, {listing(others)} mounts it too" if others else ""
                yield Hit(
                    (environment.prefix, *others),
                    source,
                    f"{name} of {environment.prefix} mounts {source}, below the home directory of whoever deploys: "
                    f"with sudo that is a different one (/root){same}.",
                    "Write a path inside the environment's directory, such as "
                    f"./{posixpath.basename(source) or 'data'}.",
                    (where,),
                    environment.machine,
                    severity=None if others or environment.variables else Severity.LOW,
                )


def mounting(fleet: Fleet, environment: Environment, source: str) -> list[str]:
    """The other environments of the machine that mount a path as well."""
    claims = fleet.claims("path").get((environment.machine, source), ())
    return [prefix for prefix in owners(claims) if prefix != environment.prefix][:MOST]


def mounted(fleet: Fleet) -> Iterator[tuple[str, str, Sequence[Claim]]]:
    """Mounts by (machine, path), without those that several may share and without the engine's socket."""
    for (machine, key), claims in fleet.claims("path").items():
        kept = [claim for claim in claims if not claim.shareable and claim.attributes.get("kind", "bind") in MOUNTS]
        path = posixpath.normpath(key)
        if kept and path.startswith("/") and not path.endswith("/docker.sock"):
            yield machine, path, kept


def overlapping(fleet: Fleet) -> Iterator[tuple[str, str, Sequence[Claim]]]:
    """Yield paths outside all directories that several environments mount: (machine, outermost path, claims).

    Sorted by component, everything inside a path directly follows it, so one pass with a stack of open paths suffices.
    """
    holds = fleet.derived(_holders)
    machines: dict[str, list[tuple[tuple[str, ...], str, Sequence[Claim]]]] = {}
    for machine, path, claims in fleet.derived(mounted):
        if (machine, path) in holds or path in EVERYBODYS or is_common(path) or owners_of_path(fleet, machine, path):
            continue
        machines.setdefault(machine, []).append((tuple(path.split("/")), path, claims))
    for machine, items in machines.items():
        groups: dict[str, list[Claim]] = {}
        open_paths: list[tuple[tuple[str, ...], str]] = []
        for parts, path, claims in sorted(items, key=lambda item: item[0]):
            while open_paths and parts[: len(open_paths[-1][0])] != open_paths[-1][0]:
                open_paths.pop()
            outer = open_paths[0][1] if open_paths else path
            groups.setdefault(outer, []).extend(claims)
            open_paths.append((parts, path))
        for path, claims in groups.items():
            clashing = clash(claims)
            if clashing:
                yield machine, path, clashing


def clash(claims: Sequence[Claim]) -> Sequence[Claim]:
    """The claims that conflict with another environment's: one contains the other, and at least one writes."""
    here: dict[str, list[Claim]] = {}
    below: dict[str, list[Claim]] = {}
    for claim in claims:
        path, *above = ancestors(claim.key)
        witness(here.setdefault(path, []), claim)
        for directory in above:
            witness(below.setdefault(directory, []), claim)
    found: dict[str, Claim] = {}
    for claim in claims:
        path, *above = ancestors(claim.key)
        around = (
            *here[path],
            *below.get(path, ()),
            *(other for directory in above for other in here.get(directory, ())),
        )
        if any(other.owner != claim.owner and (writes(claim) or writes(other)) for other in around):
            found.setdefault(claim.owner, claim)
    return [found[owner] for owner in sorted(found)]


def witness(known: list[Claim], claim: Claim) -> None:
    """Keep a claim unless two owners that write are known already, or any two if this one only reads. That suffices to
    tell for each owner whether another one is there and writes."""
    told = {other.owner for other in known if writes(other) >= writes(claim)}
    if len(told) < 2 and claim.owner not in told:
        known.append(claim)


def _uses(claim: Claim) -> str:
    words = {"backup": "keeps its backups in", "metrics": "has root write"}
    return words.get(str(claim.attributes.get("kind")), "mounts")


def writes(claim: Claim) -> bool:
    """Whether a mount is writable."""
    return not claim.attributes.get("read_only")


def is_common(path: str) -> bool:
    """Whether a path is a device, or a system path that is the same for all."""
    common = path.startswith(_COMMON) and any(above in _COMMON for above in ancestors(path))
    return common or bool(re.match(r"/dev/(?!shm(/|$))", path))


def _holders(fleet: Fleet) -> Mapping[tuple[str, str], list[str]]:
    """The environments whose directory is below a path, by (machine, path)."""
    found: dict[tuple[str, str], list[str]] = {}
    for (machine, path), prefixes in directories(fleet).items():
        for above in ancestors(path):
            if above != path:
                found.setdefault((machine, above), []).extend(prefixes)
    return found
