# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who vouches for images, where that is looked at, and as whom another environment's machine is entered."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.parsing.vault import VaultSecretsContext
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.templates import Templates
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.other_machine import (
    _connection,
    _play_context,
    connection_variables,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.step import EnvironmentStep
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs import promotion
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.promotion import promotion_arguments
from unit.fleets import PRODUCTION, STAGING, declarations, encrypted, inline, read, secrets, write

SOCKET = "unix:///var/run/docker.sock"
SEEN = {"prefix": "app_staging", "containers": []}


class Fleet:
    """Production, which asks staging, with what was called where."""

    def __init__(self, directory: Path, production: dict[str, Any], staging: dict[str, Any]) -> None:
        groups = {
            "production": {**PRODUCTION, "bulkhead_promotion_from": "staging", **production},
            "staging": {**STAGING, **staging},
        }
        inventory = read(write(directory, groups))
        found = declarations(inventory)
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.answer: dict[str, Any] = {"evidence": SEEN}
        self.step = EnvironmentStep.__new__(EnvironmentStep)
        self.step.declaration = found["production"]
        templates = Templates(inventory.loader)
        gate = SimpleNamespace(declarations=[*found.values()], renderer=SimpleNamespace(inert=templates))
        self.step.gate = cast(Any, gate)

    def here(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("here", name, arguments))
        return self.answer

    def there(
        self, _step: EnvironmentStep, reached: dict[str, Any], _left: list[str], name: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        self.calls.append((reached["inventory_hostname"], name, arguments))
        if "unreachable" in self.answer:
            raise AnsibleConnectionFailure(self.answer["unreachable"])
        return self.answer


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes one; every host of it is a machine of its own."""

    def make(production: dict[str, Any] | None = None, staging: dict[str, Any] | None = None) -> Fleet:
        made = Fleet(tmp_path / str(len(list(tmp_path.iterdir()))), production or {}, staging or {})
        monkeypatch.setattr(promotion, "module_elsewhere", made.there)
        monkeypatch.setattr(promotion, "own_variables", lambda _step: {"ansible_user": "deploy"})
        monkeypatch.setattr(made.step, "module", made.here)
        return made

    return make


def test_nothing_is_looked_at_where_nothing_is_demanded(fleet: Any) -> None:
    made = fleet({"bulkhead_promotion_from": ""})
    assert promotion_arguments(made.step) == {}
    assert made.calls == []


ELSEWHERE = {"bulkhead_docker_host": "unix:///other", "bulkhead_state_directory": "/s"}


@pytest.mark.parametrize(
    ("machines", "where", "named"),
    [
        ({}, "staging-host", "staging-host unix:///other /s"),
        ({"bulkhead_machine": "one"}, "here", "unix:///other /s"),
        ({"ansible_host": "m"}, "here", "unix:///other /s"),
    ],
)
def test_where_it_is_looked_at(fleet: Any, machines: dict[str, str], where: str, named: str) -> None:
    """On staging's own machine; through our own connection where that is the same one. The same is read in both."""
    made = fleet({**machines, "bulkhead_promotion_machine": named}, {**machines, **ELSEWHERE})
    assert promotion_arguments(made.step) == {"minutes": 60, "evidence": SEEN}
    assert made.calls == [
        (
            where,
            "evidence",
            {
                "prefix": "app_staging",
                "project": "app_staging",
                "directory": "/srv/staging/app",
                "state_directory": "/s",
                "docker_host": "unix:///other",
                "token": "",
            },
        )
    ]


@pytest.mark.parametrize("named", ["", "staging.example.com"])
@pytest.mark.parametrize(
    ("staging", "place"),
    [
        ({}, "staging-host"),
        ({"ansible_host": "evil.example"}, "evil.example"),
        ({"ansible_host": "staging.example.com", "ansible_port": 2222}, "staging.example.com:2222"),
        ({"ansible_host": "staging.example.com", "ansible_user": "eve"}, "eve@staging.example.com"),
        (
            {"ansible_host": "staging.example.com", "bulkhead_docker_host": "tcp://evil.example:2375"},
            "staging.example.com tcp://evil.example:2375",
        ),
        (
            {"ansible_host": "staging.example.com", "bulkhead_state_directory": "/home/eve"},
            "staging.example.com /home/eve",
        ),
        ({"bulkhead_machine": "production-host", "bulkhead_docker_host": "tcp://evil:2375"}, "tcp://evil:2375"),
        ({"bulkhead_machine": "production-host", "bulkhead_state_directory": "/home/eve"}, "/home/eve"),
    ],
)
def test_staging_does_not_choose_who_is_believed(fleet: Any, staging: dict[str, Any], place: str, named: str) -> None:
    """Whoever writes staging's variables cannot have the evidence read from a machine, engine or state of their own."""
    made = fleet({"bulkhead_promotion_machine": named}, staging)
    with pytest.raises(AnsibleActionFail) as error:
        promotion_arguments(made.step)
    assert f"set bulkhead_promotion_machine: '{place}' in group_vars/production" in str(error.value)
    assert made.calls == []


def test_who_is_named_is_believed(fleet: Any) -> None:
    """The control; and on one machine and engine nothing is to be named."""
    named = {"bulkhead_promotion_machine": "staging.example.com"}
    made = fleet(named, {"ansible_host": "staging.example.com", "ansible_port": 22, "ansible_user": "deploy"})
    assert promotion_arguments(made.step)["evidence"] == SEEN and made.calls[0][0] == "staging-host"
    same = {"bulkhead_machine": "one"}
    made = fleet(same, same)
    assert promotion_arguments(made.step)["evidence"] == SEEN and made.calls[0][0] == "here"
    made = fleet({**same, **named}, same)
    with pytest.raises(AnsibleActionFail, match="remove bulkhead_promotion_machine"):
        promotion_arguments(made.step)


@pytest.mark.parametrize(
    ("own", "other", "words"),
    [
        ({"bulkhead_promotion_from": "stagign"}, {}, "no other environment of that group .it has: staging"),
        ({"bulkhead_promotion_from": "production"}, {}, "no other environment of that group"),
        ({}, {"bulkhead_directory": None}, "cannot be seen: bulkhead_directory is not set"),
    ],
)
def test_who_cannot_be_asked_does_not_vouch(fleet: Any, own: dict[str, Any], other: dict[str, Any], words: str) -> None:
    made = fleet(own, other)
    with pytest.raises(AnsibleActionFail, match=words):
        promotion_arguments(made.step)
    assert made.calls == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"unreachable": "staging-host cannot be asked: no route"}, "staging-host cannot be asked: no route"),
        ({"failed": True, "msg": "app_staging: no engine", "detail": "more"}, "app_staging: no engine"),
        ({"failed": True}, "its machine gave no answer"),
        ({}, "its machine gave no answer"),
    ],
)
def test_what_cannot_be_seen_is_no_proof(fleet: Any, answer: dict[str, Any], words: str) -> None:
    made = fleet({"bulkhead_promotion_machine": "staging-host"})
    made.answer = answer
    with pytest.raises(AnsibleActionFail) as error:
        promotion_arguments(made.step)
    assert "app_prod accepts only what was healthy in app_staging (bulkhead_promotion_from)" in str(error.value)
    assert f"cannot be seen: {words}" in str(error.value) and "Nothing was changed" in str(error.value)


