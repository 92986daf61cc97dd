# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole runs with the callback: on terminals, in pipes, in GitHub's runner, and with playbooks that are not ours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT
from unit.fleets import PRODUCTION, STAGING, write
from unit.runs import NOWHERE, Run, book, fleet, play

pytestmark = pytest.mark.slow

STORY: dict[str, Any] = {"ANSIBLE_STDOUT_CALLBACK": "aiia.bulkhead.story"}
#: What a host says of itself, and what a variable may hold: it must act on nothing.
HOSTILE = "::error::forged\n::add-mask::x\n##[error]old\nbell\x07 \x1b]0;title\x07 \x1b[2Jcleared\rhidden"
SECRET = "the-secret-of-this-test"

#: Everything that Ansible shows in a way of its own.
SINK: dict[str, Any] = {
    "tasks": [
        {"name": "Ok", "ansible.builtin.debug": {"msg": "hello"}},
        {"name": "Hostile", "ansible.builtin.debug": {"msg": "{{ hostile }}"}},
        {"name": "Many", "ansible.builtin.debug": {"msg": "{{ item }}"}, "loop": ["a", "b"]},
        {"name": "Left out", "ansible.builtin.debug": {"msg": "no"}, "when": False},
        {"name": "Hidden", "ansible.builtin.debug": {"msg": "{{ secret }}"}, "no_log": True},
        {
            "name": "A block",
            "block": [{"name": "Breaks", "ansible.builtin.fail": {"msg": "first\nsecond"}}],
            "rescue": [{"name": "Mends", "ansible.builtin.debug": {"msg": "rescued"}}],
            "always": [{"name": "Notifies", "ansible.builtin.set_fact": {"a": 1}, "changed_when": True, "notify": "H"}],
        },
        {"name": "Included", "ansible.builtin.include_tasks": {"file": "more.yml"}},
        {"name": "Writes", "ansible.builtin.copy": {"content": "new\n", "dest": "{{ target }}", "mode": "0600"}},
        {"name": "Crashes", "ansible.builtin.command": {"argv": ["/bin/sh", "-c", "echo said; exit 3"]}},
    ],
    "handlers": [{"name": "H", "ansible.builtin.debug": {"msg": "handled"}}],
}


@pytest.fixture
def sink(tmp_path: Path) -> tuple[Path, Path]:
    """A playbook with no task of ours, and its inventory: one host that is here, and one that is nowhere."""
    (tmp_path / "more.yml").write_text(yaml.safe_dump([{"name": "Deeper", "ansible.builtin.debug": {"msg": "in"}}]))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "hostile": HOSTILE,
        "secret": SECRET,
        "target": str(tmp_path / "written-{{ inventory_hostname }}"),
    }
    hosts = {"one": {}, "away": {"ansible_connection": "ssh", **NOWHERE}}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))
    return inventory, book(tmp_path / "sink.yml", *SINK["tasks"], handlers=SINK["handlers"])


