# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks mean what ansible-core says they mean: the same keywords, the same module, the same arguments."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any

import ansible.modules
import pytest
import yaml
from ansible.parsing.mod_args import FREEFORM_ACTIONS_SIMPLE, ModuleArgsParser
from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.handler_task_include import HandlerTaskInclude
from ansible.playbook.loop_control import LoopControl
from ansible.playbook.play import Play
from ansible.playbook.playbook_include import PlaybookInclude
from ansible.playbook.role.definition import RoleDefinition
from ansible.playbook.role.include import RoleInclude
from ansible.playbook.task import Task
from ansible.playbook.task_include import TaskInclude
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.ansible.plays import read_playbook
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.ansible.tasks import (
    COMMAND_MODULES,
    TASK_KEYWORDS,
)
from hypothesis import given
from hypothesis import strategies as st

PRUNE = "docker system prune -af --volumes"
LISTS = {"tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always", "roles"}


def commands(*items: Mapping[str, Any]) -> list[str]:
    """The commands of a file with these plays or tasks."""
    found = read_playbook(yaml.safe_dump([dict(item) for item in items], sort_keys=False), "roles/app/tasks/main.yml")
    assert found is not None
    return [command.text for command in found.commands]


def test_keywords() -> None:
    """No keyword of a task or handler is missing; none hides a module."""
    known = {*Task.fattributes, *Handler.fattributes, *TaskInclude.fattributes, *HandlerTaskInclude.fattributes}
    assert known - TASK_KEYWORDS == set()
    # The parser of ansible-core has these two for itself.
    assert TASK_KEYWORDS - known == {"local_action", "static"}
    modules = {module.name for module in pkgutil.iter_modules(ansible.modules.__path__)}
    assert "shell" in modules
    assert not TASK_KEYWORDS & modules


def test_command_modules() -> None:
    """ansible-core takes these, and those of Windows, as command lines."""
    assert {name for name in FREEFORM_ACTIONS_SIMPLE if not name.startswith("win_")} == COMMAND_MODULES


@pytest.mark.parametrize("keyword", sorted({*Task.fattributes, *Handler.fattributes} - {"action", "args"}))
@pytest.mark.parametrize("value", ["x", {"x": "y"}, ["x"]])
def test_keyword_of_a_task(keyword: str, value: Any) -> None:
    """Beside any keyword, whatever its value, the module is found."""
    assert commands({keyword: value, "shell": PRUNE}, {"shell": PRUNE, keyword: value}) == [PRUNE, PRUNE]


@pytest.mark.parametrize("keyword", sorted(set(Block.fattributes) - LISTS))
def test_keyword_of_a_block(keyword: str) -> None:
    """Beside any keyword of a block its tasks are found."""
    for key in ("block", "rescue", "always"):
        assert commands({keyword: "x", key: [{"shell": PRUNE}]}) == [PRUNE]


@pytest.mark.parametrize("keyword", sorted(set(Play.fattributes) - LISTS))
def test_keyword_of_a_play(keyword: str) -> None:
    """Beside any keyword of a play its tasks and handlers are found, and it is no task itself."""
    for key in ("tasks", "pre_tasks", "post_tasks", "handlers"):
        assert commands({keyword: "x", "hosts": "all", key: [{"shell": PRUNE}]}) == [PRUNE]


@pytest.mark.parametrize("keyword", sorted({*RoleDefinition.fattributes, *RoleInclude.fattributes} - {"role", "name"}))
def test_keyword_of_a_role(keyword: str) -> None:
    """Beside any keyword of a role its name is found."""
    text = yaml.safe_dump([{"hosts": "all", "roles": [{keyword: "x", "role": "a"}, {keyword: "x", "name": "b"}, "c"]}])
    found = read_playbook(text)
    assert found is not None
    assert found.plays[0].roles == ("a", "b", "c")


@pytest.mark.parametrize("keyword", sorted(PlaybookInclude.fattributes))
def test_keyword_of_an_imported_playbook(keyword: str) -> None:
    """What imports a playbook is no task."""
    for key in ("import_playbook", "ansible.builtin.import_playbook"):
        found = read_playbook(yaml.safe_dump([{keyword: "x", key: "site.yml"}]))
        assert found is not None
        assert found.tasks == ()


@pytest.mark.parametrize("keyword", sorted(LoopControl.fattributes))
def test_keyword_of_a_loop(keyword: str) -> None:
    """Below loop_control nothing is a module."""
    assert commands({"loop_control": {keyword: "x"}, "with_items": ["a"], "shell": PRUNE}) == [PRUNE]


