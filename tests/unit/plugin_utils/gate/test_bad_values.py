# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every variable with a value that cannot be used: one finding in words, for whoever deploys and for others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultSecretsContext
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import Inventory
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.resolve import NAMES, declare
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import specification
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.unread import is_unread, unreadable_names
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL, Finding, Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import stops
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import environment, inline, read, secrets, write

pytestmark = pytest.mark.slow

#: Words of Python, and of our own word for what is sealed, that nobody should have to read.
PYTHON = (
    "NoneType",
    "object has no attribute",
    "Traceback",
    "KeyError",
    "TypeError",
    "not subscriptable",
    "unhashable",
    "expected str",
    "not iterable",
)

WRONG: Mapping[str, Any] = {
    "str": {"a": 1},
    "path": [1],
    "int": [1],
    "bool": [1],
    "list": {"a": 1},
    "dict": [1],
    "raw": {"a": 1},
}


def fleet(directory: Path, values: Mapping[str, Any], raw: Mapping[str, str] | None = None) -> Inventory:
    """One environment for each value, in a group of the value's name."""
    groups: dict[str, Any] = {}
    for number, (name, changed) in enumerate(values.items()):
        groups[name] = {**environment(f"e{number}", 1000 + number), **changed}
    for name, text in (raw or {}).items():
        variable = text.partition(":")[0]
        kept = {key: value for key, value in environment("raw" + str(len(groups))).items() if key != variable}
        groups[name] = yaml.safe_dump(kept) + text
    return read(write(directory / "inventory", groups))


def judged(inventory: Inventory, group: str, opened: bool, renderer: Renderer) -> tuple[Declaration, list[Finding]]:
    """What the gate finds of one environment alone."""
    templates = renderer.templates if opened else renderer.inert
    declaration = declare(inventory.environment(group, opened), inventory.loader, templates)
    release = renderer.render(declaration, not opened) if declaration.usable else None
    found = build_environment(declaration, release)
    findings = [*declaration.problems, *declaration.lacking, *judge(Fleet((found,)))]
    for finding in findings:
        text = f"{finding.message} {finding.fix}"
        assert not [word for word in PYTHON if word in text], text
    return declaration, findings


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("kind", ["undefined", "failing", "recursive", "wrong type"])
def test_every_variable_with_a_value_that_fails(tmp_path: Path, kind: str, opened: bool) -> None:
    values = {
        name: {
            "undefined": {name: "{{ no_such_variable }}"},
            "failing": {name: "{{ 1 / 0 }}"},
            "recursive": {name: f"{{{{ {name} }}}}"},
            "wrong type": {name: WRONG[spec["type"]]},
        }[kind]
        for name, spec in specification().items()
        if name != "bulkhead_environment"  # what names an environment in every test
    }
    inventory = fleet(tmp_path, values)
    renderer = Renderer(inventory.loader)
    for name in values:
        declaration, findings = judged(inventory, name, opened, renderer)
        about = [finding for finding in declaration.problems if finding.resource == name]
        assert len(about) == 1, (name, declaration.problems)
        rule = "invalid-variable" if kind == "wrong type" else "template-error"
        assert about[0].rule == rule and name in about[0].message and about[0].where[0].line > 0, about
        assert about[0] in findings and about[0].environments in ((declaration.prefix,), (name,))
        assert bool(list(unreadable_names(declaration))) is (name in NAMES)


@pytest.mark.parametrize("opened", [True, False])
def test_every_variable_with_a_value_that_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets("another")))
    names = [name for name in specification() if name != "bulkhead_environment"]
    inventory = fleet(tmp_path, {}, {name: f"{name}: {inline('secret')}" for name in names})
    renderer = Renderer(inventory.loader)
    for name in names:
        declaration, findings = judged(inventory, name, opened, renderer)
        assert name in declaration.sealed and "vault id default" in declaration.sealed[name]
        assert declaration.problems == [], name
        lacks = [finding for finding in findings if finding.rule == "sealed-value" and finding.resource == name]
        assert len(lacks) == 1 and lacks[0].where[0].line > 0
        assert declaration.prefix and SEAL not in declaration.prefix


#: Variables that are any text.
FREE = {f"bulkhead_{name}" for name in ("tls_certificate", "tls_key", "command", "manage", "prepare_status")}

