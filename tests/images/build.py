# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the images of the stack from Debian packages, for machines that reach no container registry.

An image is built when no image of its tag carries the digest of its inputs, so a second run builds nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parents[1] / ".cache/images.lock"
SUITE = "trixie"
OWNER_LABEL = "io.bulkhead.demo=images"
INPUTS_LABEL = "io.bulkhead.demo.inputs"
ROOTFS = f"bulkhead-demo/rootfs:{SUITE}"
UPSTREAM = f"docker.io/library/debian:{SUITE}-slim"
REGISTRY = "https://registry-1.docker.io/v2/"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

PROBE_SECONDS = 4
PULL_SECONDS = 120
BOOTSTRAP_SECONDS = 300
BUILD_SECONDS = 600

# What Debian's own "slim" image leaves out, and no recommended packages.
BOOTSTRAP_OPTIONS = (
    "--variant=minbase",
    "--include=ca-certificates",
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)


class BuildError(Exception):
    """A step failed; the message says what a person can do about it."""


@dataclass(frozen=True)
class Image:
    """An image and the directory, beside this file, that it is built from."""

    directory: str
    tag: str

    @property
    def context(self) -> Path:
        return HERE / self.directory


BASE = Image("base", f"bulkhead-demo/base:{SUITE}")
IMAGES = (
    Image("postgresql", "bulkhead-demo/postgresql:17"),
    Image("python", "bulkhead-demo/python:3.13"),
    Image("pgbouncer", "bulkhead-demo/pgbouncer:1.24"),
    Image("nginx", "bulkhead-demo/nginx:1.26"),
    Image("redis", "bulkhead-demo/redis:8"),
    Image("certbot", "bulkhead-demo/certbot:4"),
    Image("pebble", "bulkhead-demo/pebble:2"),
    Image("haproxy", "bulkhead-demo/haproxy:3.0"),
)
#: Only few tests need them, and ask for them by name.
ON_DEMAND = (
    Image("node", "bulkhead-demo/node:20"),
    Image("php", "bulkhead-demo/php:8.4"),
)


def run(command: list[str], seconds: int, hint: str) -> str:
    """Run a command; its last lines and the hint are the error when it fails."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False
        )
    except FileNotFoundError as exc:
        raise BuildError(f"{command[0]} is not installed. {hint}") from exc
    except subprocess.TimeoutExpired as exc:
        raise BuildError(f"{' '.join(command[:3])} took more than {seconds} s. {hint}") from exc
    if done.returncode != 0:
        tail = "\n  ".join(done.stdout.strip().splitlines()[-15:])
        raise BuildError(f"{' '.join(command[:3])} failed with {done.returncode}. {hint}\n  {tail}")
    return done.stdout


def digest(image: Image, *parts: str) -> str:
    """The digest of everything that decides what an image holds."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() + b"\0")
    for path in sorted(path for path in image.context.rglob("*") if path.is_file()):
        mode = "x" if os.access(path, os.X_OK) else "-"
        total.update(f"{path.relative_to(image.context)}\0{mode}\0".encode())
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def built_digest(tag: str) -> str:
    """The inputs' digest that the present image of this tag carries, or nothing."""
    command = ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{INPUTS_LABEL}"}}}}', tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def registry_answers() -> bool:
    """Whether a registry is in reach; asked first, because a pull into the void takes minutes to fail."""
    try:
        with urllib.request.urlopen(REGISTRY, timeout=PROBE_SECONDS):
            return True
    except urllib.error.HTTPError as exc:
        return exc.code == 401
    except OSError:
        return False


def sources() -> list[str]:
    mirror = os.environ.get("BULKHEAD_DEBIAN_MIRROR", "http://deb.debian.org").rstrip("/")
    return [
        f"deb {mirror}/debian {SUITE} main",
        f"deb {mirror}/debian {SUITE}-updates main",
        f"deb {mirror}/debian-security {SUITE}-security main",
    ]


