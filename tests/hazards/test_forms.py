# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""However a task of a case is written, the findings are the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.ansible.tasks import TASK_KEYWORDS
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from hazards.cases import Case, entries, fleet_of

SECTIONS = ("pre_tasks", "tasks", "post_tasks", "handlers")
BLOCKS = ("block", "rescue", "always")

Task = dict[str, Any]
Form = Callable[[str, Any, Task], Task | None]


def named(prefix: str) -> Form:
    """The module by another of its names."""
    return lambda module, given, rest: None if "." in module else {**rest, prefix + module: given}


def action(keyword: str, mapping: bool) -> Form:
    """The module as the value of ``action`` or ``local_action``."""

    def write(module: str, given: Any, rest: Task) -> Task | None:
        if keyword == "local_action" and "delegate_to" in rest:
            return None
        if isinstance(given, str):
            return {**rest, keyword: {"module": f"{module} {given}"} if mapping else f"{module} {given}"}
        return {**rest, keyword: {"module": module, **(given or {})}} if mapping or not given else None

    return write


def arguments_apart(module: str, given: Any, rest: Task) -> Task | None:
    """The arguments below ``args``."""
    return {**rest, module: None, "args": given} if isinstance(given, dict) and "args" not in rest else None


def pairs(module: str, given: Any, rest: Task) -> Task | None:
    """The arguments as ``key=value``."""
    if not isinstance(given, dict) or module.rpartition(".")[2] in ("shell", "command"):
        return None
    if not all(
        isinstance(value, (str, bool, int)) and not set(str(value)) & set("\"'\n\\") for value in given.values()
    ):
        return None
    return {**rest, module: " ".join(f'{key}="{value}"' for key, value in given.items())}


def command_argument(module: str, given: Any, rest: Task) -> Task | None:
    """A command line as ``cmd``."""
    if module not in ("shell", "command") or not isinstance(given, str) or "creates=" in given:
        return None
    return {**rest, module: {"cmd": given}}


def beside(**keywords: Any) -> Form:
    """More keywords, before the module."""
    return lambda module, given, rest: {**keywords, **rest, module: given}


def followed_by(**keywords: Any) -> Form:
    """More keywords, after the module."""
    return lambda module, given, rest: {**rest, module: given, **keywords}


def within(key: str) -> Form:
    """The task within a block."""
    first = {"block": [{"ansible.builtin.meta": "noop"}]}
    return lambda module, given, rest: {**first, key: [{**rest, module: given}]}


FORMS: dict[str, Form] = {
    "short name": named(""),
    "ansible.legacy": named("ansible.legacy."),
    "action: text": action("action", mapping=False),
    "action: mapping": action("action", mapping=True),
    "local_action: text": action("local_action", mapping=False),
    "local_action: mapping": action("local_action", mapping=True),
    "args": arguments_apart,
    "key=value": pairs,
    "cmd": command_argument,
    "keywords before": beside(remote_user="deploy", become_method="sudo", become_flags="-H", throttle=1),
    "keywords after": followed_by(remote_user="deploy", become_method="sudo", diff=False),
    "with_items before": beside(with_items=["one", "two"], loop_control={"label": "x"}),
    "unknown keyword before": beside(keyword_of_tomorrow=True),
    "unknown keyword after": followed_by(keyword_of_tomorrow=["a", "b"]),
    "block": within("block"),
    "rescue": within("rescue"),
    "always": within("always"),
}


@cache
def cases() -> tuple[Case, ...]:
    """The cases in which a file has tasks, as PyYAML prints them."""
    return tuple(rewritten(case, None) for entry in entries() for case in entry.cases if rewritten(case, None) != case)


def rewritten(case: Case, form: Form | None) -> Case:
    """The case with each task in a form, or with its files of tasks only printed anew."""
    return replace(case, environments=tuple({**item, **_files(item, form)} for item in case.environments))


def _files(environment: Mapping[str, Any], form: Form | None) -> dict[str, Any]:
    files = environment.get("files")
    return {"files": {path: _file(path, text, form) for path, text in files.items()}} if isinstance(files, dict) else {}


