# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the day's jobs decide on the controller."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.step import EnvironmentStep
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs import services as jobs
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.stack import Stack, StackService

SOCKET = "unix:///var/run/docker.sock"


def stack(manage: tuple[str, ...] = ("django",), **depends: list[str]) -> Stack:
    """A stack of services that depend on others; the application's key differs from its name."""
    services: dict[str, Any] = {name: {"depends_on": {key: {} for key in on}} for name, on in depends.items()}
    described = [
        StackService(
            name.removesuffix("_prod"),
            name,
            f"aiia_prod_{name.removesuffix('_prod')}",
            "image",
            manage=("python3", "manage.py") if name.removesuffix("_prod") in manage else (),
        )
        for name in services
    ]
    return Stack({"services": services}, tuple(described))


WHOLE = stack(
    nginx=["django_prod"], django_prod=["pgbouncer", "redis"], pgbouncer=["postgresql"], redis=[], postgresql=[]
)


def test_what_others_depend_on_comes_first() -> None:
    names = [service.name for service in jobs.in_order(WHOLE)]
    assert sorted(names) == ["django", "nginx", "pgbouncer", "postgresql", "redis"]
    for earlier, later in (
        ("postgresql", "pgbouncer"),
        ("pgbouncer", "django"),
        ("redis", "django"),
        ("django", "nginx"),
    ):
        assert names.index(earlier) < names.index(later)


def test_a_circle_ends() -> None:
    """Compose refuses one; a job must not hang on it."""
    assert {service.name for service in jobs.in_order(stack(a=["b"], b=["a"]))} == {"a", "b"}


@pytest.mark.parametrize("wanted", ["django", "django_prod", "aiia_prod_django"])
def test_a_service_by_any_of_its_names(wanted: str) -> None:
    assert [service.name for service in jobs.chosen("aiia_prod", WHOLE, wanted)] == ["django"]


@pytest.mark.parametrize(
    ("wanted", "hint"), [("djnago", "did you mean django?"), ("x", ""), ("aiia_staging_django", "")]
)
def test_an_unknown_service_is_refused_with_the_right_names(wanted: str, hint: str) -> None:
    """Another environment's container is no service of this one."""
    with pytest.raises(ValueError, match="aiia_prod has no service") as error:
        jobs.chosen("aiia_prod", WHOLE, wanted)
    assert hint in str(error.value)
    assert "django, nginx, pgbouncer, postgresql, redis" in str(error.value)


def test_whose_management_command() -> None:
    assert jobs.managed("p", WHOLE, "", "django").name == "django"
    two = stack(("web", "worker"), web=[], worker=[])
    assert jobs.managed("p", two, "", "web").name == "web"
    assert jobs.managed("p", two, "worker", "web").name == "worker"
    for wanted, given, words in (
        ("redis", WHOLE, "service redis of p has no management command"),
        ("", stack((), web=[]), "no service of p has a management command"),
        ("", two, "name one of web, worker"),
    ):
        with pytest.raises(ValueError, match=words):
            jobs.managed("p", given, wanted, "django")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("showmigrations", ["showmigrations"]),
        ("shell -c 'print(1); print(2)'", ["shell", "-c", "print(1); print(2)"]),
        ("a; rm -rf $HOME `id`", ["a;", "rm", "-rf", "$HOME", "`id`"]),
        ("", []),
    ],
)
def test_a_command_is_split_and_never_given_to_a_shell(text: str, found: list[str]) -> None:
    assert jobs.words("bulkhead_manage", text) == found


def test_an_open_quote_is_told() -> None:
    with pytest.raises(ValueError, match="cannot be split into words"):
        jobs.words("bulkhead_manage", "print 'x")


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"ansible_connection": "local"}, "docker exec --interactive --tty c sh"),
        ({"ansible_host": "h"}, "ssh -t h 'docker exec --interactive --tty c sh'"),
        (
            {"ansible_host": "h", "ansible_user": "u", "ansible_port": 2222, "ansible_become": True},
            "ssh -t -p 2222 u@h 'sudo docker exec --interactive --tty c sh'",
        ),
        ({"inventory_hostname": "app1", "ansible_port": "22"}, "ssh -t app1 'docker exec --interactive --tty c sh'"),
    ],
)
def test_the_line_to_type_for_a_terminal(variables: dict[str, Any], line: str) -> None:
    assert jobs.terminal_command("c", SOCKET, SOCKET, variables) == line


