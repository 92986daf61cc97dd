# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that only some tests need, from the distribution's packages."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

_APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")


def have_programs(**packages: str) -> None:
    """Install the packages of those programs that are missing, where root runs the tests; else skip, and say why."""
    missing = [package for name, package in packages.items() if not shutil.which(name)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ("install", "--yes", "--no-install-recommends", *missing)
        if not _apt(*install) and _apt("update"):
            _apt(*install)
    missing = [name for name in packages if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed, and could not be installed: {', '.join(missing)}")


def _apt(*arguments: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run([*_APT, *arguments], env=environment, capture_output=True, check=False).returncode == 0
