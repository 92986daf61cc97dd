# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where files of a release may lie, and what is read for it: nothing outside of the environment's own directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.copied import read_source
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.paths import path_problem, paths_problem
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from unit.module_utils.deployments import pem

COMPOSE = "docker-compose.prod.yml"


@pytest.mark.parametrize(
    "path", ["docker/nginx/prod.conf", ".bulkhead/private/nginx/key.pem", "picky/word", ".env.d/x", "codes/x", "a"]
)
def test_paths(path: str) -> None:
    assert path_problem(path, COMPOSE) == ""


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "/etc/shadow", "../../prod/app/.env", "a/../../x", "a/..", "a//b", "a/", "a\nb", "a\\b", "a\0b"),
        *(COMPOSE, f"./{COMPOSE}", ".env", "./.env", "docker-compose.override.yml", "compose.yaml", "compose.x.yml"),
        *("code", "code/x", ".bulkhead", ".bulkhead/state.json", ".bulkhead/releases/x/release.json"),
        *(".bulkhead/private", ".bulkhead/traffic/web.next"),
    ],
)
def test_paths_that_are_not_a_services(path: str) -> None:
    assert path_problem(path, COMPOSE)
    assert paths_problem([COMPOSE, ".env", path], COMPOSE)


def test_files_of_one_path() -> None:
    assert paths_problem([COMPOSE, ".env", "a/b", "a/c"], COMPOSE) == ""
    assert "'a/b'" in paths_problem(["a/b", "c", "a/b"], COMPOSE)
    assert "'a'" in paths_problem(["a", "a/b"], COMPOSE)
    assert "'../x.yml'" in paths_problem(["../x.yml"], "../x.yml")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The directory of an environment, beside another one."""
    path = tmp_path / "own"
    (path / "docker").mkdir(parents=True)
    (path / "docker/file").write_text("own")
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod/.env").write_text("PASSWORD=production's")
    return path


# ---- files of the machine ------------------------------------------------------------------------------------------


def sourced(own: Path, path: Path) -> bytes | None:
    return read_source(str(path), Home(str(own), "app_own", str(own.parent / "state")))


def test_what_is_copied(own: Path, tmp_path: Path) -> None:
    archive, live = tmp_path / "archive/own/privkey1.pem", tmp_path / "live/own/privkey.pem"
    for path in (archive, live):
        path.parent.mkdir(parents=True)
    archive.write_text("# issued today\n" + pem("key"))
    live.symlink_to(archive)
    assert sourced(own, live) == archive.read_bytes()
    assert sourced(own, own / "docker/file") == b"own"
    assert sourced(own, tmp_path / "none.pem") is None


@pytest.mark.parametrize("path", ["shadow", "prod/.env", "prod/key.pem", "state/key", "own/.bulkhead/state.json"])
def test_what_is_not_copied(own: Path, tmp_path: Path, path: str) -> None:
    """Directly, by a path that climbs, and by a link in the own directory."""
    entry = {"prefix": "aiia_prod", "directory": str(tmp_path / "prod")}
    Registry(str(tmp_path / "state")).write("aiia_prod", entry, {"finished": "2026-01-01T10:00:00Z"})
    wanted = tmp_path / path
    wanted.parent.mkdir(exist_ok=True)
    wanted.write_text(pem("key") if path.endswith(".pem") else "root:$6$hash:19000:0:99999:7:::\n" + pem("x"))
    (own / "link").symlink_to(wanted)
    for way in (wanted, own / ".." / path, own / "link"):
        with pytest.raises(EngineError, match="is not copied into a release") as caught:
            sourced(own, way)
        assert "hash" not in str(caught.value)
