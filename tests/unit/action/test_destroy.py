# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of a destruction, as it is printed before anything is removed."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiia.bulkhead.plugins.action.destroy import listed
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, as_dicts


def found(*goes: Step, **more: Any) -> dict[str, Any]:
    return {"goes": as_dicts(goes), "stays": [], "left": [], **more}


def test_where_something_is_removed() -> None:
    """An environment of several nodes says on which; one of one machine has nothing to say of it."""
    goes = (
        Step("remove", "app_prod_web", "container"),
        Step("withdraw", "app_prod", "route", detail="on h1"),
        Step("unlabel", "io.bulkhead.door.app_prod", "label", detail="node1"),
    )
    assert listed("app_prod", found(*goes), ()).splitlines() == [
        "app_prod: to be removed:",
        "  container app_prod_web",
        "  route app_prod on h1",
        "  label io.bulkhead.door.app_prod on node1",
    ]


def test_what_was_not_reached() -> None:
    """It is listed even where nothing else is left."""
    shown = listed("app_prod", found(unreached=["h3 (timed out): its registry entry"]), ())
    assert shown.splitlines() == [
        "there is nothing of app_prod to remove",
        "not reached, so this stays until it is destroyed again:",
        "  h3 (timed out): its registry entry",
    ]