def neutral(text: str) -> str:
    """The output without what differs from run to run."""
    text = re.sub(r"(start|end|delta): '?[\d: .-]+'?", r"\1", text)
    text = re.sub(r"ansible-local-\w+|ansible-tmp-[\d.-]+|\.ansible_[\w.]+|tmp\w{8}", "T", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def test_what_is_not_ours_is_shown_as_ansible_shows_it(sink: tuple[Path, Path]) -> None:
    inventory, playbook = sink
    theirs = play(inventory, "--diff", "-f", "1", playbook=playbook)
    for path in inventory.parent.glob("written-*"):
        path.unlink()
    ours = play(inventory, "--diff", "-f", "1", playbook=playbook, **STORY)
    assert ours.code == theirs.code != 0
    assert SECRET not in ours.output
    # The only difference is what would act on the terminal.
    harmless = re.sub(r"[\x07\x1b\r]", "\ufffd", theirs.output)
    assert neutral(ours.output) == neutral(harmless)
    assert "stdout: said" in ours.output and "UNREACHABLE" in ours.output and "rescued=1" in ours.output


def test_verbose_is_ansible_s_own(tmp_path: Path) -> None:
    inventory = fleet(tmp_path)
    options = ("-v", "--check")  # refused: there is no -l
    theirs, ours = play(inventory, *options), play(inventory, *options, **STORY)
    assert ours.code == theirs.code
    assert neutral(ours.output) == neutral(theirs.output)
    assert "PLAY RECAP" in ours.output


def test_what_runs_nothing(tmp_path: Path) -> None:
    run = play(fleet(tmp_path), "--list-tasks", "--list-hosts", **STORY)
    assert run.code == 0
    assert "Prove on paper" in run.output and "staging-host" in run.output and "Next:" not in run.output


def test_ad_hoc(sink: tuple[Path, Path]) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    variables = {**kept, **STORY, "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [
        str(Path(sys.executable).parent / "ansible"),
        "one",
        "-i",
        str(sink[0]),
        "-m",
        "debug",
        "-a",
        "msg=hello",
    ]
    done = subprocess.run(command, cwd=ROOT, env={**variables, "LANG": "C.UTF-8"}, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"hello" in done.stdout and b"Next:" not in done.stdout


def test_a_refused_deployment(tmp_path: Path) -> None:
    """The error is there once, without Ansible's frame, and the run ends with what to type."""
    run = play(fleet(tmp_path), **STORY)
    assert run.code == 2
    assert run.output.count("there is no -l") == 1
    assert run.output.count("refused before any host was contacted: no-limit") == 1
    assert not re.search(r"fatal:|FAILED!|\[ERROR\]|Origin:|PLAY|TASK|\*\*\*|Traceback", run.output), run.output
    assert re.search(r"^▸ Prove on paper that no environment touches another$", run.output, re.MULTILINE)
    assert re.search(r"^✗ \d+\.\d s, failed$", run.output, re.MULTILINE)
    assert re.search(r"^✗ production-host: .*, 1 step, nothing changed, 1 failed$", run.output, re.MULTILINE)
    assert run.words.endswith(f"Next: # once that is mended ansible-playbook deploy.yml -i {tmp_path}/inventory")


def test_the_screen_of_the_docs(tmp_path: Path) -> None:
    """The page shows what a refused deployment says, word for word but for the time."""
    inventory = fleet(tmp_path, {"production": PRODUCTION, "staging": {**STAGING, "bulkhead_http_port": 80}})
    run = play(inventory, "-l", "staging", COLUMNS="80", **STORY)
    shown = timeless(run.output.replace(f"{tmp_path}/", "").strip())
    assert f"```text\n{shown}\n```" in timeless((ROOT / "docs/operations.md").read_text(encoding="utf-8")), shown


def timeless(text: str) -> str:
    """The text without times of steps."""
    return re.sub(r"\d+(?:\.\d)? s\b", "1.0 s", text)


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (0, ("-l", "staging", "--list-hosts")),
        (1, ("-l", "nobody")),
        (1, ("-l", "staging", "--vault-id", "staging@/nowhere")),
        (2, ("--no-such-option",)),
        (4, ("-e", "@{broken}")),
    ],
)
def test_exit_codes_of_the_docs(tmp_path: Path, code: int, options: tuple[str, ...]) -> None:
    """Those of a refused deployment (2) and of a machine that is away (4) are tested with what they show."""
    broken = tmp_path / "broken.yml"
    broken.write_text("a: [\n")
    run = play(fleet(tmp_path), *(option.format(broken=broken) for option in options), **STORY)
    table = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert run.code == code, run.output
    assert re.search(rf"^\| {code} \|", table, re.MULTILINE)


def test_a_machine_that_is_away(tmp_path: Path) -> None:
    """Narrow, in ASCII, without colours; a step that takes long says so, and the one before has its time."""
    slow = {"ansible_ssh_common_args": "-o ProxyCommand='sleep 2; false'", "ansible_host": "192.0.2.1"}
    inventory = write(tmp_path / "inventory", {"production": PRODUCTION, "staging": STAGING}, None, slow)
    narrow: dict[str, Any] = {"COLUMNS": "40", "LANG": "C", "BULKHEAD_STORY_INTERVAL": "0.6"}
    run = play(inventory, "-l", "staging", **STORY, **narrow)
    assert run.code == 4
    assert "\x1b" not in run.output and "\r" not in run.output
    told = [line for line in run.output.splitlines() if not line.startswith("  ansible")]  # they are to be copied
    assert all(line.isascii() and len(line) <= 40 for line in told), told
    assert re.search(r"^> Prove on paper", run.output, re.MULTILINE)
    assert "... Take the lock and inspect the machine before changing anything: 1 s" in run.words
    assert re.search(r"^x Take the lock", run.output, re.MULTILINE)
    assert "Task failed" not in run.output
    assert f"ansible staging -i {inventory} -m ansible.builtin.ping" in run.output


def test_each_result_has_its_own_name(tmp_path: Path) -> None:
    """With strategy free a slow host is at its first task while another one is at the second."""
    slow, fast = ({"ansible_ssh_common_args": f"-o ProxyCommand='sleep {seconds}; false'"} for seconds in (3, 0))
    hosts = {"production": {"hosts": {"production-host": slow}}, "staging": {"hosts": {"staging-host": fast}}}
    inventory = fleet(tmp_path, hosts=hosts)
    tasks = [{"name": name, "aiia.bulkhead.verify": None, "ignore_unreachable": True} for name in ("First", "Second")]
    run = play(inventory, playbook=book(tmp_path / "book.yml", *tasks, strategy="free"), **STORY)
    ends = re.findall(r"^✗ (First|Second)  .* s, unreachable, (\S+)$", run.output, re.MULTILINE)
    assert sorted(ends) == [
        (name, host) for name in ("First", "Second") for host in ("production-host", "staging-host")
    ]


