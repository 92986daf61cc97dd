# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What those who watch see while a backup is read: which file, what for, and how much of it was read."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.decryption import StoredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.files import listing
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.postgresql import PostgreSQLServer
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import meanwhile
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.meanwhile import telling


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two lines."""
    monkeypatch.setattr(meanwhile, "_PAUSE", 0.01)


def said(state: Path, words: str) -> str:
    """The line that those who watch see, as soon as it has these words."""
    deadline, line = time.monotonic() + 10, ""
    while words not in line and time.monotonic() < deadline:
        time.sleep(0.01)
        if (state / "meanwhile/aiia_prod.json").exists():
            line = str(json.loads((state / "meanwhile/aiia_prod.json").read_text())["said"])
    return line


def test_how_much_of_a_file_was_read(tmp_path: Path) -> None:
    path = tmp_path / "media.tar"
    path.write_bytes(bytes(3 << 20))
    with telling(str(tmp_path), "aiia_prod", "token"), StoredFile(str(path)).opened("unpacking") as stream:
        stream.read(1 << 20)
        assert said(tmp_path, "1 MiB") == "unpacking media.tar: 1 MiB of 3 MiB"


class Engine:
    """Shows what is told while a program reads, and reads as much as it does."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.lines: list[str] = []

    def stream(self, _what: str, *_command: str, source: IO[bytes], read: Any = None, **_more: Any) -> Any:
        source.read(2048)
        time.sleep(0.2)  # the line of the call before is still there
        self.lines.append(said(self.state, "of 4 KiB"))
        return read(io.BytesIO(b"")) if read else None


Work = Callable[[PostgreSQLServer, StoredFile], object]


@pytest.mark.parametrize(
    ("work", "doing"),
    [
        (lambda server, file: server.read_back(file), "reading back"),
        (lambda server, file: server.load(file, "aiia_prod"), "loading"),
    ],
)
def test_a_dump_that_is_read_by_the_server(tmp_path: Path, work: Work, doing: str) -> None:
    """In a restore, and when a backup is read back."""
    path = tmp_path / "postgresql.dump"
    path.write_bytes(bytes(4096))
    engine: Any = Engine(tmp_path)
    with telling(str(tmp_path), "aiia_prod", "token"):
        work(PostgreSQLServer(engine, "aiia_prod_postgresql", "aiia"), StoredFile(str(path)))
    assert engine.lines[-1].startswith(f"{doing} postgresql.dump: ") and engine.lines[-1].endswith(" of 4 KiB")


def test_an_archive_that_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lines = tmp_path / "media.tar", []
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("media/one"), io.BytesIO())
    real = tarfile.TarInfo.isdir

    def look(member: tarfile.TarInfo) -> bool:
        lines.append(said(tmp_path, "reading back"))
        return real(member)

    monkeypatch.setattr(tarfile.TarInfo, "isdir", look)
    with telling(str(tmp_path), "aiia_prod", "token"):
        assert listing(StoredFile(str(path))) == {"files": 1, "size": 0}
    assert lines[0].startswith("reading back media.tar: ")
