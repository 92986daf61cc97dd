# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receipts and registry entries: the records that a run leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ...module_utils.core.timestamps import seconds
from ..isolation.live.drift import deployed_containers, deployed_guard
from ..isolation.live.receipt import BystanderComparison
from .session import Session, holder, now


def receipt(
    session: Session,
    compared: BystanderComparison,
    *,
    changed: Sequence[Mapping[str, Any]],
    proved: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Build a receipt: what all of them have, and ``more`` of its own kind."""
    return {
        "prefix": session.prefix,
        "began": session.began,
        "finished": now(),
        "by": holder(),
        "permissions": dict(session.permissions),
        "proved": dict(proved),
        "changed": list(changed),
        "bystanders": list(compared.bystanders),
        "bystander_containers": compared.containers,
        "bystander_changes": list(compared.changes),
        "notes": [*map(str, session.notes), *compared.notes],
        **more,
    }


def outcome(step: str, *errors: str) -> dict[str, Any]:
    """How a run ended: with an error it failed in ``step``, as its exit code says too. Empty errors do not count."""
    error = ". ".join(filter(None, errors))
    return {"outcome": "failed", "step": step, "error": error} if error else {"outcome": "done"}


def registry_entry(
    base: Mapping[str, Any],
    receipt: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    directory: str,
) -> dict[str, Any]:
    """Build a registry entry: the environment's identity and claims (``base``), and its state now."""
    return {
        **base,
        "machine_id": after["machine"],
        "engine_id": after["engine"]["id"],
        "deployed": receipt["finished"],
        "by": receipt["by"],
        "files": after["files"].get(directory, {}),
        "key": after["key"],
        "containers": _containers(receipt["prefix"], before, after),
        "guard": deployed_guard(receipt["prefix"], after),
    }


def _containers(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The containers, each with the time of its first verification with its present image (``verified``).

    A later deployment that leaves a container unchanged keeps that time.
    """
    known = (before["registry"].get(prefix) or {}).get("containers") or {}
    started = {container["name"]: container["started"] for container in after["containers"]}
    found = {}
    for name, container in deployed_containers(prefix, after).items():
        was = known.get(name) or {}
        verified = str(was.get("verified") or "")
        stays = was.get("image") == container["image"] and verified and seconds(verified) >= seconds(started[name])
        found[name] = {**container, "verified": verified if stays else after["engine"]["time"]}
    return found


def write_receipt(path: str, receipt: Mapping[str, Any]) -> None:
    """Keep the receipt on the controller as well, unless ``path`` is empty."""
    try:
        if path:
            Path(path).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnsibleActionFail(f"cannot write the receipt to {path} (bulkhead_receipt): {error.strerror}") from error
