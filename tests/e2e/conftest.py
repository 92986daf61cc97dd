# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the end-to-end tests share: the fixtures of the engine, and the guide's two environments, deployed once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "images", HERE.parent / "app"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from fixtures import archive, images, projects, site  # noqa: E402
from guide_stack import Guide, deploy_guide  # noqa: E402
from support import IMAGE, Site, docker, remove_project  # noqa: E402

__all__ = ("archive", "images", "projects", "site")


@pytest.fixture
def shell_less(projects: Callable[[], str]) -> Iterator[str]:
    """An image that has a Python and no shell."""
    name = f"{projects()}:shell-less"
    shells = "[os.unlink(path) for path in ('/bin/bash', '/bin/rbash', '/bin/sh', '/bin/dash')]"
    recipe = f'FROM {IMAGE}\nUSER root\nRUN ["python3", "-c", "import os; {shells}"]\n'
    subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=recipe, text=True, check=True)
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Guide:
    """Production and staging of the guide, deployed one after the other."""
    began = time.monotonic()
    deployed = deploy_guide(Site(tmp_path_factory.mktemp("guide"), projects()))
    print(f"\nboth environments of the guide are up after {time.monotonic() - began:.0f} s", flush=True)
    return deployed


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """With the last of its tests the guide goes: ten health checks all the while are the next tests' processor time."""
    users = [item for item in item.session.items if "guide" in getattr(item, "fixturenames", ())]
    deployed = getattr(item, "funcargs", {}).get("guide")
    if isinstance(deployed, Guide) and item is users[-1]:
        remove_project(deployed.site.project)
