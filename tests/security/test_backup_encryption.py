# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With ``bulkhead_backup_recipients``, what leaves the machine is readable by the recipients alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import ENCRYPTED, Backups
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.encryption import Encryption, encrypted_size
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.manifest import read_manifest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.scheduled_run import Runner
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine, EngineError
from attackers import public_directory
from debian import have_programs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="running as another user needs root")

SOCKET = "unix:///var/run/docker.sock"
#: What a backup of this test says, and nothing that leaves the machine may say.
CANARY = b"canary-of-a-backup"


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_directory() as folder:
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        (folder / "state").mkdir(mode=0o700)
        yield folder


@pytest.fixture
def age() -> None:
    """age, from Debian's package where it is missing."""
    have_programs(age="age")


def keys(folder: Path, name: str) -> tuple[Path, str]:
    """A new key: the file with the private one, and the public one."""
    path = folder / name
    subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
    return path, subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True).stdout.strip()


def backups(folder: Path, *recipients: str, command: str = "") -> Backups:
    copy = command or f'cp -r "$BULKHEAD_BACKUP" {folder}/out/'
    places = {"state_directory": str(folder / "state"), "home": str(folder / "state/home"), "directory": ""}
    own = {"prefix": "aiia_prod", "project": "aiia_prod", "environment": "prod", "protected": True}
    users: dict[str, Any] = {"copy_command": copy, "copy_user": "", "owner": "nobody", "recipients": [*recipients]}
    limits: dict[str, Any] = {"keep": 0, "timeout": 20, "kinds": [], "parts": []}
    return Backups(Engine(Runner(), SOCKET), {**own, **places, **users, **limits})


def decrypt(path: Path, key: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["age", "--decrypt", "-i", key, path], check=False, capture_output=True)


def has_canary(folder: Path) -> bool:
    return any(CANARY in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("age")
def test_only_recipients_read_what_leaves_the_machine(folder: Path) -> None:
    (first, one), (stranger, _other) = keys(folder, "first"), keys(folder, "stranger")
    second = folder / "second"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", second], check=True)
    two = " ".join((folder / "second.pub").read_text().split()[:2])
    # What a killed run left is gone afterwards.
    (folder / "state/backups/aiia_prod" / ENCRYPTED / "x").mkdir(parents=True)
    made = backups(folder, one, two).make(CANARY.decode())
    local, copied = Path(made["path"]), folder / "out" / made["name"]
    assert made["recipients"] == 2 and has_canary(local)
    assert sorted(path.name for path in copied.iterdir()) == [f"{path.name}.age" for path in sorted(local.iterdir())]
    assert not has_canary(folder / "out")
    # Nothing else is left where backups lie, and the local one is as it was.
    assert sorted(path.name for path in local.parent.iterdir()) == [".lock", made["name"]]
    assert read_manifest(str(local))["name"] == made["name"]
    for key in (first, second):
        assert decrypt(copied / "manifest.json.age", key).stdout == (local / "manifest.json").read_bytes()
    refused = decrypt(copied / "manifest.json.age", stranger)
    assert refused.returncode and not refused.stdout
    # A restore of the encrypted one says what to do; the decrypted one is a backup.
    shutil.copytree(copied, folder / "state/back", copy_function=shutil.copyfile)
    (folder / "state/back").chmod(0o700)
    with pytest.raises(EngineError, match=r"back is encrypted\. Decrypt its files where the private key is"):
        read_manifest(str(folder / "state/back"))
    script = f'for part in *.age; do age --decrypt -i {first} -o "${{part%.age}}" "$part" && rm "$part"; done'
    subprocess.run(["/bin/sh", "-c", script], cwd=folder / "state/back", check=True)
    assert read_manifest(str(folder / "state/back"))["name"] == made["name"]
    # The control: without recipients, the canary leaves.
    backups(folder).make(CANARY.decode())
    assert has_canary(folder / "out")


@pytest.mark.usefixtures("age")
def test_a_key_that_age_refuses(folder: Path) -> None:
    _key, one = keys(folder, "first")
    wrong = backups(folder, one, one[:-1] + ("q" if one[-1] != "q" else "p"))
    with pytest.raises(EngineError, match="no backup was made: age cannot encrypt for entry 2 of bulkhead_backup_re"):
        wrong.make("by hand")
    assert wrong.complete() == [] and not list((folder / "out").iterdir())


FAULTS = {
    "fails midway": ("head -c 30; exit 3", "age failed"),
    "encrypts nothing": ("cat", "age ended without an error, but manifest.json.age is incomplete"),
    "ends early": ("echo age-encryption.org/v1; head -c 30", "age ended without an error, but"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_age_lets_nothing_leave(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    script, message = FAULTS[fault]
    program = folder / "age"
    # Encrypting nothing is how the keys are checked beforehand: that works.
    program.write_text(f"#!/bin/sh\n[ -s /dev/stdin ] || exit 0\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(Engine, "find", lambda _engine, name: str(program) if name == "age" else shutil.which(name))
    made = backups(folder, "age1" + "q" * 58)
    with pytest.raises(EngineError, match=f"is complete, but was not copied off the machine: {message}"):
        made.make("by hand")
    (kept,) = made.complete()
    assert sorted(path.name for path in Path(made.directory).iterdir()) == [".lock", kept["name"]]
    assert not list((folder / "out").iterdir())


def test_a_machine_without_age(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "find", lambda _engine, name: "" if name == "age" else shutil.which(name))
    made = backups(folder, "age1" + "q" * 58)
    with pytest.raises(EngineError, match=r"this machine has no age .* \(apt-get install age\)"):
        made.make("by hand")
    assert made.complete() == []
    # Without a command nothing leaves, so age is not needed.
    made.params["copy_command"] = ""
    assert Backups(made.engine, made.params).make("by hand")["recipients"] == 0


@pytest.mark.usefixtures("age")
def test_every_part_is_encrypted_and_comes_back(folder: Path) -> None:
    key, one = keys(folder, "first")
    source, target = folder / "source", folder / "target"
    source.mkdir()
    parts = {"postgresql.dump": CANARY + os.urandom(200_000), "media.tar": b"", "manifest.json": CANARY}
    for name, content in parts.items():
        (source / name).write_bytes(content)
    Encryption(Engine(Runner(), SOCKET), [one], 20).encrypt(str(source), str(target))
    assert not has_canary(target)
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}
    assert {path.stem: decrypt(path, key).stdout for path in target.iterdir()} == parts
    # A file that was cut short on its way is no backup: age refuses it.
    dump = target / "postgresql.dump.age"
    dump.write_bytes(dump.read_bytes()[:-100])
    assert decrypt(dump, key).returncode


@pytest.mark.usefixtures("age")
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_the_size_of_what_age_makes(folder: Path, size: int) -> None:
    _key, one = keys(folder, "first")
    made = subprocess.run(["age", "-r", one], input=b"x" * size, check=True, capture_output=True).stdout
    header = made.index(b"\n", made.index(b"\n---") + 1) + 1
    assert len(made) - header == encrypted_size(size)
