# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules travel through standard input wherever they can."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.sending import send_by_stdin


def options(variables: dict[str, Any], known: bool = True) -> dict[str, Any]:
    """The options that a connection is given."""
    found: dict[str, Any] = {}

    def set_option(name: str, value: Any) -> None:
        found[name] = value

    connection = SimpleNamespace(has_option=lambda name: known and name == "pipelining", set_option=set_option)
    # Ansible's own default is among the variables of a task.
    task_vars = {"ansible_pipelining": False, "inventory_hostname": "web1", "hostvars": {"web1": variables}}
    send_by_stdin(SimpleNamespace(_connection=connection), task_vars)
    return found


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, {"pipelining": True}),
        ({"ansible_pipelining": True}, {"pipelining": True}),
        ({"ansible_pipelining": None}, {"pipelining": True}),
        ({"ansible_pipelining": False}, {}),
        ({"ansible_ssh_pipelining": "no"}, {}),
    ],
)
def test_pipelining_is_set_unless_the_inventory_decides_against_it(variables: Any, wanted: Any) -> None:
    assert options(variables) == wanted


def test_a_connection_without_pipelining() -> None:
    assert options({}, known=False) == {}


def test_python_reads_a_module_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module on this machine inherits the environment of Ansible, and unbuffered standard input is read by bytes."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    options({})
    assert "PYTHONUNBUFFERED" not in os.environ


def test_modules_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "DEFAULT_KEEP_REMOTE_FILES", True)
    with pytest.raises(AnsibleActionFail, match="ANSIBLE_KEEP_REMOTE_FILES would leave every module"):
        options({})
