# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What other users of the machine write, and every deployment's observation reads: none of it stops or delays one."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import directory, handles
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.json_with_digest import (
    decode_sealed,
    dump,
    encode_sealed,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import facts, sockets
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry

KEY = b"k" * 32

#: Calls the kernel's function that gives this process a name of arbitrary bytes, and listens.
PROCESS = (
    "import ctypes, socket, sys; ctypes.CDLL(None).prctl(15, b'\\xff\\x1b[2Jx\\n', 0, 0, 0);"
    "server = socket.create_server(('127.0.0.1', 0)); print(server.getsockname()[1], flush=True); sys.stdin.read()"
)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where the block takes more of the processor's time."""
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


@pytest.mark.parametrize("depth", [300, 3000, 100000])
def test_a_sealed_copy_that_is_nested_too_deeply(tmp_path: Path, depth: int) -> None:
    """The registry reads the copies in all environments' directories."""
    copy = tmp_path / "staging" / Registry.COPY
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b'{"claims": %s%s}' % (b"[" * depth, b"]" * depth))
    assert Registry(str(tmp_path / "state")).entries([str(tmp_path / "staging")]) == {}


def test_a_sealed_copy_that_is_too_long() -> None:
    """Small objects take many times the memory of their text."""
    with within(0.5), pytest.raises(ValueError, match="too long"):
        decode_sealed(b"[%s{}]" % (b"{}," * 20_000_000), KEY)
    entry = {"claims": [{"key": "x" * 100}] * 10_000}
    assert decode_sealed(encode_sealed(entry, KEY), KEY) == entry


def test_only_what_is_nested_too_deeply_cannot_be_encoded() -> None:
    value: object = []
    for _level in range(20):
        value = [value]
    assert dump(value)
    for _level in range(5000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        dump(value)


@pytest.mark.parametrize("text", ["gitdir: \0", "gitdir: x\0y", "gitdir: " + "a/" * 1_000_000, "gitdir: " + "é" * 5000])
@pytest.mark.parametrize("name", [".git", ".git/commondir", ".git/HEAD"])
def test_a_path_in_a_checkout_that_is_none(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text if name == ".git" else text.partition(" ")[2], encoding="utf-8")
    with within(1):
        found = facts.checkout(str(tmp_path))
    assert found["place"] == str(tmp_path)
    assert not found.get("branch") and not found.get("commit")


def test_a_list_of_references_that_is_endless(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/a.b\n")
    wanted = "4" * 40
    lines = "%s refs/heads/axb\n" % ("5" * 40) + "xy\n" * 1_000_000 + f"{wanted} refs/heads/a.b\n"
    (tmp_path / ".git/packed-refs").write_text(lines)
    with within(1):
        assert facts.checkout(str(tmp_path))["commit"] == wanted


def test_files_in_force_below_many_directories(tmp_path: Path) -> None:
    """Only those of two levels are looked for."""
    private = tmp_path / ".bulkhead/private"
    deep = private / "one"
    deep.mkdir(parents=True)
    (deep / "first").write_text("1")
    (deep / "second").mkdir()
    (deep / "second/file").write_text("2")
    (deep / "second/third").mkdir()
    (deep / "second/third/too-deep").write_text("3")
    (private / "file").write_text("4")
    found = os.open(deep, os.O_RDONLY)
    try:
        for _level in range(1500):
            os.mkdir("a", dir_fd=found)
            above, found = found, os.open("a", os.O_RDONLY, dir_fd=found)
            os.close(above)
    finally:
        os.close(found)
    with within(1):
        digests = facts.files_digest(str(tmp_path), KEY)
    assert list(digests) == [f".bulkhead/private/one/{name}" for name in ("first", "second/file")]
    subprocess.run(["rm", "-rf", str(deep)], check=True)


def test_files_in_force_that_are_many_and_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with holes take no place on the disk, and the processor's time all the same."""
    (tmp_path / "docker/nginx").mkdir(parents=True)
    for number in range(200):
        with (tmp_path / f"docker/nginx/{number:03}").open("wb") as stream:
            stream.truncate(directory.handles.LARGEST)
    (tmp_path / ".env").write_text("A=1")
    with within(3):
        digests = facts.files_digest(str(tmp_path), KEY)
    assert len(digests[".env"]) == 32 and len(digests["docker/nginx/000"]) == 32, "the control"
    assert digests["docker/nginx/199"] == "unreadable"
    monkeypatch.setattr(facts, "_MOST_FILES", 100)
    assert len(facts.files_digest(str(tmp_path), KEY)) == 100


def test_a_directory_of_very_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "_MOST_NAMES", 3)
    for name in ("c", "a", "b"):
        (tmp_path / name).touch()
    assert directory.Tree(str(tmp_path)).names() == ["a", "b", "c"]
    (tmp_path / "d").touch()
    with pytest.raises(directory.TreeError, match="more than 3 names"):
        directory.Tree(str(tmp_path)).names()


@pytest.mark.parametrize(
    "repeated", ["a", "secret", "secret=", "://:", "login ", "--password=", "é", '"', "secret='", "token: \t"]
)
def test_a_line_of_a_schedule_that_takes_long_to_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repeated: str
) -> None:
    path = tmp_path / "crontab"
    line = "* * * * * docker %s\n" % (repeated * (100_000 // len(repeated)))
    path.write_text(line * 5 + "0 3 * * * docker login -u a -p hunter2\n", encoding="utf-8")
    monkeypatch.setattr(facts, "CRON", (str(path),))
    monkeypatch.setattr(facts, "UNITS", ())
    with within(3):
        (found,) = facts.schedules()
    assert len(found["lines"]) == 6 and found["lines"][-1] == "0 3 * * * docker login -u a -p ***"


@pytest.mark.parametrize("length", range(1900, 2100, 3))
def test_no_secret_is_cut_in_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    path = tmp_path / "crontab"
    path.write_text(f"docker {'a' * length} https://me:hunter2-and-more@host/ {'b' * 5000}\n")
    monkeypatch.setattr(facts, "CRON", (str(path),))
    monkeypatch.setattr(facts, "UNITS", ())
    ((line,),) = (found["lines"] for found in facts.schedules())
    assert "hunter" not in line


def test_the_name_of_a_process_is_its_own() -> None:
    """It may hold any bytes, and is printed."""
    with subprocess.Popen([sys.executable, "-c", PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        port = int(process.stdout.readline())
        assert b"\xff" in Path(f"/proc/{process.pid}/comm").read_bytes()
        (found,) = [seen for seen in facts.listening() if seen["port"] == port]
        process.stdin.close()
    assert found["process"] == f"\N{REPLACEMENT CHARACTER} [2Jx (pid {process.pid})"


def test_the_path_of_a_socket_is_its_users() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fsencode(folder) + b"/\xff\xfe")
        assert sockets.connected_to(["nobody/https.sock"]) == 0
