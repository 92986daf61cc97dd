# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a node's settings is changed: others' labels stay, ours go when they are declared no more."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm.amend import KEPT_LABELS, amendment

PLAIN = {"Role": "worker", "Availability": "active", "Labels": {}}
OURS: dict[str, Any] = {**PLAIN, "Labels": {"theirs": "1", "disk": "ssd", KEPT_LABELS: "disk"}}


def wanted(**more: Any) -> dict[str, Any]:
    return {"role": "worker", "availability": "active", "labels": {}, **more}


@pytest.mark.parametrize(
    ("spec", "change", "words", "labels"),
    [
        (PLAIN, {}, [], {}),
        ({"Labels": None}, {}, [], {}),
        (PLAIN, {"labels": {"disk": "ssd"}}, ["label disk=ssd"], {"disk": "ssd", KEPT_LABELS: "disk"}),
        (OURS, {"labels": {"disk": "ssd"}}, [], OURS["Labels"]),
        (OURS, {"labels": {"disk": "hdd"}}, ["label disk=hdd"], {**OURS["Labels"], "disk": "hdd"}),
        (OURS, {}, ["without label disk"], {"theirs": "1"}),
        (OURS, {"labels": {"zone": "a"}}, ["without label disk", "label zone=a"],
         {"theirs": "1", "zone": "a", KEPT_LABELS: "zone"}),
        ({**PLAIN, "Labels": {"disk": "ssd"}}, {"labels": {"disk": "ssd"}}, ["the names of its labels"],
         {"disk": "ssd", KEPT_LABELS: "disk"}),
        (PLAIN, {"role": "manager"}, ["role manager"], {}),
        (PLAIN, {"availability": "drain"}, ["availability drain"], {}),
    ],
)  # fmt: skip
def test_amendment(spec: dict[str, Any], change: dict[str, Any], words: list[str], labels: dict[str, str]) -> None:
    asked = wanted(**change)
    following, said = amendment(spec, asked)
    assert (said, following["Labels"]) == (words, labels)
    assert (following["Role"], following["Availability"]) == (asked["role"], asked["availability"])
    assert amendment(following, asked) == (following, [])


def test_nothing_else_of_the_settings_is_lost() -> None:
    assert amendment({**PLAIN, "Name": "n"}, wanted(role="manager"))[0]["Name"] == "n"
