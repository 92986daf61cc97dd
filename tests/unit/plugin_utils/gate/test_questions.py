# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What verification asks an environment's own servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.questions import questions
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.registered import entry_of
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from unit.fleets import PRODUCTION, declarations, problems, read, write

REPORTS = {
    "image": "reports:1",
    "x-bulkhead": {"question": {"kind": "postgresql", "command": ["psql"]}},
}


def rendered(directory: Path, **services: Any) -> tuple[Release, dict[str, Any]]:
    """An environment with more services: its release, and what is registered of it once that is in force."""
    inventory = read(write(directory, {"production": {**PRODUCTION, "bulkhead_services": services}}))
    (declaration,) = declarations(inventory).values()
    release = Renderer(inventory.loader).render(declaration)
    assert release is not None and problems(declaration) == []
    return release, entry_of(build_environment(declaration, release))


def asked(release: Release, entry: Any = None) -> list[str]:
    return [question["container"] for question in questions(release, entry)]


def test_every_server_is_asked(tmp_path: Path) -> None:
    release, entry = rendered(tmp_path, reports=REPORTS)
    assert asked(release, entry) == asked(release)
    assert {"app_prod_reports", "app_prod_postgresql"} <= set(asked(release))
    assert questions(None) == []


def test_what_is_backed_up_is_looked_for_in_every_container(tmp_path: Path) -> None:
    """A worker without the volume loses what it writes there."""
    release, _entry = rendered(tmp_path, worker={"command": ["work"]})
    layers = {one["container"]: one["kept"] for one in questions(release) if one["kind"] == "layer"}
    assert layers == {"app_prod_django": ["/srv/storage/media"], "app_prod_worker": ["/srv/storage/media"]}


def test_a_server_that_the_release_in_force_has_not_is_not_asked(tmp_path: Path) -> None:
    """Such as after a rollback to the time before it came."""
    _release, before = rendered(tmp_path / "before")
    release, _entry = rendered(tmp_path / "now", reports=REPORTS)
    assert set(asked(release)) - set(asked(release, before)) == {"app_prod_reports"}
    assert "app_prod_postgresql" in asked(release, before)


@pytest.mark.parametrize("entry", [None, {}, {"damaged": "its seal is broken"}], ids=["none", "empty", "damaged"])
def test_where_nothing_is_known_everybody_is_asked(tmp_path: Path, entry: Any) -> None:
    release, _entry = rendered(tmp_path, reports=REPORTS)
    assert asked(release, entry) == asked(release) != []