# ---- the connection --------------------------------------------------------------------------------------------------


def staging(directory: Path, more: str = "", vault: str = "") -> tuple[Declaration, Templates]:
    """Staging on a machine of its own, as a controller sees it that has no password of its vault."""
    inventory = write(directory / "inventory", {"production": PRODUCTION, "staging": STAGING})
    with (inventory / "group_vars/staging/main.yml").open("a") as file:
        file.write(more)
    if vault:
        (inventory / "group_vars/staging/vault.yml").write_text(encrypted(vault))
    found = read(inventory)
    return declarations(found, opened=False)["staging"], Templates(found.loader, inert=True)


def test_how_the_machine_is_reached(tmp_path: Path) -> None:
    """What its own variables say, evaluated, and nothing of what an application is told."""
    there, templates = staging(tmp_path, "site: example.com\nansible_host: 'db.{{ site }}'\nansible_port: 2222\n")
    variables, locked = connection_variables(there, templates, {})
    assert (variables["ansible_host"], variables["ansible_port"]) == ("db.example.com", 2222)
    assert variables["inventory_hostname"] == "staging-host"
    assert not any(name.startswith("bulkhead_") for name in variables)
    assert locked == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ansible_ssh_common_args", "-oProxyCommand=id"),
        ("ansible_ssh_executable", "/srv/staging/ssh"),
        ("ansible_connection", "local"),
        ("ansible_connection", "community.docker.docker"),
        ("ansible_become_exe", "/srv/staging/sudo"),
        ("ansible_become", False),
        ("ansible_become_user", "eve"),
        ("ansible_become_method", "su"),
        ("ansible_python_interpreter", "/srv/staging/python"),
        ("ansible_host", "-oProxyCommand=id"),
        ("ansible_user", "{{ lookup('pipe', 'id') }}"),
    ],
)
def test_what_would_run_something_here_counts_only_where_ours_is_the_same(
    tmp_path: Path, name: str, value: Any
) -> None:
    there, templates = staging(tmp_path, yaml.safe_dump({name: value}))
    variables, left = connection_variables(there, templates, {})
    assert name not in variables and name in left
    variables, left = connection_variables(there, templates, {name: value})
    assert (variables.get(name) == value) is ("lookup" not in str(value))


