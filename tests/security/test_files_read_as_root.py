# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root reads certificates and keys for an environment: its own, and nobody else's."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import places
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.ca_bundle import certificates
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.copied import read_source
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.keys import fits, refuse_other_keys
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from attackers import NOBODY, public_directory

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reading other users' files needs root")

REFUSED = "is not copied into a release"


class Machine:
    """production, registered with its key in a neutral place, and staging, whose variables the attacker writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tls = folder / "tls"
        self.tls.mkdir()
        for name in ("prod", "staging"):
            make_pair(self.tls, name)
        key = {"namespace": "path", "scope": "app1", "key": str(self.tls / "prod.key"), "shareable": False}
        entry = {"prefix": "aiia_prod", "directory": str(folder / "prod"), "claims": [{**key, "attributes": READ}]}
        Registry(str(folder / "state")).write("aiia_prod", entry, {"finished": "2026-01-01T10:00:00Z"})
        self.home = Home(str(folder / "staging"), "aiia_staging", str(folder / "state"), owner="nobody")
        self.home.make_directory()

    def read(self, path: Path) -> bytes | None:
        return read_source(str(path), self.home)


READ = {"kind": "read", "read_only": True, "shared": False}


def make_pair(folder: Path, name: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", f"/CN={name}.example.com", "-days", "2"]
    files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
    subprocess.run([*command, *files], capture_output=True, check=True)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with public_directory() as folder:
        yield Machine(folder)


def test_a_registered_file_of_another_environment(machine: Machine) -> None:
    """production's key, which lies in no environment's directory, by a link with a name of its own."""
    link = machine.tls / "current.key"
    link.symlink_to("prod.key")
    with pytest.raises(EngineError, match=f"{REFUSED}: it belongs to aiia_prod"):
        machine.read(link)
    with pytest.raises(EngineError, match="it belongs to aiia_prod"):
        certificates(str(link), str(machine.folder / "state"), "aiia_staging", "nobody")
    # The control: without a claim root would read it. A link to an own file is read.
    link.unlink()
    link.symlink_to("staging.key")
    assert machine.read(link) == (machine.tls / "staging.key").read_bytes()


@pytest.mark.parametrize("where", ["home", "home/.ssh", "own/.ssh", "keys"])
def test_a_place_of_another_user(machine: Machine, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A key in another user's home, in a directory for keys, or in a place of the machine's own."""
    place = machine.folder / where
    place.mkdir(parents=True)
    make_pair(place, "other")
    if where.startswith("home"):
        os.chown(machine.folder / "home", pwd.getpwnam("daemon").pw_uid, -1)
    if where == "keys":
        monkeypatch.setattr(places, "_MACHINES", (str(place),))
    link = machine.tls / "link.key"
    link.symlink_to(place / "other.key")
    for path in (place / "other.key", link):
        with pytest.raises(EngineError, match=REFUSED):
            machine.read(path)
    with pytest.raises(EngineError, match="is not read"):
        certificates(str(place / "other.pem"), str(machine.folder / "state"), "aiia_staging", "nobody")
    # A certificate in the environment's own directory may be anybody's.
    state = str(machine.folder / "state")
    assert certificates(str(place / "other.pem"), state, "aiia_staging", "nobody", str(place))
    # The control: the same files elsewhere, or in the owner's home.
    mine = machine.folder / "mine"
    mine.mkdir()
    os.chown(mine, NOBODY.pw_uid, -1)
    make_pair(mine, "other")
    assert machine.read(mine / "other.key") and machine.read(machine.tls / "staging.key")
    assert certificates(str(mine / "other.pem"), state, "aiia_staging", "nobody")


def test_places_of_the_machine() -> None:
    for path in ("/root/tls/key.pem", "/etc/ssh/ssh_host_rsa_key", "/proc/1/environ", "/sys/x", "/dev/sda"):
        assert "the machine's own" in places.private_place(path, NOBODY.pw_uid)
    for path in ("/etc/ssl/private/x.key", "/etc/letsencrypt/live/x/privkey.pem", "/etc/sshd/x"):
        assert places.private_place(path, NOBODY.pw_uid) == ""


def test_a_key_of_openssh(machine: Machine) -> None:
    key = machine.tls / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with pytest.raises(EngineError, match=f"{REFUSED}: it is a key of OpenSSH"):
        machine.read(key)


def test_the_state_directory_is_nobody_s_own(machine: Machine) -> None:
    """An environment whose directory is, or holds, Bulkhead's own."""
    for directory in (machine.folder / "state", machine.folder):
        home = Home(str(directory), "aiia_staging", str(machine.folder / "state"))
        with pytest.raises(EngineError, match=f"{REFUSED}: it belongs to Bulkhead"):
            read_source(str(machine.folder / "state/key"), home)


def test_a_key_without_its_certificate(machine: Machine) -> None:
    """The key of another service of the machine, beside the environment's own certificate."""
    make_pair(machine.tls, "mail")
    protected = ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", f"{machine.tls}/staging.key"]
    subprocess.run([*protected, "-out", f"{machine.tls}/protected.key"], capture_output=True, check=True)

    def files(key: str) -> list[DesiredFile]:
        found: list[DesiredFile] = []
        for path in ("staging.pem", key):
            content = machine.read(machine.tls / path)
            assert content
            found.append(DesiredFile(path, content, source=str(machine.tls / path)))
        return found

    for key in ("mail.key", "protected.key"):
        with pytest.raises(EngineError, match=f"{key} {REFUSED}: this private key belongs to none") as caught:
            refuse_other_keys(files(key), machine.home.directory)
        assert "PRIVATE" not in str(caught.value)
    refuse_other_keys(files("staging.key"), machine.home.directory)
    # What lies in the environment's own directory may be any key, such as one for signing.
    own = DesiredFile("sign.pem", (machine.tls / "mail.key").read_bytes(), source=f"{machine.home.directory}/sign.pem")
    refuse_other_keys([own], machine.home.directory)


def test_a_chain_fits_by_its_first_certificate(machine: Machine) -> None:
    text: Any = {name: (machine.tls / name).read_bytes() for name in ("prod.pem", "staging.pem", "staging.key")}
    assert fits(text["staging.pem"] + text["prod.pem"], text["staging.key"])
    assert not fits(text["prod.pem"] + text["staging.pem"], text["staging.key"])
    assert not fits(b"-----BEGIN CERTIFICATE-----\nMQ==\n-----END CERTIFICATE-----\n", text["staging.key"])
