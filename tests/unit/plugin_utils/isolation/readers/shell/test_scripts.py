# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shell, crontabs, units and Makefiles as commands; calls of Docker taken apart."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.shell.docker_call import docker_call
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.shell.schedules import (
    read_crontab,
    read_unit,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.shell.scripts import (
    Command,
    locks,
    pipelines,
    read_script,
    unwrap,
)


def commands(text: str, path: str = "deploy.sh") -> tuple[Command, ...]:
    """The commands of a script."""
    return read_script(text, path).commands


def argvs(text: str) -> list[str]:
    """The commands of a script, each in one line."""
    return [command.text for command in commands(text) if command.argv]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b; c && d || e | f &", ["a b", "c", "d", "e", "f"]),
        ("a 'b; c' \"d && e\" f\\ g", ["a b; c d && e f g"]),
        ("# a\na # b\na#b", ["a", "a#b"]),
        ("a \\\n  b", ["a b"]),
        ("if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
        ("while read x; do a; done < f; for i in 1 2; do b; done", ["read x", "a", "b"]),
        ("case $x in a|b) c ;; (d) e;; *) f; esac; g", ["c", "e", "f", "g"]),
        ("f() { a; }\nf", ["f", "a", "f"]),
        ('a $(b "$(c)") `d`', ["c", "b $(c)", "d", 'a $(b "$(c)") `d`']),
        ("a <<EOF\nb; c\nEOF\nd", ["a", "d"]),
        ("bash <<'E'\nb\nE\nd", ["bash", "b", "d"]),
        ("bash -c 'a; b'", ["bash -c a; b", "a", "b"]),
        ("ssh -p 22 u@h 'cd /x && a'", ["ssh -p 22 u@h cd /x && a", "cd /x", "a"]),
        ("sudo -u x env A=1 timeout 5 flock -n /l a b", ["a b"]),
        ("a ${x:-b;c} $((1+2))", ["a ${x:-b;c} $((1+2))"]),
        ("a 'never closed\nb", ["a never closed\nb"]),
        ("! a", ["a"]),
        ("X=1 Y=2 a", ["a"]),
        ("a > f 2>&1 < g", ["a"]),
    ],
)
def test_cut(text: str, expected: list[str]) -> None:
    """Every command and no other; what only looks like one is text."""
    assert argvs(text) == expected


def test_lines_and_joins() -> None:
    """Lines are counted through quotes, here-documents and substitutions."""
    found = commands("a 'x\ny' &&\n  b\ncat <<E\n1\n2\nE\nc $(\n d\n) | e\n")
    assert [(command.program, command.where.line, command.joined) for command in found] == [
        ("a", 1, ""),
        ("b", 3, "&&"),
        ("cat", 4, "\n"),
        ("d", 9, "\n"),
        ("c", 8, "\n"),
        ("e", 10, "|"),
    ]


@pytest.mark.parametrize(
    ("text", "directory"),
    [
        ("x", ""),
        ("cd /a; x", "/a"),
        ("cd /a && cd b/../c; x", "/a/c"),
        ("cd b; x", "b"),
        ('D=/a/b\ncd "$D"; x', "/a/b"),
        ("export D=/a; cd ${D}/c; x", "/a/c"),
        ("cd $D; x", None),
        ("D=/a; D=/b; cd $D; x", None),
        ("cd -; x", None),
        ("cd; x", None),
        ("(cd /a; y); x", ""),
        ("cd ~/a; x", "~/a"),
        ("D=$(pwd); cd $D; x", None),
    ],
)
def test_directory(text: str, directory: str | None) -> None:
    """Where a command runs, as far as the text says."""
    assert commands(text)[-1].directory == directory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", False),
        ("set -e; x", True),
        ("set -euo pipefail\nx", True),
        ("set -o errexit; x", True),
        ("set -o pipefail; x", False),
        ("set -e; set +e; x", False),
        ("#!/bin/sh -e\nx", True),
        ("#!/usr/bin/env -S bash -eu\nx", True),
        ("#!/usr/bin/env -S bash\nx", False),
    ],
)
def test_errexit(text: str, expected: bool) -> None:
    """Whether a failing command ends the script."""
    assert commands(text)[-1].errexit is expected


def test_default_branches() -> None:
    """What runs where nothing else matched."""
    text = "if a; then E=1; else E=2; fi\ncase $x in a) E=3 ;; *) E=4 ;; esac\nE=5"
    assert [command.assignments["E"] for command in commands(text) if command.default] == ["2", "4"]


def test_crontab() -> None:
    """Schedules, the user field of cron.d, variables, and the percent sign."""
    own = read_crontab("MAILTO=x\n# 1 2 3 4 5 no\n30 3 * * 1-5 a b%c\n@daily d\n", "crontab").commands
    assert [(command.schedule, command.text) for command in own] == [("30 3 * * 1-5", "a b"), ("@daily", "d")]
    system = read_crontab("0 3 * * * root cd /x && a\n", "/etc/cron.d/app").commands
    assert [(command.text, command.directory) for command in system] == [("cd /x", ""), ("a", "/x")]


