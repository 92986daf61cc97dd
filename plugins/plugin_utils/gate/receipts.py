# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receipts and registry entries: what a run leaves in writing."""

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
    """What every receipt says, and ``more`` of its own kind."""
    return {
        "prefix": session.prefix,
        "began": session.began,
        "finished": now(),
        "by": holder(),
        "proved": dict(proved),
        "changed": list(changed),
        "bystanders": list(compared.bystanders),
        "bystander_containers": compared.containers,
        "bystander_changes": list(compared.changes),
        "notes": [*map(str, session.notes), *compared.notes],
        **more,
    }


def outcome(step: str, *errors: str) -> dict[str, Any]:
    """How a run ended, as its exit code says it too: with an error it failed, in a step. Empty errors are none."""
    error = ". ".join(filter(None, errors))
    return {"outcome": "failed", "step": step, "error": error} if error else {"outcome": "done"}


def registry_entry(
    base: Mapping[str, Any],
    receipt: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    directory: str,
) -> dict[str, Any]:
    """What the machine registers of an environment: who it is (``base``), and how it is now."""
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
    """The containers, each with when it was first seen to be right with the image that it has (``verified``). A later
    deployment that leaves a container as it was does not begin its time anew."""
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
    """Keep the receipt on the controller as well, if that is asked for."""
    try:
        if path:
            Path(path).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnsibleActionFail(f"the receipt cannot be kept in {path} (bulkhead_receipt): {error.strerror}") from error