def test_nobody_reads(tmp_path: Path) -> None:
    """A reader that goes, as head does, ends no run: its exit code is its own."""
    reading, writing = os.pipe()
    os.close(reading)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", fleet(tmp_path), ROOT / "deploy.yml"],
        cwd=ROOT,
        env={**kept, **STORY, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 2 and b"BrokenPipe" not in done.stderr and b"Traceback" not in done.stderr, done.stderr


def on_terminal(inventory: Path, *options: str, columns: int = 60, **variables: str) -> Run:
    """Run a deployment on a terminal of that width. The output is what the terminal gets."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, ROOT / "deploy.yml", *options],
        cwd=ROOT,
        env={
            **kept,
            **STORY,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            **variables,
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    read = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the last one who held the terminal has gone
            break
        if not piece:
            break
        read += piece
    os.close(ours)
    return Run(process.wait(), read.decode().replace("\r\n", "\n"))


def shown(output: str) -> str:
    """What is left to see on a terminal: a line that was taken back is not."""
    return "\n".join(line.rpartition("\r\x1b[K")[2] for line in output.split("\n"))


@pytest.mark.parametrize("plain", [False, True], ids=["colours", "NO_COLOR"])
def test_on_a_terminal(tmp_path: Path, plain: bool) -> None:
    # A network may refuse the connection at once, and then no step takes long enough for a line to move.
    slow = {"ANSIBLE_SSH_ARGS": "-o ProxyCommand='sleep 1'"}
    variables: dict[str, Any] = {**slow, **({"NO_COLOR": "1"} if plain else {})}
    run = on_terminal(fleet(tmp_path), "-l", "staging", **variables)
    assert run.code == 4
    moving = re.findall(r"\r\x1b\[K([^\r\n\x1b]*  \d+ s)", run.output)
    assert moving and all(re.match(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] (Prove|Take)", line) and len(line) < 60 for line in moving)
    left = shown(run.output)
    assert "⠋" not in left and "⠙" not in left
    assert bool(re.search(r"\x1b\[0;32m✓", left)) is not plain
    readable = re.sub(r"\x1b\[[0-9;]*m", "", left)
    assert "\x1b" not in readable and "\r" not in readable
    proved = readable[readable.index("proved on paper") : readable.index("✓")]
    assert all(len(line) <= 60 for line in proved.splitlines()), proved
    assert re.search(r"^✗ Take the lock", readable, re.MULTILINE)


def test_in_github_actions(tmp_path: Path) -> None:
    """Findings are annotations, steps fold, and no text of others is a command."""
    groups = {"production": PRODUCTION, "staging": {**STAGING, "bulkhead_http_prot": 80}}
    inventory = fleet(tmp_path, groups)
    runner: dict[str, Any] = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path), **STORY}
    run = play(inventory, "-l", "staging", **runner)
    assert run.code == 2
    errors = [line for line in run.output.splitlines() if line.startswith("::")]
    assert errors and all(line.startswith("::error ") for line in errors), run.output
    assert any("file=inventory/" in line and ",line=" in line for line in errors), errors
    away = play(fleet(tmp_path / "second"), "-l", "staging", **runner)
    lines = away.output.splitlines()
    assert (
        lines.index("::group::Take the lock and inspect the machine before changing anything")
        < lines.index("::endgroup::")
        < next(number for number, line in enumerate(lines) if line.startswith("✗ Take the lock"))
    )
    assert any(line.startswith("::error title=unreachable::staging-host: ") for line in lines)


def test_others_cannot_command_github(sink: tuple[Path, Path]) -> None:
    inventory, _playbook = sink
    hidden = {"name": "Hidden", "ansible.builtin.fail": {"msg": "{{ secret }}"}, "no_log": True}
    failing = {"name": "::error::name", "ansible.builtin.fail": {"msg": "{{ hostile }}"}, "ignore_errors": True}
    playbook = book(inventory.with_name("book.yml"), SINK["tasks"][1], failing, hidden)
    run = play(inventory, "-l", "one", playbook=playbook, GITHUB_ACTIONS="true", **STORY)
    assert run.code == 2
    assert "forged" in run.output and SECRET not in run.output
    for line in re.split(r"[\r\n]", run.output):
        assert not re.match(r"[\s\ufeff]*::", line), line
        assert "##[" not in line