def test_root_there_is_who_root_is_here(tmp_path: Path) -> None:
    """As another user, staging could read what that user forged."""
    there, templates = staging(tmp_path, "ansible_become: false\n")
    variables, left = connection_variables(there, templates, {"ansible_become": True, "ansible_become_user": "root"})
    assert (variables["ansible_become"], variables["ansible_become_user"]) == (True, "root") and left == [
        "ansible_become"
    ]


def test_a_local_connection_does_not_choose_what_runs_here(tmp_path: Path) -> None:
    there, templates = staging(tmp_path, "ansible_connection: local\nansible_python_interpreter: /srv/staging/python\n")
    variables, left = connection_variables(there, templates, {"ansible_connection": "local"})
    assert variables["ansible_connection"] == "local" and "ansible_python_interpreter" in left


def test_what_is_locked_here_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its secrets are not needed; which of them are missing is known if the machine cannot be reached without them."""
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets("another one")))
    more = f"ansible_user: deploy\nansible_become_password: {inline('a password')}"
    there, templates = staging(tmp_path, more, vault="bulkhead_secrets: {}\n")
    variables, locked = connection_variables(there, templates, {})
    assert variables["ansible_user"] == "deploy"
    assert "ansible_become_password" not in variables
    assert [Path(name).name for name in locked] == ["vault.yml", "ansible_become_password"]


def opened(variables: dict[str, Any], own: dict[str, Any], ours: bool = False) -> Any:
    """A connection that is not made yet, from an action that runs on another machine."""
    context = PlayContext(passwords={"conn_pass": "typed", "become_pass": "typed too"})
    context.remote_addr, context.remote_user, context.port = "production.example.com", "production", 22
    action = SimpleNamespace(_play_context=context, _templar=None, task_vars=own)
    task = Task()
    return _connection(task, _play_context(cast(Any, action), task, variables, ours), variables)


def test_nothing_of_our_own_connection_counts() -> None:
    connection = opened({"inventory_hostname": "staging-host", "ansible_connection": "ssh"}, {"ansible_password": "p"})
    assert connection.get_option("host") == "staging-host"
    assert connection._play_context.remote_addr == "staging-host"
    assert connection.get_option("remote_user") is None
    assert not connection._play_context.password and not connection._play_context.become_pass
    assert connection.become is None


def test_another_node_of_ours_gets_what_was_typed_for_this_run() -> None:
    variables = {
        "inventory_hostname": "n2", "ansible_connection": "ssh",
        "ansible_become": True, "ansible_become_method": "sudo",
    }  # fmt: skip
    connection = opened(variables, {}, ours=True)
    assert connection.get_option("password") == "typed"
    assert connection.become.get_option("become_pass") == "typed too"


def test_the_other_machines_user_port_and_become() -> None:
    variables = {
        "inventory_hostname": "staging-host",
        "ansible_connection": "ssh",
        "ansible_host": "192.0.2.1",
        "ansible_port": 2222,
        "ansible_user": "deploy",
        "ansible_become": "yes",
        "ansible_become_method": "sudo",
        "ansible_become_user": "app",
        "ansible_remote_tmp": "/var/tmp/ansible",
    }
    connection = opened(variables, {})
    options = {name: connection.get_option(name) for name in ("host", "port", "remote_user", "password")}
    # Nor do passwords that were typed: whoever is there would get them.
    assert options == {"host": "192.0.2.1", "port": 2222, "remote_user": "deploy", "password": None}
    assert connection._shell.get_option("remote_tmp") == "/var/tmp/ansible"
    become = {name: connection.become.get_option(name) for name in ("become_user", "become_pass")}
    assert (connection.become.name, become) == ("sudo", {"become_user": "app", "become_pass": None})


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ansible_connection": "no.such.connection"}, "no connection plugin"),
        (
            {"ansible_connection": "local", "ansible_become": True, "ansible_become_method": "nobody"},
            "no become plugin",
        ),
    ],
)
def test_a_way_that_does_not_exist(variables: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleConnectionFailure, match=words):
        opened({"inventory_hostname": "staging-host", **variables}, {})