#: A value of each type, for every variable in turn.
TYPES: Mapping[str, Any] = {
    "text": "; include /etc/passwd\n",
    "number": -7,
    "truth": True,
    "list": [[1]],
    "mapping": {"a b": [1]},
    "null": None,
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_variable_with_a_value_of_every_type(tmp_path: Path, kind: str) -> None:
    values = {name: {name: TYPES[kind]} for name in specification() if name != "bulkhead_environment"}
    inventory = fleet(tmp_path, values)
    renderer = Renderer(inventory.loader)
    refused = set()
    for number, name in enumerate(values):
        opened = bool(number % 2)
        declaration = declare(
            inventory.environment(name, opened), inventory.loader, renderer.templates if opened else renderer.inert
        )
        if declaration.usable:
            renderer.render(declaration, not opened)
        for problem in declaration.problems:
            text = f"{problem.message} {problem.fix}"
            assert not [word for word in PYTHON if word in text], text
            assert problem.fix and problem.environments in ((declaration.prefix,), (name,))
            if problem.resource == name:
                assert name in problem.message and problem.where[0].file and problem.where[0].line > 0, problem
        # A problem that is found before the prefix is known has the group's name; the gate puts the prefix there.
        found = [*stops(declaration.problems, Severity.MEDIUM, declaration.prefix)]
        found += stops(declaration.problems, Severity.MEDIUM, name)
        assert stops(declaration.problems, Severity.MEDIUM, "app_another") == []
        refused |= {name} if name in {problem.resource for problem in found} else set()
    specs = {name: spec["type"] for name, spec in specification().items() if name in values}
    judged_elsewhere = {"bulkhead_waivers"}  # by isolation/waivers.py
    expected = {
        "text": set(specs) - judged_elsewhere - FREE,
        "number": {name for name in specs if specs[name] in ("bool", "dict", "int")},
        "truth": {name for name in specs if specs[name] in ("dict", "int", "path", "str")},
        "list": {name for name in specs if specs[name] not in ("list", "raw")},
        "mapping": {name for name in specs if specs[name] != "dict"} - judged_elsewhere,
        "null": {"bulkhead_project", "bulkhead_prefix", "bulkhead_directory", "bulkhead_nginx_timeout"},
    }[kind]
    assert expected - refused == set()


@pytest.mark.parametrize("opened", [True, False])
def test_every_variable_misspelt(tmp_path: Path, opened: bool) -> None:
    values = {name: {f"{name[:-1]}": "x"} for name in specification() if name[:-1] not in specification()}
    inventory = fleet(tmp_path, values)
    for name in values:
        declaration = declare(inventory.environment(name, opened), inventory.loader)
        found = [problem for problem in declaration.problems if problem.rule == "unknown-variable"]
        assert [problem.resource for problem in found] == [name[:-1]] and found[0].fix.startswith("did you mean "), (
            found
        )
        assert found[0].where[0].line > 0 and stops(found, Severity.MEDIUM, "app_another") == []


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize(
    ("variable", "written"),
    [
        ("services", {"web": 5}),
        ("services", {"web": {"image": "x", "deploy": 5}}),
        ("services", {"web": {"image": "x", "x-bulkhead": [1]}}),
        ("services", {"web": {"image": "x", "x-bulkhead": {"files": [5]}}}),
        ("services", {"web": {"image": "x", "ports": 5}}),
        ("services", {"web": {"image": "x", "volumes": {"a": 1}}}),
        ("services", {"web": {"image": "x", "depends_on": 5}}),
        ("services", {"web": {"image": "x", "labels": 5}}),
        ("services", {"web": {"image": "x", "networks": 5}}),
        ("services", {5: {"image": "x"}}),
        ("compose", {"volumes": 5}),
        ("compose", {"networks": [5]}),
        ("domains", [{"a": 1}]),
        ("domains", [None]),
        ("waivers", [5]),
        ("prepare", 5),
        ("prepare", [5]),
        ("firewall_allow", [{"a": 1}]),
        ("env", {"A": {"b": "{{ no_such_variable }}"}}),
        ("secrets", {"A": [1]}),
    ],
)
def test_values_of_a_wrong_shape_inside(tmp_path: Path, variable: str, written: Any, opened: bool) -> None:
    inventory = fleet(tmp_path, {"one": {f"bulkhead_{variable}": written}})
    declaration, findings = judged(inventory, "one", opened, Renderer(inventory.loader))
    assert findings, declaration.values[f"bulkhead_{variable}"]


def test_one_bad_part_hides_no_other(tmp_path: Path) -> None:
    written = {"A": "{{ nothing }}", "B": "{{ bulkhead_prefix }}", "C": "{{ 1 / 0 }}", "D": ["{{ nothing }}", "x"]}
    inventory = fleet(tmp_path, {"one": {"bulkhead_env_shared": written}})
    declaration, _findings = judged(inventory, "one", False, Renderer(inventory.loader))
    assert declaration.values["bulkhead_env_shared"] == {"B": "app_e0", "D": ["x"]}
    assert {problem.resource for problem in declaration.problems} >= {
        "bulkhead_env_shared.A",
        "bulkhead_env_shared.C",
        "bulkhead_env_shared.D.0",
    }
    assert declaration.usable is False or declaration.values["bulkhead_prefix"] == "app_e0"


@pytest.mark.parametrize(
    ("variable", "unread"),
    [
        ("bulkhead_domains", True),
        ("bulkhead_http_port", True),
        ("bulkhead_machine", True),
        ("bulkhead_build_target", False),
        ("bulkhead_tls_key", False),
    ],
)
def test_what_others_could_run_into_is_not_called_proved(tmp_path: Path, variable: str, unread: bool) -> None:
    inventory = fleet(tmp_path, {}, {"one": f"{variable}: {inline('secret')}"})
    renderer = Renderer(inventory.loader)
    declaration = declare(inventory.environment("one"), inventory.loader, renderer.inert)
    release = renderer.render(declaration, inert=True)
    assert is_unread(declaration, release) is unread
    assert not [claim for claim in build_environment(declaration, release).claims if SEAL in claim.key]