FORMS: tuple[dict[str, Any], ...] = (
    {"shell": PRUNE},
    {"ansible.builtin.command": PRUNE},
    {"ansible.legacy.shell": f"chdir=/srv {PRUNE} creates='/a b'"},
    {"shell": f"{PRUNE} --filter until=24h executable=/bin/bash"},
    {"shell": None, "args": {"cmd": PRUNE, "chdir": "/srv"}},
    {"shell": {"cmd": PRUNE}},
    {"command": {"argv": PRUNE.split(), "chdir": "/srv"}},
    {"shell": {"_raw_params": PRUNE}},
    {"shell": PRUNE, "args": {"chdir": "/srv"}},
    {"shell": f"{PRUNE} chdir=/srv", "args": {"chdir": "/other"}},
    {"shell": PRUNE, "args": "{{ more }}"},
    {"raw": PRUNE},
    {"action": f"shell {PRUNE}"},
    {"action": f"ansible.builtin.shell  {PRUNE} chdir=/srv"},
    {"action": {"module": "shell", "cmd": PRUNE}},
    {"action": {"module": f"shell {PRUNE}", "chdir": "/srv"}},
    {"action": {"module": "shell", "args": PRUNE}},
    {"action": {"module": "shell", "args": {"cmd": PRUNE}}},
    {"action": {"module": "ansible.legacy.command", "argv": PRUNE.split()}},
    {"action": "shell", "args": {"cmd": PRUNE}},
    {"local_action": f"shell {PRUNE}"},
    {"local_action": {"module": "shell", "cmd": PRUNE}},
    {"action": f"shell {PRUNE}", "args": {"chdir": "/srv"}},
)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_forms(form: dict[str, Any]) -> None:
    """One command in each form: found, with its module and options as ansible-core reads them."""
    found = read_playbook(yaml.safe_dump([form], sort_keys=False), "tasks/main.yml")
    assert found is not None
    [command], [task] = found.commands, found.tasks
    action, arguments, delegate_to = ModuleArgsParser(form).parse(skip_action_validation=True)
    assert command.text.startswith(PRUNE)
    assert task.module == action.rpartition(".")[2]
    assert {**task.arguments, "_raw_params": task.raw} == {"_raw_params": PRUNE, **arguments}
    assert task.keywords.get("delegate_to") == (delegate_to if isinstance(delegate_to, str) else None)
    assert command.directory == arguments.get("chdir", "")


WORDS = st.sampled_from(
    ["a", "b=c", "chdir=/x", "creates='/a b'", "d='e f'", 'g="h i"', "{{ j }}", "k={{ l | m('n o') }}", "'p q'", "/r"]
)


@given(st.lists(WORDS, min_size=1, max_size=6), st.sampled_from(["shell", "copy", "set_fact", "include_tasks"]))
def test_free_text(words: list[str], module: str) -> None:
    """Free text is taken apart as ansible-core does it."""
    form = {module: " ".join(words)}
    found = read_playbook(yaml.safe_dump([form]))
    assert found is not None
    _action, arguments, _delegate = ModuleArgsParser(form).parse(skip_action_validation=True)
    raw = {"_raw_params": found.tasks[0].raw} if found.tasks[0].raw else {}
    assert {**found.tasks[0].arguments, **raw} == arguments


def test_words_of_argv() -> None:
    """A word of ``argv`` stays one, so that a shell within it is seen."""
    assert commands({"command": {"argv": ["sh", "-c", PRUNE]}}) == [f"sh -c {PRUNE}", PRUNE]


def test_lines() -> None:
    """A command is found on its own line."""
    found = read_playbook("- shell:\n    chdir: /srv\n    cmd: |\n      a\n      b\n- action: shell c\n", "x.yml")
    assert found is not None
    assert [(command.text, command.where.line) for command in found.commands] == [("a", 4), ("b", 5), ("c", 6)]


def test_keywords_of_blocks_and_plays() -> None:
    """A task has the keywords of its blocks, its own win; a flag may be the play's."""
    found = read_playbook(
        yaml.safe_dump(
            [
                {
                    "hosts": "all",
                    "run_once": True,
                    "tasks": [
                        {"block": [{"debug": None}, {"ping": None, "become": False}], "become": "yes", "name": "x"}
                    ],
                }
            ]
        )
    )
    assert found is not None
    assert [(task.name, task.flag("become"), task.flag("run_once")) for task in found.tasks] == [
        ("", True, True),
        ("", False, True),
    ]


@pytest.mark.parametrize("text", ["", "a: 1", "- a", "- [1]", "- {a: [1]}", "- name: x", "- hosts: [a]\n  tasks: 1"])
def test_odd_files(text: str) -> None:
    """What holds no task is read as far as it goes."""
    found = read_playbook(text)
    assert found is None or found.tasks == ()