def require_bootstrap_tools() -> None:
    if shutil.which("mmdebstrap") and KEYRING.exists():
        return
    hint = (
        "No container registry answers, so the base image is made from Debian packages. "
        "Install mmdebstrap, uidmap and debian-archive-keyring, or name an image of Debian "
        f"{SUITE} that this engine has in BULKHEAD_DEMO_ROOTFS."
    )
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BuildError(hint)
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    run([*apt, "update"], BOOTSTRAP_SECONDS, hint)
    packages = ["mmdebstrap", "debian-archive-keyring"]
    run([*apt, "install", "--yes", "--no-install-recommends", *packages], BOOTSTRAP_SECONDS, hint)


def make_rootfs() -> str:
    """Bring a bare Debian into the engine, and say under which name."""
    if named := os.environ.get("BULKHEAD_DEMO_ROOTFS"):
        return named
    if registry_answers():
        try:
            run(["docker", "pull", "--quiet", UPSTREAM], PULL_SECONDS, "")
            return UPSTREAM
        except BuildError as exc:
            print(f"  {UPSTREAM} cannot be pulled, using Debian packages instead: {exc}", flush=True)
    require_bootstrap_tools()
    with tempfile.TemporaryDirectory(prefix="bulkhead-rootfs-") as scratch:
        archive = str(Path(scratch, "rootfs.tar"))
        command = ["mmdebstrap", *BOOTSTRAP_OPTIONS, f"--keyring={KEYRING}", SUITE, archive, *sources()]
        run(command, BOOTSTRAP_SECONDS, "Is a Debian mirror in reach? BULKHEAD_DEBIAN_MIRROR names another one.")
        label = ["--change", f"LABEL {OWNER_LABEL}"]
        run(["docker", "import", *label, archive, ROOTFS], BOOTSTRAP_SECONDS, "Is there room on the disk?")
    return ROOTFS


def build(image: Image, parent: str, inputs: str, force: bool) -> None:
    started = time.monotonic()
    options = ["--build-arg", f"BASE={parent}", "--label", OWNER_LABEL, "--label", f"{INPUTS_LABEL}={inputs}"]
    if force:
        options.append("--no-cache")
    run(["docker", "build", *options, "--tag", image.tag, str(image.context)], BUILD_SECONDS, "Its last lines:")
    print(f"  {image.tag:<32} built in {time.monotonic() - started:5.1f} s", flush=True)


def ensure_base(force: bool) -> str:
    """Have the base image, and return the digest that every other image depends on."""
    inputs = digest(BASE, SUITE, *BOOTSTRAP_OPTIONS, *sources(), os.environ.get("BULKHEAD_DEMO_ROOTFS", ""))
    if force or built_digest(BASE.tag) != inputs:
        started = time.monotonic()
        rootfs = make_rootfs()
        print(f"  {rootfs:<32} ready in {time.monotonic() - started:5.1f} s", flush=True)
        build(BASE, rootfs, inputs, force)
    return inputs


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Whoever else needs images waits, and then finds them: end-to-end tests and molecule run side by side."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_images(only: list[str] | None = None, *, force: bool = False) -> list[str]:
    """Build what is missing or out of date, of all that the stack needs or of those named; returns the tags built."""
    run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        30,
        "A Docker engine must be running, and open to this user.",
    )
    with alone():
        base = ensure_base(force)
        wanted = [image for image in (*IMAGES, *ON_DEMAND) if image.directory in only] if only else IMAGES
        inputs = {image: digest(image, base) for image in wanted}
        stale = [image for image in wanted if force or built_digest(image.tag) != inputs[image]]
        # Two at a time: one unpacks while the other downloads.
        with ThreadPoolExecutor(max_workers=2) as pool:
            builds = [pool.submit(build, image, BASE.tag, inputs[image], force) for image in stale]
            for result in builds:
                result.result()
        return [image.tag for image in stale]


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the images of the stack from Debian packages.")
    parser.add_argument(
        "--only", nargs="+", choices=[image.directory for image in (*IMAGES, *ON_DEMAND)], metavar="NAME"
    )
    parser.add_argument("--force", action="store_true", help="build even what is present, with today's packages")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        built = ensure_images(options.only, force=options.force)
    except BuildError as exc:
        print(f"ERROR: {exc}", file=sys.stderr)
        return 1
    print(f"Images: {len(built)} built, the rest present ({time.monotonic() - started:.1f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
