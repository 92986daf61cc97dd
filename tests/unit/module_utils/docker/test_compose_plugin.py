# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compose is started without Docker's client where it is the program that the client would start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.process import home_directory
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.compose_plugin import CLIENT, find_compose
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine

COMPOSE = '#!/bin/sh\necho "$@ for $DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND at $DOCKER_HOST"\n'


class Machine:
    """A client, the home directory of its user, and the folders of the machine's plugins."""

    def __init__(self, root: Path) -> None:
        self.client, self.home, self.folders = root / "docker", root / "home", [root / "local", root / "system"]
        shutil.copy("/bin/true", self.client)
        for folder in (self.home, *self.folders):
            folder.mkdir()
        self.compose = self.put(self.folders[1])

    @staticmethod
    def put(folder: Path) -> Path:
        """Compose in a folder of plugins."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "docker-compose"
        path.write_text(COMPOSE)
        path.chmod(0o755)
        return path

    def set(self, text: str) -> None:
        """The settings of the user's client."""
        (self.home / ".docker").mkdir()
        (self.home / ".docker/config.json").write_text(text)

    @property
    def found(self) -> str:
        return find_compose(str(self.client), str(self.home), [str(folder) for folder in self.folders])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_only_one(machine: Machine) -> None:
    assert machine.found == str(machine.compose)


def test_settings_that_name_no_folder(machine: Machine) -> None:
    machine.set(json.dumps({"auths": {}}))
    assert machine.found == str(machine.compose)


@pytest.mark.parametrize(
    "change",
    [
        lambda machine: machine.put(machine.folders[0]),
        lambda machine: machine.put(machine.home / ".docker/cli-plugins"),
        lambda machine: machine.set(json.dumps({"cliPluginsExtraDirs": ["/opt/plugins"]})),
        lambda machine: machine.set("no JSON"),
        lambda machine: machine.set("1"),
        lambda machine: machine.client.write_text("#!/bin/sh\n"),
        lambda machine: machine.client.unlink(),
        lambda machine: machine.compose.chmod(0o644),
        lambda machine: machine.compose.unlink(),
    ],
    ids=["two", "the user's", "a folder", "settings", "number", "script", "no client", "unusable", "none"],
)
def test_the_client_chooses(machine: Machine, change: Callable[[Machine], object]) -> None:
    change(machine)
    assert machine.found == ""


def test_it_is_called_as_the_client_calls_it(module: AnsibleModule, machine: Machine) -> None:
    engine = Engine(module, "unix:///run/ours.sock")
    engine._docker, engine._compose = str(machine.client), machine.found
    said = f"compose version --short for {machine.client} at unix:///run/ours.sock\n"
    assert engine.docker("compose", "version", "--short") == (0, said, "")
    assert engine.docker("volume", "prune") == (0, "", "")  # another command is the client's


def test_the_client_of_this_machine_starts_the_same() -> None:
    """Docker says which program that is."""
    client = shutil.which("docker")
    if not client:
        pytest.skip("there is no docker command on this machine")
    path = '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Path}}{{end}}{{end}}'
    command = [client, "info", "--format", path]
    variables = {"HOME": home_directory(), "PATH": os.defpath}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    found = find_compose(client, home_directory())
    assert found in ("", done.stdout.strip())
    if found:
        asked = [found, "compose", "version", "--short"]
        assert subprocess.run(asked, env={CLIENT: client}, capture_output=True, check=True).stdout
