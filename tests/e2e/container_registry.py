# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real registry with TLS and a password: docker-registry from Debian's packages."""

from __future__ import annotations

import contextlib
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from certificate import self_signed
from debian import have_programs
from observe import eventually
from support import docker, free_port

#: The programs that are needed, and the packages that have them.
PROGRAMS = {"docker-registry": "docker-registry", "htpasswd": "apache2-utils"}
USER = "pipeline"


@dataclass(frozen=True)
class ContainerRegistry:
    """Where it is, and the password of :data:`USER`. ``loopback`` is where this machine reaches it."""

    address: str
    password: str
    directory: Path
    loopback: str

    @property
    def certificate(self) -> str:
        """What other engines have to trust."""
        return (self.directory / "certificate.pem").read_text()

    def push(self, image: str, name: str) -> str:
        """Push an image as a pipeline would. Returns its digest."""
        reference, login = f"{self.loopback}/{name}", ["--config", str(self.directory / "client")]
        docker("tag", image, reference)
        command = ["docker", *login, "login", "--username", USER, "--password-stdin", self.loopback]
        subprocess.run(command, input=self.password, text=True, check=True, capture_output=True)
        docker(*login, "push", "--quiet", reference)
        (known,) = docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', reference).split()
        docker("image", "rm", reference)
        return known.partition("@")[2]


@contextlib.contextmanager
def container_registry(directory: Path, address: str = "127.0.0.1") -> Iterator[ContainerRegistry]:
    """A registry that runs as long as it is needed, at one of the machine's addresses and on loopback."""
    have_programs(**PROGRAMS)
    directory.mkdir()
    password, port = secrets.token_urlsafe(24), free_port()
    certificate, key = self_signed(["localhost", address])
    (directory / "certificate.pem").write_text(certificate)
    (directory / "key.pem").write_text(key)
    hashed = subprocess.run(["htpasswd", "-niB", USER], input=password, capture_output=True, text=True, check=True)
    (directory / "users").write_text(hashed.stdout)
    tls = {"certificate": str(directory / "certificate.pem"), "key": str(directory / "key.pem")}
    settings = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": f"{'127.0.0.1' if address == '127.0.0.1' else ''}:{port}", "tls": tls},
        "auth": {"htpasswd": {"realm": "tests", "path": str(directory / "users")}},
    }
    (directory / "config.yml").write_text(yaml.safe_dump(settings))
    with subprocess.Popen(
        ["docker-registry", "serve", str(directory / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            eventually(lambda: _answers(port))
            yield ContainerRegistry(f"{address}:{port}", password, directory, f"127.0.0.1:{port}")
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    """Whether it asks for a password."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        urllib.request.urlopen(f"https://127.0.0.1:{port}/v2/", timeout=2, context=context).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return False
