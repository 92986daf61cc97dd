# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With ``bulkhead_backup_recipients``, what leaves the machine is readable by the recipients alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import ENCRYPTED, Backups
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.decryption import Identity, StoredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.encryption import Encryption, encrypted_size
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.manifest import read_manifest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.restore import find_backup
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.scheduled_run import Runner
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import meanwhile
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.process import StreamError, stream
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


def identity(key: Path) -> Identity:
    """The private key of a file, as a restore has it."""
    return Identity(Engine(Runner(), SOCKET), key.read_text(), 20)


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
    # A restore of the encrypted one says what to do, and reads it with the key of a recipient; so is the decrypted one.
    shutil.copytree(copied, folder / "state/back", copy_function=shutil.copyfile)
    (folder / "state/back").chmod(0o700)
    with pytest.raises(
        EngineError, match=r"back/manifest\.json\.age is encrypted\. .* bulkhead_restore_identity=<file>"
    ):
        read_manifest(str(folder / "state/back"))
    for key in (first, second):
        assert read_manifest(str(folder / "state/back"), identity(key))["name"] == made["name"]
    with pytest.raises(EngineError, match=r"does not open .*, which was encrypted for others"):
        read_manifest(str(folder / "state/back"), identity(stranger))
    assert not has_canary(folder / "state/back")
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
    with pytest.raises(
        EngineError, match=r"this machine has no age .* \(apt-get install age, or aiia\.bulkhead\.provision\)"
    ):
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
    stored = {name: StoredFile(str(target / name), identity(key)) for name in parts}
    for name, content in parts.items():
        assert stored[name].digest() == hashlib.sha256(content).hexdigest()
        assert stored[name].problem(len(content)) == ""
    # Who reads only the beginning is not disturbed, and leaves no process.
    with stored["postgresql.dump"].opened() as plain:
        assert plain.read(len(CANARY)) == CANARY
    # A file that was cut short on its way is no backup: age refuses it.
    dump = target / "postgresql.dump.age"
    dump.write_bytes(dump.read_bytes()[:-100])
    assert decrypt(dump, key).returncode
    whole = len(parts["postgresql.dump"])
    assert stored["postgresql.dump"].problem(whole) == f"has {whole - 100} bytes"
    with pytest.raises(EngineError, match="is damaged: age cannot decrypt it to its end"):
        stored["postgresql.dump"].digest()
    (target / "media.tar.age").unlink()
    assert stored["media.tar"].problem(0) == "is missing"


@pytest.mark.usefixtures("age")
def test_what_age_says_goes_before_what_its_reader_says(folder: Path) -> None:
    """The reader of a stream that ends too early only knows that it ended; its own error counts where age has none."""
    key, one = keys(folder, "first")
    (folder / "source").mkdir()
    (folder / "source/x").write_bytes(os.urandom(300_000))
    Encryption(Engine(Runner(), SOCKET), [one], 20).encrypt(str(folder / "source"), str(folder / "target"))
    stored = StoredFile(str(folder / "target/x"), identity(key))

    def read() -> None:
        with stored.opened() as plain:
            stream(["sh", "-c", "cat >/dev/null; exit 3"], "a reader", source=plain)

    with pytest.raises(StreamError, match="a reader failed"):
        read()
    content = (folder / "target/x.age").read_bytes()
    (folder / "target/x.age").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(EngineError, match=r"x\.age is damaged"):
        read()


