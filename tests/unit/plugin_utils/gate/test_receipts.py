# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is registered of containers: since when each was seen to be right with its image."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.receipts import registry_entry

EARLIER, NOW = "2026-01-01T10:00:00.1Z", "2026-01-01T14:00:00.2+02:00"


def container(started: str = "2026-01-01T09:00:00Z", image: str = "sha256:one") -> dict[str, Any]:
    """A container of a deployment, as it is observed."""
    kept: dict[str, Any] = {"networks": {}, "mounts": [], "ports": [], "settings": {}, "limits": {}}
    labels = {"io.bulkhead.prefix": "p", "io.bulkhead.input": "i", "com.docker.compose.oneoff": "False"}
    return {"name": "p_web", "id": "c", "image": image, "labels": labels, "started": started, **kept}


def observed(*containers: dict[str, Any], known: dict[str, Any] | None = None) -> dict[str, Any]:
    """A machine with these containers, whose registry knows the environment so."""
    stranger = {**container(""), "name": "other", "labels": {}}
    return {
        "registry": {"p": {"containers": known}} if known is not None else {},
        "containers": [*containers, stranger],
        "engine": {"id": "e", "time": NOW},
        "machine": "m",
        "files": {},
        "key": "k",
    }


@pytest.mark.parametrize(
    ("known", "after", "verified"),
    [
        (None, container(), NOW),
        ({}, container(), NOW),
        ({"p_web": {"image": "sha256:one"}}, container(), NOW),
        ({"p_web": {"image": "sha256:one", "verified": EARLIER}}, container(), EARLIER),
        ({"p_web": {"image": "sha256:one", "verified": EARLIER}}, container("2026-01-01T10:00:00.1Z"), EARLIER),
        ({"p_web": {"image": "sha256:one", "verified": EARLIER}}, container("2026-01-01T10:00:00.2Z"), NOW),
        ({"p_web": {"image": "sha256:two", "verified": EARLIER}}, container(), NOW),
        ({"p_other": {"image": "sha256:one", "verified": EARLIER}}, container(), NOW),
    ],
)
def test_since_when_a_container_is_verified(known: dict[str, Any] | None, after: dict[str, Any], verified: str) -> None:
    """A deployment that leaves it as it was does not begin its time anew; a start or another image does."""
    receipt = {"prefix": "p", "finished": "2026-01-01T12:00:05Z", "by": "me"}
    entry = registry_entry({}, receipt, observed(known=known), observed(after), "/srv/p")
    assert {name: item["verified"] for name, item in entry["containers"].items()} == {"p_web": verified}
