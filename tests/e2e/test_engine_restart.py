# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine that is started again in the middle of a deployment: a private one, so that nobody else is hurt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from observe import eventually
from sabotage import Meanwhile, done, idle, is_held, let_time_pass, words
from support import IMAGE, Site, only

pytestmark = pytest.mark.full


class PrivateEngine:
    """A dockerd with a socket, a data directory and a containerd of its own, in a network of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.address = f"unix://{directory}/docker.sock"
        self._log = (directory / "log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        paths = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        # A network namespace of its own: with --bridge=none an engine removes docker0, whosever that is.
        own = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']
        command = [*own, "dockerd", "--host", self.address, "--bridge", "none", "--iptables=false", "--ip6tables=false"]
        command += [f"--{option}={self.directory / name}" for option, name in paths.items()]
        command += ["--containerd-namespace=e2e", "--containerd-plugins-namespace=e2e-plugins"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        eventually(lambda: self.docker("version", "--format", "{{.Server.Version}}"), 60)

    def stop(self) -> None:
        """Stop it as a shutdown of the machine does."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)

    def docker(self, *arguments: str) -> str:
        """Ask it."""
        done = subprocess.run(
            ["docker", "--host", self.address, *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""


@pytest.fixture
def engine() -> Iterator[PrivateEngine]:
    """A private engine that has the tests' image."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("starts an engine of its own, which needs root and dockerd")
    directory = Path("/tmp", f"bulkhead-e2e-engine-{os.getpid()}")  # short: a socket's path has a limit
    directory.mkdir()
    made = PrivateEngine(directory)
    try:
        made.start()
        with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as saving:
            subprocess.run(["docker", "--host", made.address, "load", "--quiet"], stdin=saving.stdout, check=True)
        yield made
    finally:
        made.docker("ps", "--all", "--quiet") and made.docker("rm", "--force", *made.docker("ps", "-aq").split())
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)


def test_the_engine_is_started_again_between_two_steps(site: Site, engine: PrivateEngine) -> None:
    """A bystander that comes up again with the engine is no change; the next run puts right what was cut short."""
    site.everyone["bulkhead_docker_host"] = engine.address
    theirs = site.small("production", "prod", services=only(web=idle(volumes=["data:/data"])))
    ours = site.small("staging", "staging", services=only(web=idle()))
    theirs.deploy().succeeded()
    ours.deploy().succeeded()
    engine.docker("exec", f"{theirs.prefix}_web", "sh", "-c", "echo kept > /data/word")
    ours.variables["bulkhead_services"] = only(web=idle(labels={"changed": "yes"}))

    def again() -> None:
        engine.stop()
        engine.start()

    with Meanwhile(lambda: done(site, "preflight"), again):
        run = ours.deploy()
    said = words(run.output)
    assert "BYSTANDERS CHANGED" not in said and "changed: " + theirs.prefix not in said, run.output
    if run.code != 0:
        assert "cannot be reached" in said or "did not get healthy" in said or "docker" in said, run.output
        assert "Traceback" not in run.output
    if is_held(ours):
        let_time_pass(ours)
    after = ours.deploy().succeeded()
    assert after.result("verify")["receipt"]["bystanders"] == [theirs.prefix]
    assert engine.docker("exec", f"{theirs.prefix}_web", "cat", "/data/word") == "kept"
    assert engine.docker("inspect", "--format", '{{index .Config.Labels "changed"}}', f"{ours.prefix}_web") == "yes"
