# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run of several workers is shared and told: real runs of pytest on a few small tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkout import ROOT
from stages import progress, sharing, tools

TESTS = {
    "tests/unit/test_one.py": """
        import pytest
        @pytest.mark.parametrize("value", range(4))
        def test_quick(value): pass
        @pytest.mark.full
        def test_long(): pass
        """,
    "tests/stages/test_lint.py": """
        def test_slow(): import time; time.sleep(2)
        """,
    "tests/e2e/test_guide.py": """
        def test_here(record_property): record_property("report", "requests  failed\\n     120       0")
        """,
    "tests/e2e/test_traffic.py": """
        import pytest
        def test_there(): pass
        @pytest.mark.full
        def test_everything(): pass
        def test_fails(): assert 1 == 2
        """,
    "conftest.py": """
        import os
        from stages import progress
        progress.SLOW_SECONDS, progress.PULSE_SECONDS = 0.5, 0.2
        def pytest_runtest_setup(item):
            print(os.environ.get("PYTEST_XDIST_WORKER"), item.nodeid, file=open("ran", "a"))
        """,
    "pytest.ini": """
        [pytest]
        addopts = -ra --import-mode=importlib --strict-markers
        markers = full
        """,
}
SHARED = ["-p", "stages.sharing", "--dist", "loadscope", "--no-loadscope-reorder"]


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tests above."""
    for path, text in TESTS.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text("\n".join(line[8:] for line in text.splitlines()))
    command = [sys.executable, "-m", "pytest", "-p", "stages.progress", f"--basetemp={directory}/temp", *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**own, "PYTHONPATH": str(ROOT / "tests")}
    paths = ["tests/stages", "tests/unit", "tests/e2e"]
    return subprocess.run(
        [*command, *paths], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_workers(tmp_path: Path, workers: int) -> None:
    """A file or a group of files is one worker's; groups, slow and failed tests and what was left out are told."""
    done = run(tmp_path, *SHARED, "-n", str(workers), "-m", "not full")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [re.sub(r" +\d+ s$", "", line) for line in done.stdout.splitlines()]
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == 8
    for words in ("test_one.py", "/e2e/"):
        assert len({worker for worker, name in ran if words in name}) == 1, ran
    for group, tests in (("lint", 1), ("unit", 4), ("e2e", 3)):
        assert [line for line in lines if re.fullmatch(rf"==> \d/3 {group}, {tests} tests", line)], lines
    ends = [re.sub(r"\d+ s", "0 s", line) for line in lines if line.startswith("<== ")]
    assert sorted(ends) == [
        f"<== {group} {how} in 0 s; since the start"
        for group, how in (("e2e", "1 failed"), ("lint", "passed"), ("unit", "passed"))
    ]
    assert [line for line in lines if re.match(r" {4}gw\d test_lint::test_slow passed in \d s; since", line)], lines
    assert [line for line in lines if re.match(r" {4}gw\d test_traffic::test_fails failed in \d s; since", line)], lines
    assert re.search(r"^    … .*test_lint::test_slow for \d+ s.*; since the start  \d+ s$", done.stdout, re.M), lines
    at = lines.index("left to `make test-full`: 2 tests")
    assert_reported(done.stdout)
    names = ["tests/e2e/test_traffic.py::test_everything", "tests/unit/test_one.py::test_long"]
    assert sorted(lines[at + 1 : at + 3]) == [f"    {name}" for name in names]
    assert re.fullmatch(r"=+ 1 failed, 7 passed in .* =+", done.stdout.splitlines()[-1])


def assert_reported(output: str) -> None:
    """What a test that passes has to report is told as it stands, once."""
    told = r"^    test_guide::test_here reports; .*  \d+ s\n        requests  failed\n             120       0$"
    assert len(re.findall(told, output, re.M)) == 1, output


