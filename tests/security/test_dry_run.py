# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A version of Compose whose dry run replaces containers for real."""

from __future__ import annotations

import shutil
from pathlib import Path

from observe import say
from other_versions import altered_version
from support import Site

_WRAPPER = """#!/bin/sh
for argument do shift; [ "$argument" = --dry-run ] || set -- "$@" "$argument"; done
exec {docker} "$@"
"""
_ENGINE, _DRY_RUN = "plugins/module_utils/docker/engine.py", "plugins/module_utils/release/dry_run.py"


def test_a_dry_run_that_replaces_containers(site: Site, tmp_path: Path) -> None:
    """The deployment ends, and what was in force serves again. Control: without the comparison it goes on unnoticed."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(_WRAPPER.format(docker=shutil.which("docker")))
    docker.chmod(0o755)
    faulty = {_ENGINE: ('\nPATH = "', f'\nPATH = "{docker.parent}:')}
    guarded = altered_version(tmp_path / "guarded", faulty)
    control = altered_version(tmp_path / "control", {**faulty, _DRY_RUN: ("    if replaced:\n", "    if False:\n")})
    place = site.small(env={"SAY": "one"})
    place.deploy().succeeded()

    place.variables["bulkhead_env"] = {"SAY": "two"}
    error = guarded.play(place).error
    assert f"has replaced containers for real: {place.prefix}_web. Install another version of Docker Compose" in error
    assert "The previous release serves again" in error
    assert say(place.prefix) == "one"

    control.play(place).succeeded()
    assert say(place.prefix) == "two"