def _file(path: str, text: Any, form: Form | None) -> Any:
    if not path.endswith((".yml", ".yaml")):
        return text
    try:
        items = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return text
    return yaml.safe_dump(list(_items(items, form)), sort_keys=False, width=1000)


def _items(items: list[Task], form: Form | None) -> Iterator[Task]:
    for item in items:
        inner = {key: list(_items(item[key], form)) for key in (*SECTIONS, *BLOCKS) if isinstance(item.get(key), list)}
        modules = [key for key in item if key not in TASK_KEYWORDS and not key.startswith("with_")]
        if inner or "hosts" in item or "import_playbook" in item or len(modules) != 1 or form is None:
            yield {**item, **inner}
        else:
            rest = {key: value for key, value in item.items() if key not in modules}
            yield form(modules[0].removeprefix("ansible.builtin."), item[modules[0]], rest) or item


def moved(case: Case, task: Task, path: str) -> Case:
    """The case with the tasks of each play in a file that the task brings in."""
    return replace(case, environments=tuple({**item, **_moved_files(item, task, path)} for item in case.environments))


def _moved_files(environment: Mapping[str, Any], task: Task, path: str) -> dict[str, Any]:
    files = dict(environment.get("files") or {})
    for name, text in list(files.items()):
        plays = yaml.safe_load(text) if name.endswith(".yml") and text.startswith("- hosts:") else []
        if len(plays) == 1 and plays[0].get("tasks") and len({*SECTIONS, "roles"} & set(plays[0])) == 1:
            files[path] = yaml.safe_dump(plays[0].pop("tasks"), sort_keys=False, width=1000)
            files[name] = yaml.safe_dump([{**plays[0], "tasks": [task]}], sort_keys=False, width=1000)
            break
    return {"files": files} if files else {}


def summary(case: Case) -> set[tuple[Any, ...]]:
    """The findings of a case, without their lines."""
    return {_key(finding) for finding in judge(fleet_of(case))}


def _key(finding: Finding) -> tuple[Any, ...]:
    resource = re.sub(r"ansible\.(?:builtin|legacy)\.|\S+\.yml: ", "", finding.resource)
    return finding.rule, finding.hazards, finding.severity, finding.environments, resource


@pytest.mark.parametrize("form", FORMS)
def test_form(form: str) -> None:
    """Each case with tasks, its tasks rewritten in the form."""
    compare([(case, rewritten(case, FORMS[form])) for case in cases()])


@pytest.mark.parametrize(
    ("task", "path"),
    [
        ({"import_tasks": "more.yml"}, "more.yml"),
        ({"ansible.builtin.include_tasks": {"file": "tasks/more.yml"}}, "tasks/more.yml"),
        ({"action": "include_tasks tasks/more.yml", "when": True}, "tasks/more.yml"),
        ({"block": [{"include_tasks": "file=tasks/more.yml"}]}, "tasks/more.yml"),
    ],
)
def test_moved(task: Task, path: str) -> None:
    """Each case with the tasks of its plays in a file of their own."""
    compare([(case, moved(case, task, path)) for case in cases()])


@pytest.mark.parametrize("module", ["import_role", "ansible.builtin.include_role"])
def test_role(module: str) -> None:
    """The same tasks as a role: what is found in a play is found there."""
    for case in cases():
        found = summary(moved(case, {module: {"name": "more"}}, "roles/more/tasks/main.yml"))
        assert summary(case) <= found, case.title


def compare(pairs: Sequence[tuple[Case, Case]]) -> None:
    """Fail where two writings of a case differ in their findings, or where all are the same text."""
    different = {}
    changed = [(case, other) for case, other in pairs if other != case]
    for case, other in changed:
        before, after = summary(case), summary(other)
        if before != after:
            different[f"{case.hazard} {case.title}"] = {"lost": before - after, "new": after - before}
    assert changed
    assert not different


def test_what_may_be_a_module() -> None:
    """A keyword that only a newer Ansible knows looks like a module; the real one beside it is not lost for that."""
    for case in cases():
        for form in (beside(keyword_of_tomorrow="x"), followed_by(keyword_of_tomorrow={"a": "b"})):
            assert summary(case) <= summary(rewritten(case, form)), case.title