def test_an_engine_of_ones_own_is_in_that_line() -> None:
    line = jobs.terminal_command("c", "unix:///run/user/1000/docker.sock", SOCKET, {"ansible_connection": "local"})
    assert line.startswith("docker --host unix:///run/user/1000/docker.sock exec ")


def test_a_command_for_that_terminal() -> None:
    line = jobs.terminal_command("c", SOCKET, SOCKET, {"ansible_host": "h"}, ["python3", "manage.py", "dbshell"])
    assert line == "ssh -t h 'docker exec --interactive --tty c python3 manage.py dbshell'"


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        (["dbshell"], True),
        (["shell"], True),
        (["shell", "-c", "print(1)"], False),
        (["shell", "--command=print(1)"], False),
        (["createsuperuser"], True),
        (["createsuperuser", "--noinput", "--username", "ann"], False),
        (["changepassword", "ann"], True),
        (["migrate"], False),
    ],
)
def test_which_commands_ask_a_person(arguments: list[str], asks: bool) -> None:
    assert jobs.needs_terminal(arguments) is asks


def test_a_log_that_is_followed_shows_nothing_twice() -> None:
    log = ["2026-01-01T00:00:01.1Z a", "2026-01-01T00:00:02.1Z b", "2026-01-01T00:00:03.1Z c"]
    assert jobs.log_lines_after(log, "2026-01-01T00:00:02.1Z") == log[2:]
    assert jobs.log_lines_after(log, "") == log


def test_the_list_is_a_table() -> None:
    row = {"service": "web", "container": "a_web", "condition": "healthy", "image": "i", "started": "2026"}
    assert jobs.listing([row]).splitlines() == [
        "service  container  condition  image  started",
        "web      a_web      healthy    i      2026",
    ]


# ---- steps -----------------------------------------------------------------------------------------------------------


class Declared(SimpleNamespace):
    """What a step reads of a declaration."""

    def __init__(self, group: str, prefix: str, **values: Any) -> None:
        given = {
            "protected": False,
            **values,
        }
        super().__init__(group=group, prefix=prefix, values={f"bulkhead_{key}": value for key, value in given.items()})


def step(own: Declared, *others: Declared, **extra: str) -> EnvironmentStep:
    """A step, without an action around it."""
    gate = SimpleNamespace(declarations=[own, *others])
    own.permissions = extra
    made = EnvironmentStep.__new__(EnvironmentStep)
    made.declaration, made.gate = cast(Any, own), cast(Any, gate)
    made.session = cast(Any, SimpleNamespace(steps=["destroy"]))
    return made


@pytest.mark.parametrize(
    ("protected", "extra", "words"),
    [
        (False, {}, ""),
        (False, {"bulkhead_confirm": "aiia_prod"}, ""),
        (True, {"bulkhead_confirm": "aiia_prod"}, ""),
        (True, {}, "it is protected"),
        (True, {"bulkhead_confirm": ""}, "it says "),
        (True, {"bulkhead_confirm": "aiia"}, "it says aiia"),
        (False, {"bulkhead_confirm": "aiia_staging"}, "it says aiia_staging"),
    ],
)
def test_the_prefix_is_asked_for(protected: bool, extra: dict[str, str], words: str) -> None:
    """Where the environment is protected; and whoever types another one means another one."""
    made = step(Declared("production", "aiia_prod", protected=protected, confirm="aiia_prod"), **extra)
    if not words:
        made.confirm("destroy")
        return
    with pytest.raises(AnsibleActionFail, match=words) as error:
        made.confirm("destroy")
    assert "-e bulkhead_confirm=aiia_prod" in str(error.value)
    assert made.session.steps == [], "a refusal leaves no receipt"
