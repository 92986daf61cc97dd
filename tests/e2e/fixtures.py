# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for every directory of tests that needs the engine: its images, and sites of a test's own."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import build
import pytest
from stages.tools import build_archive, copy_collection
from support import Site, remove_project


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """The images of the stack, built where they are missing."""
    build.ensure_images()


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Names of projects that nobody else has; everything that carries one is removed at the end, and with it the state
    directories of the tests: every later deployment on this machine would look into each of them."""
    session = secrets.token_hex(3)
    given: list[str] = []

    def project() -> str:
        given.append(f"e2e{session}x{len(given)}")
        return given[-1]

    yield project
    for option in given:
        remove_project(option)
    for state in tmp_path_factory.getbasetemp().glob("*/*state"):
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, as Galaxy would have it."""
    directory = tmp_path_factory.mktemp("archive")
    return build_archive(copy_collection(directory / "source"), directory)


@pytest.fixture
def site(tmp_path: Path, projects: Callable[[], str]) -> Iterator[Site]:
    """An inventory without environments yet."""
    made = Site(tmp_path, projects())
    yield made
    remove_project(made.project)