def test_unit() -> None:
    """Settings with their lines, commands with their directory."""
    unit = read_unit("[Service]\nWorkingDirectory=/srv/a\nExecStart=-/usr/bin/docker compose \\\n  up\n", "a.service")
    assert [(command.argv, command.directory) for command in unit.commands] == [
        (("/usr/bin/docker", "compose", "up"), "/srv/a")
    ]
    assert unit.entries[0][1:3] == ("WorkingDirectory", "/srv/a")
    assert unit.entries[1][3].line == 3


def test_makefile() -> None:
    """Recipes only, with make's variables; every line is guarded."""
    found = commands("D := /srv/a\nup: x\n\t@cd $(D) && a $$HOME\nE = 1\n", "Makefile")
    assert [(command.text, command.directory, command.errexit, command.where.line) for command in found] == [
        ("cd /srv/a", "", True, 3),
        ("a $HOME", "/srv/a", True, 3),
    ]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("GNUmakefile", "up:\n\t@a\n", ["a"]),
        ("Makefile.prod", "up: down ; @a\n", ["a"]),
        ("Makefile", "X := a;b\nup: $(X)\n c\n", []),
        ("justfile", "up:\n    @a\n    -b\n", ["a", "b"]),
    ],
)
def test_recipes(path: str, text: str, expected: list[str]) -> None:
    """Recipes by whatever name the file goes, on lines of their own or not."""
    assert [command.text for command in commands(text, path)] == expected


def test_pipelines() -> None:
    """Commands that a pipe joins."""
    assert [[command.program for command in group] for group in pipelines(commands("a | b | c; d\ne | f"))] == [
        ["a", "b", "c"],
        ["d"],
        ["e", "f"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flock -n /tmp/x.lock a", [("/tmp/x.lock", True)]),
        ("flock /tmp/x.lock -c 'a b'", [("/tmp/x.lock", False)]),
        ("exec 9>/tmp/x.lock", [("/tmp/x.lock", False)]),
        ("flock 9", []),
        ("mkdir /tmp/x.lock", [("/tmp/x.lock", True)]),
        ("echo flock", []),
    ],
)
def test_locks(text: str, expected: list[tuple[str, bool]]) -> None:
    """Files that are taken as locks."""
    assert [(lock.path, lock.bounded) for lock in locks(commands(text)[0])] == expected


def test_unwrap_keeps_what_calls_nothing() -> None:
    """``sudo`` without a command is itself."""
    assert unwrap(("sudo", "-i")) == ("sudo", "-i")
    assert unwrap(()) == ()


def test_nesting_ends() -> None:
    """Shells within shells are bounded."""
    text = "a"
    for _unused in range(30):
        text = "eval $(" + text + ")"
    assert len(commands(text)) < 100


@pytest.mark.parametrize(
    ("text", "verb", "files", "project", "flags"),
    [
        ("docker compose -f a.yml -f b.yml -p x up -d --build", ("up",), ("a.yml", "b.yml"), "x", {"-d", "--build"}),
        ("docker-compose -fa.yml down -v", ("down",), ("a.yml",), "", {"-v"}),
        ("docker --context c compose --project-name=x ps", ("ps",), (), "x", set()),
        ("docker compose rm -sfv web", ("rm",), (), "", {"-s", "-f", "-v"}),
        ("/usr/local/bin/docker-compose logs -f web", ("logs",), (), "", {"-f"}),
    ],
)
def test_compose_call(text: str, verb: tuple[str, ...], files: tuple[str, ...], project: str, flags: set[str]) -> None:
    """Options before the verb are Compose's, those after it the verb's."""
    call = docker_call(text.split())
    assert call is not None
    assert (call.compose, call.verb, call.files, call.project, set(call.flags)) == (True, verb, files, project, flags)


def test_docker_call() -> None:
    """Management commands have two words; filters and arguments are told apart."""
    call = docker_call(["docker", "system", "prune", "-af", "--volumes", "--filter", "label=a=b"])
    assert call is not None
    assert (call.verb, call.filters, call.has("--volumes", "-x")) == (("system", "prune"), ("label=a=b",), True)
    run = docker_call(["docker", "exec", "-i", "-e", "A=1", "db", "psql", "-U", "app", "-l"])
    assert run is not None
    assert (run.verb, run.arguments) == (("exec",), ("db", "psql", "-U", "app", "-l"))
    assert docker_call(["git", "pull"]) is None
    assert docker_call([]) is None
    down = docker_call(["docker", "compose", "down", "--rmi", "all", "--remove-orphans"])
    assert down is not None
    assert (down.values["--rmi"], down.has("--remove-orphans"), down.arguments) == (("all",), True, ())
