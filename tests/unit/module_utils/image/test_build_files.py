# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an image need not be built again, and which files a build reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.build_files import inside
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.present import image_is_there
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.record import ImageRecord
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry


class FakeEngine:
    """An engine with one image."""

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        there = args[-1] == "app:1"
        return (0, '[{"Id": "sha256:one"}]', "") if there else (1, "", "Error: No such image: x")

    def image_ids(self, names: list[str]) -> dict[str, str]:
        return {name: name for name in names}

    def check_reachable(self, _errors: str) -> None:
        pass


@pytest.mark.parametrize(
    ("image", "recorded", "in_force", "vouches", "there"),
    [
        ("app:2", "i", True, False, False),
        ("app:1", "i", False, True, True),
        ("app:1", "j", True, False, False),
        ("app:1", "", True, False, True),  # an earlier version deployed it
        ("app:1", "", False, False, False),  # somebody gave it this name
        ("app:1", "", True, True, False),
    ],
)
def test_an_image_that_is_there(
    tmp_path: Path, image: str, recorded: str, in_force: bool, vouches: bool, there: bool
) -> None:
    engine = cast(Any, FakeEngine())
    if recorded:
        ImageRecord(str(tmp_path), "aiia_prod").write(engine, "sha256:one", inputs=recorded)
    if in_force:
        entry = {"prefix": "aiia_prod", "containers": {"web": {"image": "sha256:one"}}}
        Registry(str(tmp_path)).write("aiia_prod", entry, {"finished": "2026-01-01T10:00:00Z"})
    params = {"state_directory": str(tmp_path), "prefix": "aiia_prod", "inputs": "i", "vouches": vouches}
    assert image_is_there(engine, image, params) is there


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A private copy of a commit, beside a neighbour's file."""
    path = tmp_path / "files"
    (path / "app").mkdir(parents=True)
    (path / "app/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "Dockerfile").write_text("of the neighbour")
    return path


def test_files_inside(root: Path) -> None:
    (root / "Dockerfile").symlink_to("app/Dockerfile")
    assert inside(str(root), "app", "Dockerfile", "c" * 40) == (str(root / "app"), str(root / "app/Dockerfile"))


@pytest.mark.parametrize(
    ("name", "leads_to", "words"),
    [
        ("Dockerfile", "../Dockerfile", "Dockerfile is a link to ../Dockerfile.*bulkhead_build_dockerfile"),
        ("Dockerfile", "app", "has no Dockerfile"),
        ("app/.dockerignore", "/etc/passwd", "app/.dockerignore is a link to /etc/passwd"),
        ("app/Dockerfile.dockerignore", "../../Dockerfile", "app/Dockerfile.dockerignore is a link to"),
    ],
)
def test_files_outside(root: Path, name: str, leads_to: str, words: str) -> None:
    (root / name).symlink_to(leads_to)
    dockerfile = name if name == "Dockerfile" else "app/Dockerfile"
    with pytest.raises(EngineError, match=words):
        inside(str(root), "app", dockerfile, "c" * 40)


@pytest.mark.parametrize(
    ("sign", "lines"),
    [
        ("package.json", ["FROM node:22-slim", "RUN npm ci --omit=dev", 'CMD ["node", "server.js"]']),
        ("manage.py", ["FROM python:3.13-slim", 'CMD ["gunicorn", "-b", ":8000", "config.wsgi"]']),
        ("index.php", ["FROM php:8.4-apache", "WORKDIR /var/www/html", 'CMD ["apache2-foreground"]']),
        ("README", ["FROM <image>", "COPY . .", 'CMD ["<command>"]']),
    ],
)
def test_a_minimal_dockerfile_is_shown(tmp_path: Path, sign: str, lines: list[str]) -> None:
    """Of what the repository seems to be. A file that only sounds like one, and a link, are none."""
    (tmp_path / sign).touch()
    (tmp_path / "Dockerfile.dockerignore").touch()
    (tmp_path / "elsewhere").symlink_to("/")
    with pytest.raises(EngineError) as caught:
        inside(str(tmp_path), ".", "Dockerfile", "c" * 40)
    first, *shown = str(caught.value).splitlines()
    assert first == "commit cccccccccccc has no Dockerfile (bulkhead_build_dockerfile). A minimal one, to be committed:"
    assert [line for line in lines if line not in shown] == []


def test_dockerfiles_of_another_name_are_shown(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    for name in ("Dockerfile.prod", "docker/web.Dockerfile", "docker/notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(EngineError, match=r"\. It has Dockerfile\.prod, docker/web\.Dockerfile\Z"):
        inside(str(tmp_path), ".", "Dockerfile", "c" * 40)


@pytest.mark.parametrize("context", ["app/Dockerfile", "none"])
def test_no_directory(root: Path, context: str) -> None:
    with pytest.raises(EngineError, match=f"commit cccccccccccc has no directory {context}"):
        inside(str(root), context, "app/Dockerfile", "c" * 40)
