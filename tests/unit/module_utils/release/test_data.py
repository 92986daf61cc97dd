# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data that a new image could not read, or that an older release knows nothing of, is seen before anything changes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.comparison import Comparison
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.data import DataError, refuse_other_data
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service

VOLUME = "aiia_prod_pgdata"
#: What the engine knows of images, by id: their settings.
IMAGES = {
    "sha256:17": ["PATH=/usr/bin", "PG_MAJOR=17"],
    "sha256:17.1": ["PG_MAJOR=17", "ODD"],
    "sha256:18": ["PG_MAJOR=18"],
    "sha256:own": ["PATH=/usr/bin"],
}


class Engine:
    """An engine with these images."""

    def docker(self, _kind: str, _verb: str, *names: str, **_options: Any) -> tuple[int, str, str]:
        return 0, json.dumps([{"Config": {"Env": IMAGES[name]}} for name in names if name in IMAGES]), ""


def refuse(
    image: str, volumes: str = VOLUME, runs: str = "sha256:17", has: str = VOLUME, returning: bool = False
) -> None:
    """Deploy a server of this image with these volumes where one runs that has a volume."""
    server = Service("postgresql", "postgresql", "aiia_prod_postgresql", image="postgres:new")
    container = {"Image": runs, "Mounts": [{"Type": "bind", "Source": "/x"}, {"Type": "volume", "Name": has}]}
    stack = f"volumes: {{data: {{name: {volumes}}}}}\n".encode()
    comparison = SimpleNamespace(
        engine=Engine(),
        services=[server],
        containers=SimpleNamespace(of_service=lambda _service: [container]),
        files=[DesiredFile("docker-compose.prod.yml", stack), DesiredFile(".env", VOLUME.encode())],
        params={"compose_file": "docker-compose.prod.yml", **({"release_files": []} if returning else {})},
    )
    refuse_other_data(cast(Comparison, comparison), {"postgres:new": image} if image else {}, ". Nothing was changed")


def test_another_major_version() -> None:
    """Both versions, the volume, and where the way is described."""
    with pytest.raises(DataError) as error:
        refuse("sha256:18")
    assert "its data of PostgreSQL 17 in the volume aiia_prod_pgdata, and postgres:new is 18" in error.value.message
    assert "docs/backups.md" in error.value.message and error.value.message.endswith("Nothing was changed")


@pytest.mark.parametrize(
    "given",
    [
        {"image": "sha256:17"},
        {"image": "sha256:17.1"},
        {"image": "sha256:18", "volumes": "aiia_prod_pgdata18"},
        {"image": "sha256:own"},
        {"image": ""},
        {"image": "sha256:18", "runs": "sha256:gone"},
        {"image": "sha256:17.1", "returning": True},
    ],
    ids=["same", "a minor one", "a new volume", "it does not say", "not here yet", "the old is gone", "going back"],
)
def test_near_misses(given: dict[str, Any]) -> None:
    """Nothing is said where data stays readable, or where nothing is known."""
    refuse(**given)


def test_going_back_to_other_data() -> None:
    """A release from before an upgrade would serve the data of then."""
    with pytest.raises(DataError, match="in the volume aiia_prod_pgdata18, which that release does not know"):
        refuse("sha256:17", runs="sha256:18", has="aiia_prod_pgdata18", returning=True)
    refuse("sha256:own", runs="sha256:own", has="aiia_prod_cache", returning=True)
