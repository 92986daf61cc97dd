# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection keeps its layers, and no rule about them is one that nothing can break."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import ROOT
from unit.layers import (
    MAY_IMPORT,
    RULES,
    Rule,
    circles_of_files,
    circles_of_packages,
    circles_of_the_table,
    imports_of,
    impure_heart,
    missing_on_the_machine,
    newer_syntax,
    outside_of_the_table,
    package_of,
    private_names,
    stray_tests,
    unused_permissions,
)

PLUGINS = ROOT / "plugins"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule) -> None:
    """The collection keeps every rule."""
    assert list(rule(PLUGINS)) == []


def test_all_imports_are_seen() -> None:
    """A reader that read nothing would find nothing wrong."""
    files = {path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py")}
    imports = imports_of(PLUGINS)
    assert {package_of(file) for file in files} == {*MAY_IMPORT}
    assert len({imported.file for imported in imports}) > 200
    assert sum(imported.ours for imported in imports) > 1000
    assert any(imported.for_types for imported in imports)


HEART_MODEL = {"plugin_utils/isolation/model.py": "class Fleet: ...\n"}
BROKEN: list[tuple[str, Rule, dict[str, str], str]] = [
    (
        "circle-of-files",
        circles_of_files,
        {
            "module_utils/state/locks.py": "from .registry import Registry\n",
            "module_utils/state/registry.py": "from .deployed import load\n",
            "module_utils/state/deployed.py": "def load():\n    from . import locks\n",
        },
        "module_utils/state/deployed.py:2 imports module_utils/state/locks.py",
    ),
    (
        "circle-for-types",
        circles_of_files,
        {
            "plugin_utils/declaration/checks.py": (
                "import typing\nif typing.TYPE_CHECKING:\n    from .model import Declaration\n"
            ),
            "plugin_utils/declaration/model.py": "from .checks import Context\n",
        },
        "imports plugin_utils/declaration/model.py (Declaration) for types only",
    ),
    (
        "circle-of-packages",
        circles_of_packages,
        {
            "module_utils/host/facts.py": "from ..state.locks import Locks\n",
            "module_utils/state/locks.py": "",
            "module_utils/state/registry.py": "from ..host import sockets\n",
            "module_utils/host/sockets.py": "",
        },
        "module_utils/state/registry.py:1 imports module_utils/host/sockets.py",
    ),
    (
        "folder-and-folder-inside",
        circles_of_packages,
        {
            "plugin_utils/isolation/waivers.py": "from .rules import rules\n",
            "plugin_utils/isolation/rules/__init__.py": "from ..model import Fleet\n",
            **HEART_MODEL,
        },
        "plugin_utils/isolation/waivers.py:1 imports plugin_utils/isolation/rules/__init__.py (rules)",
    ),
    (
        "upwards",
        outside_of_the_table,
        {"module_utils/core/process.py": "from ..docker.engine import Engine\n", "module_utils/docker/engine.py": ""},
        "imports module_utils/docker/engine.py (Engine), which module_utils/core may not",
    ),
    (
        "upwards-inside-a-function",
        outside_of_the_table,
        {
            "plugin_utils/isolation/rules/web.py": "def rule():\n    from ..live import probes\n",
            "plugin_utils/isolation/live/probes.py": "",
        },
        "plugin_utils/isolation/rules/web.py:2 imports plugin_utils/isolation/live/probes.py",
    ),
    (
        "upwards-for-types",
        outside_of_the_table,
        {
            "module_utils/core/process.py": (
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..docker.engine import Engine\n"
            ),
            "module_utils/docker/engine.py": "",
        },
        "imports module_utils/docker/engine.py (Engine) for types only, which module_utils/core may not",
    ),
    (
        "other-file-of-a-package",
        outside_of_the_table,
        {"plugin_utils/gate/live.py": "from ...module_utils.core import process\n", "module_utils/core/process.py": ""},
        "plugin_utils/gate/live.py:1 imports module_utils/core/process.py, which plugin_utils/gate may not",
    ),
    ("unknown-package", outside_of_the_table, {"module_utils/more/a.py": ""}, "module_utils/more is not in the table"),
    ("unknown-kind", outside_of_the_table, {"lookup/secret.py": ""}, "lookup is not in the table"),
    (
        "library",
        outside_of_the_table,
        {"plugin_utils/jobs/backup.py": "import requests.auth\n"},
        "plugin_utils/jobs/backup.py:1 imports requests.auth, which plugin_utils/jobs may not",
    ),
    (
        "library-that-begins-alike",
        outside_of_the_table,
        {"plugin_utils/jobs/backup.py": "from ansible_runner import run\n"},
        "plugin_utils/jobs/backup.py:1 imports ansible_runner (run), which plugin_utils/jobs may not",
    ),
    (
        "absolute",
        outside_of_the_table,
        {"action/plan.py": "from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.plan import Gate\n"},
        "imports inside the collection are relative",
    ),
    (
        "nothing",
        outside_of_the_table,
        {"action/plan.py": "from ..plugin_utils.gate.plan import Gate\n"},
        "action/plan.py:1 imports plugin_utils/gate/plan (Gate), which is no file of ours",
    ),
    (
        "unused-permission",
        unused_permissions,
        {"filter/naming.py": "from ansible.errors import AnsibleFilterError\n"},
        "filter may import plugin_utils/isolation, and does not",
    ),
    ("gone-package", unused_permissions, {"filter/naming.py": ""}, "action is in the table, and there is no such"),
    *(
        (f"heart-{statement.split()[1]}", impure_heart, {"plugin_utils/isolation/facts/servers.py": statement}, said)
        for statement, said in (
            ("import os", "imports os, and the heart may not use that"),
            ("import os.path", "imports os.path, and the heart may not use that"),
            ("import subprocess", "imports subprocess, and"),
            ("import socket", "imports socket, and"),
            ("import shutil", "imports shutil, and"),
            ("from pathlib import Path", "imports pathlib (Path), and"),
            ("from urllib.request import urlopen", "imports urllib.request (urlopen), and"),
            ("import importlib", "imports importlib, and"),
            ("import gc", "imports gc, and"),
            ("from ansible.errors import AnsibleError", "and the heart knows no Ansible"),
            ("def read(path): return open(path)", "calls open"),
            ("def late(until): return until < date.today()", "asks a clock (today)"),
        )
    ),
    (
        "heart-of-the-machine",
        impure_heart,
        {
            "plugin_utils/isolation/live/drift.py": "from ....module_utils.docker.engine import Engine\n",
            "module_utils/docker/engine.py": "",
        },
        "imports module_utils/docker/engine.py (Engine), which is outside of the heart",
    ),
    (
        "heart-of-the-controller",
        impure_heart,
        {"plugin_utils/isolation/report/text.py": "from ...gate import plan\n", "plugin_utils/gate/plan.py": ""},
        "imports plugin_utils/gate/plan.py, which is outside of the heart",
    ),
    *(
        (f"machine-{statement.split()[1]}", missing_on_the_machine, {"module_utils/core/process.py": statement}, said)
        for statement, said in (
            ("import yaml", "imports yaml, which a machine does not have"),
            ("import tomllib", "imports tomllib, which a machine does not have"),
            ("import ansible", "imports ansible, which a machine does not have"),
            ("from ansible.errors import AnsibleError", "imports ansible.errors (AnsibleError), which"),
            ("from ansible.module_utils_more import a", "imports ansible.module_utils_more (a), which"),
        )
    ),
    (
        "machine-of-the-controller",
        missing_on_the_machine,
        {"modules/plan.py": "from ..plugin_utils.isolation.model import Fleet\n", **HEART_MODEL},
        "modules/plan.py:1 imports plugin_utils/isolation/model.py (Fleet), which a machine does not have",
    ),
    (
        "newer-syntax",
        newer_syntax,
        {"module_utils/core/process.py": "with (open('a') as one, open('b') as two):\n    pass\n"},
        "Parenthesized context managers are only supported in Python 3.9 and greater",
    ),
    (
        "private-name",
        private_names,
        {"plugin_utils/gate/plan.py": "from .proof import _write\n", "plugin_utils/gate/proof.py": ""},
        "plugin_utils/gate/plan.py:1 imports plugin_utils/gate/proof.py (_write), which is private",
    ),
    (
        "private-file",
        private_names,
        {"plugin_utils/gate/plan.py": "from . import _proof\n", "plugin_utils/gate/_proof.py": ""},
        "plugin_utils/gate/plan.py:1 imports plugin_utils/gate/_proof.py, which is private",
    ),
    (
        "private-attribute",
        private_names,
        {"plugin_utils/gate/plan.py": "from . import proof as p\np._write()\n", "plugin_utils/gate/proof.py": ""},
        "plugin_utils/gate/plan.py:2 uses p._write, which is private",
    ),
    (
        "test-of-nothing",
        stray_tests,
        {"module_utils/core/process.py": "", "../tests/unit/module_utils/more/test_process.py": ""},
        "tests/unit/module_utils/more tests nothing: there is no plugins/module_utils/more",
    ),
]


def written(folder: Path, files: dict[str, str]) -> Path:
    """The folder of plugins with these files."""
    plugins = folder / "plugins"
    for name, text in files.items():
        path = plugins / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return plugins


@pytest.mark.parametrize(("rule", "files", "said"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_rule_is_seen(tmp_path: Path, rule: Rule, files: dict[str, str], said: str) -> None:
    """No rule is one that nothing can break."""
    assert [problem for problem in rule(written(tmp_path, files)) if said in problem]


def test_a_table_with_a_circle_is_seen(tmp_path: Path) -> None:
    """Two packages may not be allowed each other."""
    table = {"module_utils/core": "module_utils/docker", "module_utils/docker": "module_utils/core"}
    assert list(circles_of_the_table(tmp_path, table)) == [
        "module_utils/core may import module_utils/docker, which does not stand above it"
    ]
    assert not list(circles_of_the_table(tmp_path, {"a": "", "a/b": "a yaml", "c": "a/b a/b/d"}))


def test_every_rule_is_seen_to_fail() -> None:
    """A new rule needs a bad input."""
    assert {rule for _name, rule, _files, _said in BROKEN} | {circles_of_the_table} == set(RULES)


def test_what_is_fine_passes(tmp_path: Path) -> None:
    """Imports of one's own package, of what is allowed, and of a file of a package that is allowed alone."""
    files = {
        "module_utils/core/process.py": "import subprocess\nfrom ansible.module_utils.basic import AnsibleModule\n",
        "module_utils/core/layout.py": "from .process import __doc__\n",
        "module_utils/docker/labels.py": "from ..core import layout, process\n",
        "plugin_utils/isolation/model.py": "import posixpath\nimport urllib.parse\n",
        "plugin_utils/isolation/live/drift.py": (
            "from .. import model\nfrom ....module_utils.docker.labels import PREFIX\n"
        ),
        "../tests/unit/module_utils/core/test_process.py": "",
        "../tests/unit/roles/test_engine.py": "",
        "../tests/unit/test_layers.py": "",
    }
    plugins = written(tmp_path, files)
    for rule in set(RULES) - {unused_permissions}:
        assert list(rule(plugins)) == []
