# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode and a deployment read and write below the environment's own directory, whatever the inventory names."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Place, Site, only, web

WORD = "password-of-the-neighbour"


@pytest.fixture
def secret(site: Site) -> Path:
    """A file of another environment on this machine."""
    path = site.directory / "machine/neighbour/.env"
    path.parent.mkdir(parents=True)
    path.write_text(f"PASSWORD={WORD}\n")
    return path


def bringing(site: Site, **file: str) -> Place:
    """An environment with a service that brings a file along."""
    return site.small(services=only(web=web(**{"x-bulkhead": {"files": [file]}})))


@pytest.mark.parametrize("path", ["../neighbour/.env", "code/../../neighbour/.env", "./.env", ".bulkhead/state.json"])
def test_a_file_outside_is_refused_on_paper(site: Site, secret: Path, path: str) -> None:
    """Before anything is read: neither the path nor its content is looked at."""
    run = bringing(site, path=path, content="x").deploy("--check", "--diff")
    assert run.code != 0 and f"names the file {path}" in run.output
    assert WORD not in run.output and "preflight" not in run.ran


def test_a_source_of_others_is_refused_on_paper(site: Site, secret: Path) -> None:
    """A file to copy is one of the environment's own directory."""
    run = bringing(site, path="copied", source=str(secret)).deploy("--check", "--diff")
    assert run.code != 0 and "foreign-file" in run.output and "preflight" not in run.ran
    assert WORD not in run.output


def test_a_link_in_the_directory_is_not_followed(site: Site, secret: Path) -> None:
    """The owner makes a directory a link to the neighbour's: on paper all is well, and nothing of it is shown."""
    place = bringing(site, path="settings/.env", content="x")
    place.directory.mkdir(parents=True)
    (place.directory / "settings").symlink_to(secret.parent)
    assert WORD in (place.directory / "settings/.env").read_text()  # the control: whoever follows the link reads it
    run = place.deploy("--check", "--diff")
    assert run.code != 0 and "outside the environment's own directory" in run.error
    assert WORD not in run.output


@pytest.mark.parametrize("name", ["neighbour/.env", "shadow"])
def test_only_keys_are_copied_from_the_machine(site: Site, secret: Path, name: str) -> None:
    """A link in the own directory, and a variable that names any file: neither is copied or shown."""
    wanted = site.directory / "machine" / name
    wanted.write_text(f"root:{WORD}:19000:0:99999:7:::\n")
    place = bringing(site, path="copied", source=str(site.directory / "machine/test/link"))
    place.directory.mkdir(parents=True)
    (place.directory / "link").symlink_to(wanted)
    run = place.deploy("--check", "--diff")
    assert run.code != 0 and "is not copied into a release" in run.error
    assert WORD not in run.output and not (place.directory / "copied").exists()
