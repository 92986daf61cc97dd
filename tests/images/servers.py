# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the images of the servers that tests deploy to: a bare Debian 12 and a bare Debian 13, and, where it is asked
for, one with Docker's client and one with an engine.

They come from Debian's own image where a registry answers, from Debian packages elsewhere. Built once, until their
inputs change.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from images import build as stack

SUITES = ("bookworm", "trixie")
LABEL = "io.bulkhead.test=servers"
RECIPE = stack.Image("server", "")
MACHINE = stack.Image("machine", f"bulkhead-test/machine:{stack.SUITE}")
NODE = stack.Image("swarm_node", f"bulkhead-test/swarm-node:{stack.SUITE}")


def image_exists(tag: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0


def sources(suite: str) -> list[str]:
    return [line.replace(f" {stack.SUITE}", f" {suite}") for line in stack.sources()]


def rootfs(suite: str) -> str:
    """The name of an image of a bare Debian; made or pulled where it is missing."""
    if suite == stack.SUITE and image_exists(stack.ROOTFS):
        return stack.ROOTFS
    own = f"bulkhead-test/rootfs:{suite}"
    if image_exists(own):
        return own
    if stack.registry_answers():
        upstream = f"docker.io/library/debian:{suite}-slim"
        stack.run(["docker", "pull", "--quiet", upstream], stack.PULL_SECONDS, "Does the registry let you in?")
        return upstream
    stack.require_bootstrap_tools()
    with tempfile.TemporaryDirectory(prefix="bulkhead-rootfs-") as scratch:
        archive = str(Path(scratch, "rootfs.tar"))
        command = ["mmdebstrap", *stack.BOOTSTRAP_OPTIONS, f"--keyring={stack.KEYRING}", suite, archive]
        stack.run([*command, *sources(suite)], stack.BOOTSTRAP_SECONDS, "Is a Debian mirror in reach?")
        label = ["--change", f"LABEL {LABEL}"]
        stack.run(["docker", "import", *label, archive, own], stack.BOOTSTRAP_SECONDS, "Is there room on the disk?")
    return own


def ensure_server(suite: str) -> bool:
    """Have the server image of a suite; True where it had to be built."""
    server = stack.Image(RECIPE.directory, f"bulkhead-test/server:{suite}")
    inputs = stack.digest(server, *sources(suite), *stack.BOOTSTRAP_OPTIONS)
    return _build(server, lambda: rootfs(suite), inputs)


def ensure_machine() -> bool:
    """Have the image of a server with Docker's client; True where it had to be built."""
    ensure_server(stack.SUITE)
    server = f"bulkhead-test/server:{stack.SUITE}"
    return _build(MACHINE, lambda: server, stack.digest(MACHINE, stack.built_digest(server)))


def ensure_node() -> bool:
    """Have the image of a server with an engine; True where it had to be built."""
    ensure_machine()
    return _build(NODE, lambda: MACHINE.tag, stack.digest(NODE, stack.built_digest(MACHINE.tag)))


def _build(image: stack.Image, base: Callable[[], str], inputs: str) -> bool:
    if stack.built_digest(image.tag) == inputs:
        return False
    labels = ["--label", LABEL, "--label", f"{stack.INPUTS_LABEL}={inputs}"]
    command = ["docker", "build", "--build-arg", f"BASE={base()}", *labels, "--tag", image.tag]
    stack.run([*command, str(image.context)], stack.BUILD_SECONDS, "Its last lines:")
    return True


#: What is built only where it is asked for.
MORE: dict[str, Callable[[], bool]] = {"machine": ensure_machine, "node": ensure_node}


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the images of servers from Debian packages.")
    parser.add_argument("--only", nargs="+", choices=[*SUITES, *MORE], metavar="NAME")
    try:
        for name in parser.parse_args().only or SUITES:
            began = time.monotonic()
            with stack.alone():
                built = MORE[name]() if name in MORE else ensure_server(name)
            if built:
                print(f"built the server {name} in {time.monotonic() - began:.0f} s", flush=True)
    except stack.BuildError as exc:
        print(f"ERROR: {exc}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
