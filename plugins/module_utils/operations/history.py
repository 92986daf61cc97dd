# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of environments over time: kept releases, receipts and backups. Runs on the targets, and changes nothing.

What a receipt says of an error stays here, because it may quote what a program printed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backup.manifest import complete_backups
from ..backup.sources import backup_directory
from ..core.errors import Failure
from ..release.store import Releases
from ..state.home import Home
from ..state.registry import Registry, state_directory

#: The newest of each kind that are returned, and the most letters of each text.
_MOST, _LETTERS = 60, 200

#: What is told of each.
_RELEASE = ("release", "commit")
_RECEIPT = ("began", "finished", "by", "what", "outcome", "step", "commit", "release")
_BACKUP = ("name", "created", "trigger", "release")
_ABOUT = ("subject", "author", "by")


def history(environments: list[dict[str, Any]], state: str) -> dict[str, dict[str, Any]]:
    """By prefix: the kept ``releases``, the ``receipts`` and the complete ``backups``, each the oldest first, and by
    kind why one could not be read (``unread``).

    Each environment has its ``prefix`` and the directory of its ``backups`` (empty: the usual one).
    """
    return {own["prefix"]: _of(own["prefix"], own.get("backups") or "", state) for own in environments}


def _of(prefix: str, backups: str, state: str) -> dict[str, Any]:
    found: dict[str, Any] = {"unread": {}}
    looks: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "releases": lambda: _releases(prefix, state),
        "receipts": lambda: [_receipt(receipt) for receipt in Registry(state_directory(state)).receipts(prefix)],
        "backups": lambda: _backups(prefix, backups, state),
    }
    for kind, look in looks.items():
        try:
            found[kind] = look()[-_MOST:]
        except (Failure, OSError) as error:
            found[kind], found["unread"][kind] = [], _short(error)
        except Exception as error:  # damaged in a way that nobody thought of: the others are still told
            found[kind], found["unread"][kind] = [], type(error).__name__
    return found


def _releases(prefix: str, state: str) -> list[dict[str, Any]]:
    # What is kept of releases lies in the state directory: the environment's own is not read.
    releases = Releases(Home("/", prefix, state))
    found = []
    for name in releases.kept():
        manifest = releases.manifest(name)
        about = manifest.get("about") or {}
        found.append({**_told(manifest, _RELEASE), **_told(about, _ABOUT)})
    return found


def _receipt(receipt: dict[str, Any]) -> dict[str, Any]:
    steps = [step for step in receipt.get("changed") or () if isinstance(step, dict)]
    return {
        **_told(receipt, _RECEIPT),
        "changed": len(receipt.get("changed") or ()),
        "bystanders": len(receipt.get("bystander_changes") or ()),
        "gaps": [
            {"target": _short(step.get("target")), "seconds": float(step["seconds"])}
            for step in steps
            if isinstance(step.get("seconds"), (int, float))
        ][:_MOST],
    }


def _backups(prefix: str, directory: str, state: str) -> list[dict[str, Any]]:
    place = {"directory": directory, "state_directory": state, "prefix": prefix}
    return [
        dict(_told(manifest, _BACKUP), bytes=sum(part["bytes"] for part in manifest["parts"]))
        for manifest in complete_backups(backup_directory(place), prefix)
    ]


def _told(known: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    return {name: _short(known[name]) for name in names if known.get(name)}


def _short(text: object) -> str:
    return str(text)[:_LETTERS]
