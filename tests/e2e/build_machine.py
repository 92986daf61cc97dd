# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds of several environments on one machine by the collection's own code, and by plain docker as a control."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.build import build
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.builder import Builder, Settings
from support import IMAGE, docker

MIB = 1 << 20
TOOLS = "/bin/bash /bin/cat /bin/sleep /usr/bin/fallocate"
SHELL = 'SHELL ["/bin/bash", "-c"]\n'


class Commit:
    """A checkout of one commit: a folder with its files."""

    def __init__(self, folder: Path, dockerfile: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile)
        self.folder = folder

    def export(self, _commit: str, target: str) -> str:
        shutil.copytree(self.folder, target, dirs_exist_ok=True)
        return "0" * 40


class Machine:
    """A machine's state directory, and builds of its environments on the engine that is there."""

    def __init__(self, directory: Path, project: str) -> None:
        self.directory = directory
        self.project = project
        with patch_module_args({}):
            self.engine = Engine(AnsibleModule(argument_spec={}), "unix:///var/run/docker.sock")
        self.base = f"{project}:base"

    def prefix(self, name: str) -> str:
        return f"{self.project}_{name}"

    def image(self, name: str) -> str:
        return f"{self.prefix(name)}_web:test"

    def folder(self, name: str) -> Path:
        return self.directory / "commits" / name

    def build(self, name: str, recipe: str, **options: Any) -> str:
        """Build an environment's image with Bulkhead; returns why it was built in the shared engine."""
        commit: Any = Commit(self.folder(name), f"FROM {self.base}\n{SHELL}{recipe}")
        prefix = self.prefix(name)
        params = {
            **{"dockerfile": "Dockerfile", "context": ".", "target": "", "arguments": {}},
            **{"ca_bundle": "", "inputs": ""},
            **{"prefix": prefix, "state_directory": str(self.directory / "state"), "run_labels": {}},
            **{"labels": {"io.bulkhead.project": self.project, "io.bulkhead.prefix": prefix}},
            **{"engine": "own", "memory": 512 * MIB, "cpus": 0, "disk": 2 << 30, "timeout": 120, "egress": []},
            **options,
        }
        return build(self.engine, commit, params, "c" * 40, self.image(name))

    def plain(self, name: str, recipe: str, **arguments: str) -> str:
        """The control: the same with ``docker build``. Returns the image."""
        Commit(self.folder(name), f"FROM {self.base}\n{SHELL}{recipe}")
        given = [word for item in arguments.items() for word in ("--build-arg", "=".join(item))]
        image = f"{self.project}:plain-{name}"
        label = f"io.bulkhead.project={self.project}"
        docker("build", "--quiet", "--tag", image, "--label", label, *given, str(self.folder(name)))
        return image

    def builder(self, name: str) -> Builder:
        settings = Settings(memory=512 * MIB, disk=2 << 30)
        return Builder(self.engine, str(self.directory / "state"), self.prefix(name), settings)


def said(image: str, path: str = "/said") -> str:
    """What a step of the build wrote into the image."""
    return docker("run", "--rm", "--network", "none", image, "/bin/cat", path).strip()


@contextlib.contextmanager
def build_machine(directory: Path, project: str) -> Iterator[Machine]:
    """A machine with a base image of a shell and three tools; loading it takes no time."""
    made = Machine(directory, project)
    libraries = f"$(ldd {TOOLS} | grep -o '/[^ ]*[0-9]' | sort -u)"
    archive = made.directory / "base.tar"
    with archive.open("wb") as target:
        command = f"tar -chf - {TOOLS} {libraries}"
        subprocess.run(["docker", "run", "--rm", IMAGE, "bash", "-c", command], stdout=target, check=True)
    docker("import", "--change", f"LABEL io.bulkhead.project={made.project}", str(archive), made.base)
    try:
        yield made
    finally:
        for name in (made.directory / "state" / "builders").glob("*"):
            Builder(made.engine, str(made.directory / "state"), name.name, Settings()).remove()
    assert not list(Path("/run/bulkhead-build").glob(f"*{made.builder('prod').run[-10:]}*"))
