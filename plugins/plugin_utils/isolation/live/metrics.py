# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of an environment for node_exporter; module_utils/state/metrics.py writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Environment
from .health import unwell
from .registered import services_of
from .status import Status, moment


def deployment_metrics(
    environment: Environment, answer: Mapping[str, Any], receipt: Mapping[str, Any], release: Mapping[str, str]
) -> dict[str, Any]:
    """What a verified deployment knows: after it, nothing differs from it."""
    unhealthy = list(unwell(environment, answer["observation"], services_of(environment)))
    ends = [
        given["certificate"]["until"]
        for given in answer.get("answers", ())
        if given.get("kind") == "own" and "until" in (given.get("certificate") or {})
    ]
    return {
        "project": environment.project,
        "environment": environment.name,
        **{name: str(release.get(name) or "") for name in ("release", "commit")},
        "bulkhead_release_timestamp_seconds": _epoch(receipt["finished"]),
        "bulkhead_healthy": int(not unhealthy),
        "bulkhead_drift": 0,
        "bulkhead_observed_timestamp_seconds": _epoch(receipt["finished"]),
        **({"bulkhead_certificate_expiry_timestamp_seconds": min(ends)} if ends else {}),
    }


def status_metrics(found: Status, watched: Mapping[str, Any], now: str) -> dict[str, float]:
    """What a look at the machine knows; ``now`` is the engine's time. The rest stays as the last deployment said it."""
    until = (watched.get("certificate") or {}).get("until")
    known = {
        "bulkhead_healthy": None if found.healthy is None else int(found.healthy),
        "bulkhead_drift": found.drift,
        "bulkhead_observed_timestamp_seconds": _epoch(now),
        "bulkhead_backup_timestamp_seconds": _epoch(found.backup or ""),
        "bulkhead_certificate_expiry_timestamp_seconds": until,
    }
    return {name: value for name, value in known.items() if value is not None}


def _epoch(text: str) -> int | None:
    """A time in whole seconds since 1970; None if it is not one."""
    found = moment(text)
    return int(found.timestamp()) if found else None