def test_by_hand(tmp_path: Path) -> None:
    """Without workers the same is said, but for their names."""
    done = run(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    for words in ("==> 1/3 lint, 1 tests", r"    test_traffic::test_fails failed in \d s", "1 failed, 9 passed"):
        assert re.search(words, done.stdout), done.stdout
    assert_reported(done.stdout)


def test_a_tool_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its complaints, else its last lines, are the failure; all of it is in the log, whose last line can be told."""
    monkeypatch.setattr(tools, "LOGS", tmp_path)
    script = "seq 200; echo; echo 'ERROR: this' >&2; echo the end; exit 3"
    with pytest.raises(pytest.fail.Exception) as failure:
        tools.run_tool("tool", ["sh", "-c", script])
    first, *rest = str(failure.value).splitlines()
    assert first == f"tool ended with 3; all of it is in {tmp_path}/tool.log"
    assert len(rest) == tools.LAST_LINES and rest[-3:] == ["", "ERROR: this", "the end"]
    with pytest.raises(pytest.fail.Exception) as failure:
        tools.run_tool("tool", ["sh", "-c", script], complaint="^ERROR: ")
    assert str(failure.value).splitlines()[1:] == ["ERROR: this"]
    assert tools.last_line(60) == "tool: the end"
    assert tools.last_line(-1) == ""


def test_a_tool_that_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output; and the tests beside it go first."""
    monkeypatch.setattr(tools, "LOGS", tmp_path)
    assert int(tools.run_tool("tool", ["nice"])) > os.nice(0)
    assert tools.run_tool("tool", ["sh", "-c", "echo $WORD; pwd"], {"WORD": "word"}, tmp_path) == f"word\n{tmp_path}\n"


def test_last_line_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "LOGS", tmp_path / "none")
    assert tools.last_line(60) == ""


def test_a_worker_tells_what_it_left_out() -> None:
    """As often as it is asked to leave something out."""
    config: Any = SimpleNamespace(workeroutput={})
    silent = progress.Silent(config)

    def chosen(name: str, *markers: str) -> Any:
        return SimpleNamespace(nodeid=name, get_closest_marker=lambda marker: marker in markers)

    silent.pytest_deselected([chosen("a::b", "full"), chosen("a::d")])
    silent.pytest_deselected([chosen("a::e", "slow"), chosen("a::f", "slow", "full")])
    to_full = dict.fromkeys(("a::b", "a::f"), "make test-full")
    assert config.workeroutput == {"left out": {**to_full, "a::e": "make test"}}


def test_units() -> None:
    """A file, but for those that belong together; the names are of files that are there."""
    assert sharing.unit("tests/unit/test_a.py::test") == "tests/unit/test_a.py"
    assert sharing.unit("tests/hazards/test_guide.py::test[a::b]") == "tests/hazards/test_guide.py"
    assert sharing.unit("tests/e2e/test_guide.py::test") == sharing.unit("tests/e2e/test_traffic.py::test") == "guide"
    for path in {*sharing.SMALL}.union(*sharing.TOGETHER.values()):
        assert (ROOT / path).is_file(), path


def item(nodeid: str, *fixtures: str) -> Any:
    return SimpleNamespace(nodeid=nodeid, fixturenames=fixtures)


def test_order() -> None:
    """The guide's tests first of those that are end to end, and what is small last; else as they were."""
    names = ["tests/e2e/test_jobs.py::b", "tests/e2e/test_locks.py::a", "tests/hazards/test_guide.py::z"]
    names += ["tests/e2e/test_traffic.py::d", "tests/e2e/test_traffic.py::c", "tests/unit/test_a.py::a"]
    items = [item(name) for name in names]
    sharing.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == [names[number] for number in (2, 5, 3, 4, 1, 0)]


def test_what_uses_the_guide_is_in_its_group() -> None:
    """Else two workers would deploy it."""
    fine = [item("tests/e2e/test_traffic.py::a", "guide"), item("tests/unit/test_rendering.py::a", "guide")]
    sharing.pytest_collection_modifyitems(fine)
    assert not any(hasattr(item, "setup") for item in fine)
    unnamed = item("tests/e2e/test_locks.py::a", "site", "guide")
    sharing.pytest_collection_modifyitems([*fine, unnamed])
    with pytest.raises(pytest.fail.Exception, match=r"test_locks\.py::a uses the guide's environments"):
        unnamed.setup()
