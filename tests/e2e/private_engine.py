# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine of a test's own, that may be stopped and killed without hurting anybody else."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from observe import eventually

_CLONE_NEWNET = 0x40000000


class PrivateEngine:
    """A dockerd with a socket, a data directory, a containerd and a network namespace of its own.

    The namespace is what keeps its bridges and rules apart from those of the machine's engine, and outlives it: what
    is published is reached only from within.
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory = directory
        (directory / "daemon.json").write_text(json.dumps(options))
        self.address = f"unix://{directory}/docker.sock"
        self._log = (directory / "log").open("ab")
        self._namespace = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def network_namespace(self) -> Path:
        """The file by which its network namespace is entered."""
        return Path(f"/proc/{self._namespace.pid}/ns/net")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        own = Path("/proc/self/ns/net").stat().st_ino
        eventually(lambda: self.network_namespace.stat().st_ino != own, 60)
        paths = {"config-file": "daemon.json", "data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        command = [*self.inside, "dockerd", "--host", self.address]
        command += [f"--{option}={self.directory / name}" for option, name in paths.items()]
        command += ["--containerd-namespace=e2e", "--containerd-plugins-namespace=e2e-plugins"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        eventually(lambda: self.docker("version", "--format", "{{.Server.Version}}"), 120)

    def stop(self) -> None:
        """Stop it as a shutdown of the machine does."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)

    def kill(self) -> None:
        """kill -9: nothing of it gets a chance to clear up."""
        assert self._process
        self._process.kill()
        self._process.wait(60)

    def end(self) -> None:
        """Remove it with everything that it has."""
        ids = self.docker("ps", "--all", "--quiet").split()
        if ids:
            self.docker("rm", "--force", *ids)
        self.stop()
        self._namespace.kill()
        self._namespace.wait()
        self._log.close()
        # An engine mounts its data upon itself, and leaves it so.
        # Its data, and the network namespaces of containers that use its host's.
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
        below = sorted(mount for mount in mounts if mount.startswith(f"{self.directory}/"))
        for mount in reversed(below):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
        shutil.rmtree(self.directory)

    def load(self, *images: str) -> None:
        """Give it images that the machine's engine has."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
            subprocess.run(["docker", "--host", self.address, "load", "--quiet"], stdin=saving.stdout, check=True)

    def docker(self, *arguments: str) -> str:
        """Ask it; empty where it fails."""
        done = subprocess.run(
            ["docker", "--host", self.address, *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    @property
    def inside(self) -> list[str]:
        """The command that runs another where the engine publishes ports."""
        return ["nsenter", f"--net={self.network_namespace}"]

    def enter_network(self) -> None:
        """Let the calling thread, and no other, make its connections where the engine publishes ports."""
        with self.network_namespace.open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


@contextmanager
def private_engine(images: list[str], **options: Any) -> Iterator[PrivateEngine]:
    """A private engine that has some images; the options are those of its ``daemon.json``."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("starts an engine of its own, which needs root and dockerd")
    number = 0
    while (directory := Path(f"/tmp/bulkhead-e2e-engine-{os.getpid()}-{number}")).exists():
        number += 1  # short: the path of a socket has a limit
    directory.mkdir()
    made = PrivateEngine(directory, **options)
    try:
        made.start()
        made.load(*images)
        yield made
    finally:
        made.end()
