# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an application gets and what is expected of it: as docs/application.md says, and otherwise by variables."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from unit.fleets import declared, problems, read
from unit.plugin_utils.release.contract_page import PAGE, with_tables


def rendered(directory: Path, **variables: Any) -> tuple[Declaration, Release]:
    """An environment of the default stack with these variables."""
    declaration = declared(directory, **variables)
    release = Renderer(read(directory / "inventory").loader).render(declaration)
    assert isinstance(release, Release)
    return declaration, release


def locations(release: Release) -> dict[str, str]:
    """The directory of each location of nginx that has one."""
    lines = release.file("docker/nginx/prod.conf").content.splitlines()
    return {
        line.split()[1]: following.split()[1].rstrip(";")
        for line, following in pairwise(lines)
        if line.strip().startswith("location /") and following.strip().startswith("alias")
    }


def settings(release: Release) -> dict[str, str]:
    return {line.key: line.value for line in release.settings}


def test_the_page_says_what_the_code_does() -> None:
    """If it does not: python tests/unit/plugin_utils/release/contract_page.py"""
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_the_usual_directories(tmp_path: Path) -> None:
    """One volume: written by the application, read by nginx, and its uploads are backed up."""
    _declaration, release = rendered(tmp_path)
    services = release.stack.compose["services"]
    assert services["django_prod"]["volumes"] == ["storage:/srv/storage"]
    assert "storage:/srv/storage:ro" in services["nginx"]["volumes"]
    assert "user" not in services["django_prod"]
    assert locations(release) == {"/static/": "/srv/storage/static/", "/media/": "/srv/storage/media/"}
    [django] = [service for service in release.stack.services if service.name == "django"]
    assert [part["path"] for part in django.backup] == ["/srv/storage/media"]


def test_directories_of_an_application(tmp_path: Path) -> None:
    """nginx finds the same files, wherever the application has the volume; a worker has the user too."""
    declaration, release = rendered(
        tmp_path,
        bulkhead_storage_path="/app/data",
        bulkhead_media_root="/app/data/public/uploads",
        bulkhead_app_user="1000:1000",
        bulkhead_services={"worker": {"command": ["work"]}, "other": {"image": "other:1"}},
    )
    assert problems(declaration) == []
    services = release.stack.compose["services"]
    assert services["django_prod"]["volumes"] == ["storage:/app/data"]
    assert locations(release) == {"/static/": "/srv/storage/static/", "/media/": "/srv/storage/public/uploads/"}
    assert settings(release)["STATIC_ROOT"] == "/app/data/static"
    assert settings(release)["MEDIA_ROOT"] == "/app/data/public/uploads"
    assert (services["django_prod"]["user"], services["worker"]["user"]) == ("1000:1000", "1000:1000")
    assert "user" not in services["other"]


def test_an_application_that_serves_its_files_itself(tmp_path: Path) -> None:
    """nginx passes these requests on, and the whole volume is backed up."""
    declaration, release = rendered(tmp_path, bulkhead_static_root="", bulkhead_media_root="")
    assert problems(declaration) == [] and locations(release) == {}
    assert not {"STATIC_ROOT", "MEDIA_ROOT"} & settings(release).keys()
    [django] = [service for service in release.stack.services if service.name == "django"]
    assert [part["path"] for part in django.backup] == ["/srv/storage"]


@pytest.mark.parametrize(
    ("root", "refused"),
    [("/srv/storages/media", True), ("/app/media", True), ("/srv/storage", False), ("/srv/storage/a/b", False)],
)
def test_a_directory_beside_the_volume(tmp_path: Path, root: str, refused: bool) -> None:
    declaration = declared(tmp_path, bulkhead_media_root=root)
    assert problems(declaration) == [("invalid-variable", "bulkhead_media_root")] * refused
    if refused:
        assert f"is {root}, which is not on the volume at /srv/storage" in declaration.problems[0].message
