# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a path or volume contains, by the services that mount it, which determines how bad it is to share it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import Environment, Severity
from .service_kinds import command_text, words_of

_DATABASES = frozenset({"postgres", "postgresql", "postgis", "timescaledb", "pgvector", "mysql", "mariadb", "mongo"})
_DATABASE_DIRECTORIES = ("/var/lib/postgresql", "/var/lib/mysql", "/data/db", "/bitnami")
_REDIS = frozenset({"redis", "valkey", "keydb"})
_REDIS_DIRECTORIES = ("/data", "/var/lib/redis", "/var/lib/valkey")
_SOCKETS = re.compile(r"(?:/var)?/(?:run|tmp)(?:/|\Z)")
_SYSTEM = re.compile(r"/(?:etc|tmp|var/(?:log|tmp|backups?)|(?:\w+/)*backups?|opt)(?:/|\Z)")
_SERVED = re.compile(r"(?:\A|[/_.-])(?:static|staticfiles|media|uploads?|assets)(?:[/_.-]|\Z)", re.IGNORECASE)
_STATE = re.compile(
    r"celerybeat|schedule|pidfile|\.pid\b|\.lock\b|multiproc|(?:\A|[/_-])(?:locks?|cache)(?:[/_-]|\Z)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Contents:
    """How bad it is to share a path or volume: the severity, the hazards, and a sentence on what would happen."""

    severity: Severity
    hazards: tuple[str, ...]
    what: str


#: Tried in this order: the first match provides the sentence, each match its hazard.
_KINDS: tuple[tuple[str, Severity, str], ...] = (
    ("VP-08", Severity.CRITICAL, "two database servers on one data directory both start, and each overwrites what the "
     "other wrote."),
    ("VP-09", Severity.CRITICAL, "the Redis that saves last wins, and the other loads its sessions and queues."),
    ("VP-10", Severity.CRITICAL, "the server that starts later takes the other's socket away, and the clients of both "
     "talk to it."),
    ("VP-11", Severity.HIGH, "schedules, pid files, locks and caches of one are taken for the other's."),
    ("VP-12", Severity.HIGH, "collectstatic and deleted uploads of one change what the other serves."),
    ("VP-13", Severity.HIGH, "a container of one can replace the keys, logs and dumps of the other."),
)  # fmt: skip


def contents(place: str, uses: Sequence[tuple[str, Mapping[str, Any], str]], base: str) -> Contents:
    """What sharing ``place`` means. ``uses`` are its mounts: (service, definition, target in the container); ``base``
    is the hazard of any sharing."""
    fits = {
        "VP-08": any(is_database_directory(*use) for use in uses),
        "VP-09": any(at in _REDIS_DIRECTORIES and words_of(name, service) & _REDIS for name, service, at in uses),
        "VP-10": bool(_SOCKETS.match(place)),
        "VP-11": bool(_STATE.search(place)) or any(keeps_state(service, target) for _name, service, target in uses),
        "VP-12": bool(_SERVED.search(place)) or any(_SERVED.search(target) for _name, _service, target in uses),
        "VP-13": bool(_SYSTEM.match(place)),
    }
    kinds = [kind for kind in _KINDS if fits[kind[0]]]
    hazards = (base, *(hazard for hazard, _severity, _words in kinds))
    if not kinds:
        return Contents(Severity.CRITICAL, hazards, "what one writes or deletes there, the other loses.")
    return Contents(max(severity for _hazard, severity, _words in kinds), hazards, kinds[0][2])


def is_database_directory(name: str, service: Mapping[str, Any], target: str) -> bool:
    """Whether a mount contains a database server's data."""
    data = str((service.get("environment") or {}).get("PGDATA") or "")
    return bool(words_of(name, service) & _DATABASES) and (
        target.startswith(_DATABASE_DIRECTORIES) or (bool(data) and (data + "/").startswith(target.rstrip("/") + "/"))
    )


def keeps_state(service: Mapping[str, Any], target: str) -> bool:
    """Whether a service keeps a schedule, pid file, lock or cache below a directory of its container."""
    settings = " ".join(f"{value}" for value in (service.get("environment") or {}).values() if value)
    paths = re.findall(r"(?<![\w.-])/[\w./-]+", f"{command_text(service)} {settings}".replace("=", " "))
    below = target.rstrip("/") + "/"
    return any(f"{path}/".startswith(below) and _STATE.search(path) for path in paths)


def uses(environment: Environment, source: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Yield the mounts of a path, or of a volume by its real name: (service, definition, target)."""
    for project, name, service in environment.services():
        for mount in service.get("volumes") or ():
            key = str(mount.get("source") or "")
            volume = project.volumes.get(key) if mount.get("type") == "volume" else None
            options = (volume or {}).get("driver_opts") or {}
            if source in (key, (volume or {}).get("name"), options.get("device")):
                yield name, service, str(mount.get("target") or "")
