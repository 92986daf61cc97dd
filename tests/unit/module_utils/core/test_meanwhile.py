# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module tells while it works: one bounded line, closed to others, gone at the end, and never an obstacle."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import meanwhile
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.meanwhile import (
    Heard,
    hearing,
    is_told,
    of_bytes,
    of_reading,
    of_registry,
    of_run,
    short,
    size,
    tell,
    telling,
    watching,
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two lines."""
    monkeypatch.setattr(meanwhile, "_PAUSE", 0.01)


def said(state: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((state / "meanwhile/aiia_prod.json").read_text())
    return found


def test_a_line_is_there_while_it_works(tmp_path: Path) -> None:
    with telling(str(tmp_path), "aiia_prod", "token"):
        assert is_told()
        tell("building\n\tthis")
        assert said(tmp_path) == {"run": of_run("token"), "said": "building this"}
        assert (tmp_path / "meanwhile/aiia_prod.json").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "meanwhile").stat().st_mode & 0o077 == 0
        time.sleep(0.02)
        tell("next")
        assert said(tmp_path)["said"] == "next"
    assert not is_told()
    assert list((tmp_path / "meanwhile").iterdir()) == []


@pytest.mark.parametrize(("prefix", "token"), [("", "token"), ("aiia_prod", "")])
def test_without_a_run_nothing_is_written(tmp_path: Path, prefix: str, token: str) -> None:
    """As a scheduled backup, or check mode, where nobody holds a lock."""
    with telling(str(tmp_path), prefix, token):
        assert not is_told()
        tell("anything")
    assert list(tmp_path.iterdir()) == []


def test_another_run_is_not_this_one() -> None:
    assert of_run("token") != of_run("other") and "token" not in of_run("token")


def test_lines_that_come_too_soon_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanwhile, "_PAUSE", 60)
    with telling(str(tmp_path), "aiia_prod", "token"):
        tell("first")
        tell("second")
        assert said(tmp_path)["said"] == "first"


def test_a_directory_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    """A file stands where the directory should be; and one of the state directory's links leads elsewhere."""
    (tmp_path / "meanwhile").write_text("in the way")
    with telling(str(tmp_path), "aiia_prod", "token"):
        tell("anything")
    assert (tmp_path / "meanwhile").read_text() == "in the way"


def test_a_long_line_ends_between_words() -> None:
    """Half a secret would not be hidden, because nobody knows that it is one."""
    text = f"{'word ' * 58}the-secret-of-this-test"
    assert len(text) > 300 and "secret" not in short(text) and short(text).endswith(" …")
    assert short("x" * 400) == " …"
    assert short("ends  here\n") == "ends here"


def test_what_a_look_finds_is_told_meanwhile(tmp_path: Path) -> None:
    """A look that fails tells nothing and stops nothing."""
    found = iter(["", "12 KiB"])

    def look() -> str:
        said_now = next(found)
        if not said_now:
            raise ZeroDivisionError
        return said_now

    with telling(str(tmp_path), "aiia_prod", "token"), watching(look):
        deadline = time.monotonic() + 10
        while not (tmp_path / "meanwhile/aiia_prod.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert said(tmp_path)["said"] == "12 KiB"


def test_what_a_program_says(tmp_path: Path) -> None:
    """Its errors are whole at the end, as if nobody had watched."""
    with telling(str(tmp_path), "aiia_prod", "token"), hearing("building") as heard:
        assert heard is not None
        script = "echo out; echo '#5 [web 2/3] RUN make' >&2; echo '#5 0.1 gcc' >&2; exit 3"
        command = [*heard.prefix(), "sh", "-c", script]
        done = subprocess.run(command, pass_fds=heard.open_files, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "")
        assert heard.line() == "building: [web 2/3] RUN make: #5 0.1 gcc"
        assert heard.text().splitlines() == ["#5 [web 2/3] RUN make", "#5 0.1 gcc"]
    with hearing("building") as nobody:
        assert nobody is None


def test_a_line_that_is_not_complete_is_not_told(tmp_path: Path) -> None:
    with (tmp_path / "errors").open("w+b", buffering=0) as file:
        file.write(b"first\nhalf of a sec")
        heard = Heard("pulling", file)
        assert heard.line() == "pulling: first"
        file.write(b"ret\r50 %\r")
        assert heard.line() == "pulling: 50 %"
        assert heard.line() == "pulling: 50 %"
        assert heard.text() == "first\nhalf of a secret\r50 %\r"


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (2048, "2 KiB"), (3 << 20, "3 MiB"), (5 << 29, "2.5 GiB")])
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words


def test_how_far_a_file_was_read(tmp_path: Path) -> None:
    """By this process, or by one that inherited it, as pg_restore does."""
    assert of_bytes("dumping it", 2048) == "dumping it: 2 KiB"
    (tmp_path / "file").write_bytes(b"x" * 4096)
    with (tmp_path / "file").open("rb", buffering=0) as file:
        file.read(1024)
        assert of_reading("loading file", file) == "loading file: 1 KiB of 4 KiB"
        subprocess.run(["dd", "bs=1024", "count=1", "status=none"], stdin=file, capture_output=True, check=True)
        assert of_reading("loading file", file) == "loading file: 2 KiB of 4 KiB"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"status":"Downloading","id":"a1","progress":"[=> ] 1MB/2MB"}', "Downloading a1 [=> ] 1MB/2MB"),
        (b'{"errorDetail":{}}', ""),
        (b"no json", ""),
        (b"[1]", ""),
    ],
)
def test_what_a_pull_says(line: bytes, words: str) -> None:
    assert of_registry(line) == words