@pytest.mark.usefixtures("age")
def test_what_those_who_watch_see(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How far age has read, and nothing of what it reads or of the key."""
    monkeypatch.setattr(meanwhile, "_PAUSE", 0.01)
    key, one = keys(folder, "first")
    (folder / "source").mkdir()
    (folder / "source/x").write_bytes(CANARY * 500_000)
    Encryption(Engine(Runner(), SOCKET), [one], 20).encrypt(str(folder / "source"), str(folder / "target"))
    line, seen = folder / "state/meanwhile/aiia_prod.json", ""
    stored = StoredFile(str(folder / "target/x"), identity(key))
    with meanwhile.telling(str(folder / "state"), "aiia_prod", "token"), stored.opened("loading") as plain:
        plain.read(1 << 20)
        deadline = time.monotonic() + 10
        while not re.search(r": [1-9]", seen) and time.monotonic() < deadline:
            time.sleep(0.01)
            seen = json.loads(line.read_text())["said"] if line.exists() else ""
    assert re.fullmatch(r"loading x: [1-9]\d* (KiB|MiB) of 9 MiB", seen), seen


WRONG = {"mistyped": "mistyped or cut short", "locked": "locked with a passphrase"}


@pytest.mark.usefixtures("age")
@pytest.mark.parametrize("how", WRONG)
def test_a_key_that_cannot_be_used(folder: Path, how: str) -> None:
    key, one = keys(folder, "first")
    if how == "mistyped":
        text = key.read_text().rstrip()
        key.write_text(text[:-1] + ("P" if text.endswith("Q") else "Q"))
    else:
        key.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", key], check=True)
        one = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    (folder / "source").mkdir()
    (folder / "source/x").write_bytes(CANARY)
    Encryption(Engine(Runner(), SOCKET), [one], 20).encrypt(str(folder / "source"), str(folder / "target"))
    with pytest.raises(EngineError, match=WRONG[how]) as refused:
        StoredFile(str(folder / "target/x"), identity(key)).digest()
    said = f"{refused.value.message} {refused.value.detail}"
    assert not [line for line in key.read_text().splitlines() if line[8:] and line in said]


@pytest.mark.usefixtures("age")
def test_the_key_is_in_no_argument_and_no_file(folder: Path) -> None:
    """While age decrypts: neither its arguments nor its environment nor a file have the key or the content."""
    key, one = keys(folder, "first")
    (folder / "source").mkdir()
    (folder / "source/x").write_bytes(CANARY * 100_000)
    Encryption(Engine(Runner(), SOCKET), [one], 20).encrypt(str(folder / "source"), str(folder / "target"))
    private = key.read_text().splitlines()[-1].encode()
    stored = StoredFile(str(folder / "target/x"), identity(key))
    shutil.rmtree(folder / "source")
    key.unlink()
    with stored.opened() as plain:
        assert plain.read(len(CANARY)) == CANARY
        (child,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        for name in ("cmdline", "environ"):
            assert private not in Path(f"/proc/{child}/{name}").read_bytes()
        assert not [path for path in folder.rglob("*") if path.is_file() and private in path.read_bytes()]
        assert not has_canary(folder)
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.usefixtures("age")
def test_encrypted_backups_in_the_directory(folder: Path) -> None:
    """They are listed and restored by name where the key opens them; the latest is no guess where one stays locked."""
    (first, one), (stranger, _other) = keys(folder, "first"), keys(folder, "stranger")
    made = backups(folder, one)
    early, late = (made.make("by hand")["name"] for _count in range(2))
    place = Path(made.directory)
    shutil.rmtree(place / late)
    shutil.copytree(folder / "out" / late, place / late, copy_function=shutil.copyfile)
    (place / late).chmod(0o700)
    assert [entry["name"] for entry in made.complete()] == [early] and made.sealed() == [late]
    assert [entry["name"] for entry in made.complete(identity(first))] == [early, late]
    assert made.sealed(identity(first)) == [] and made.sealed(identity(stranger)) == [late]
    assert find_backup("latest", str(place), "aiia_prod", identity(first))["name"] == late
    assert find_backup("latest", str(place), "aiia_prod")["name"] == early
    assert find_backup(early, str(place), "aiia_prod", identity(stranger))["name"] == early
    for wanted in ("latest", late):
        with pytest.raises(EngineError, match="does not open"):
            find_backup(wanted, str(place), "aiia_prod", identity(stranger))


@pytest.mark.usefixtures("age")
def test_a_machine_without_age_cannot_decrypt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, one = keys(folder, "first")
    copied = folder / "out" / backups(folder, one).make("by hand")["name"]
    shutil.copytree(copied, folder / "state/back", copy_function=shutil.copyfile)
    (folder / "state/back").chmod(0o700)
    monkeypatch.setattr(Engine, "find", lambda _engine, _name: "")
    with pytest.raises(EngineError, match="this machine has no age to decrypt it with"):
        read_manifest(str(folder / "state/back"), identity(key))


@pytest.mark.usefixtures("age")
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_the_size_of_what_age_makes(folder: Path, size: int) -> None:
    _key, one = keys(folder, "first")
    made = subprocess.run(["age", "-r", one], input=b"x" * size, check=True, capture_output=True).stdout
    header = made.index(b"\n", made.index(b"\n---") + 1) + 1
    assert len(made) - header == encrypted_size(size)
