# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be watched of environments beside the machine's observation: backups, schedules, certificates. Runs on the
targets, and changes nothing."""

from __future__ import annotations

from typing import Any

from ..backup.job import BACKUP, CERTIFICATES
from ..backup.manifest import complete_backups
from ..backup.schedule import Schedule
from ..backup.sources import backup_directory
from ..certificates.pem import dates
from ..certificates.store import Store
from ..core.errors import Failure
from ..docker.engine import Engine
from ..probe.prober import Prober
from ..state.metrics import Metrics

#: What is told of a backup.
_TOLD = ("name", "created", "trigger", "release")


def watched(
    engine: Engine, environments: list[dict[str, Any]], state: str, timeout: float
) -> dict[str, dict[str, Any]]:
    """By prefix: the newest ``backup``, how the last runs on ``schedule`` ended, the ``certificate``, and
    whether it has ``metrics``.

    Each environment has its ``prefix``, the directory of its ``backups`` (empty: the usual one) and the ``request`` for
    its own domain, if it has one. The engine is not called.
    """
    asked = [dict(own["request"], prefix=own["prefix"]) for own in environments if own.get("request")]
    met = {given["prefix"]: given for given in Prober(engine, timeout).requests(asked)}
    return {
        environment["prefix"]: {
            **_backup(environment["prefix"], environment.get("backups") or "", state),
            "schedule": {
                job.name: Schedule(engine, environment["prefix"], state, job).last() for job in (BACKUP, CERTIFICATES)
            },
            "metrics": Metrics(environment["prefix"], state).exists,
            "certificate": _certificate(environment["prefix"], state, met.get(environment["prefix"], {})),
        }
        for environment in environments
    }


def _backup(prefix: str, directory: str, state: str) -> dict[str, Any]:
    place = {"directory": directory, "state_directory": state, "prefix": prefix}
    try:
        found = complete_backups(backup_directory(place), prefix)
    except (Failure, OSError) as error:
        return {"backup": {}, "unread": "its backups cannot be read: %s" % error}
    return {"backup": {key: found[-1].get(key) for key in _TOLD} if found else {}, "unread": ""}


def _certificate(prefix: str, state: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The dates of the certificate with which the environment answered, else of the one that it keeps."""
    text = answer.get("certificate") or ""
    if not text:
        try:
            text = Store(prefix, state).current().decode("ascii", "replace")
        except Failure:
            return {}
    return dates(text) if text else {}
