# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a gate can say by itself is explained, nothing else is, and the finding names the place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation import refusals
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live_rules import LIVE_RULES
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.refusals import REFUSALS
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.formats import junit, markdown, sarif
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.page import JudgedFleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.page import page as html
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import text
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import page_of, rules
from checkout import ROOT
from hazards.pages import keep
from hazards.refusal_page import COMMAND, PAGE, page

_ID = re.compile(r"[a-z]+(-[a-z0-9]+)*\Z")

#: What is called like an argument ``rule`` and is no finding's: keys of a waiver, and of x-bulkhead.
_NO_FINDING = {"command", "kind", "path", "rule"}


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "plugins").rglob("*.py")}


def called(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def takers(tree: ast.Module) -> dict[str, int]:
    """The functions and classes that take a ``rule``, and at which place; -1 where only by name."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
            by_name = [argument.arg for argument in node.args.kwonlyargs]
        elif isinstance(node, ast.ClassDef):
            names = [field.target.id for field in node.body if isinstance(field, ast.AnnAssign)
                     and isinstance(field.target, ast.Name)]  # fmt: skip
            by_name = []
        else:
            continue
        if "rule" in (*names, *by_name):
            found[node.name] = names.index("rule") if "rule" in names else -1
    return found


def constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module gives a name."""
    found: dict[str, str] = {}
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Tuple)
            and isinstance(node.value, ast.Tuple)
        ):
            pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
        elif isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
        else:
            continue
        for name, value in pairs:
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[name.id] = value.value
    return found


def said() -> Iterator[str]:
    """Every id that stands where a finding's rule is given: as a text, by its name, or as what counts without one."""
    public = {name: place for tree in trees().values() for name, place in takers(tree).items() if name[0] != "_"}
    named = {name: value for tree in trees().values() for name, value in constants(tree).items() if name.isupper()}
    for tree in trees().values():
        known = {**public, **takers(tree)}
        own = {**named, **constants(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                defaults = [*([None] * (len(node.args.args) - len(node.args.defaults))), *node.args.defaults]
                given = [*zip(node.args.args, defaults, strict=True)]
                given += [*zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
                values = [value for argument, value in given if argument.arg == "rule" and value is not None]
            elif isinstance(node, ast.Call):
                place = known.get(called(node.func), -1)
                values = [keyword.value for keyword in node.keywords if keyword.arg == "rule"]
                values += node.args[place : place + 1] if place >= 0 else []
            else:
                continue
            for value in values:
                for part in ast.walk(value) if not isinstance(value, ast.Subscript) else ():
                    text = part.value if isinstance(part, ast.Constant) else own.get(called(part)) if isinstance(
                        part, ast.Name) else None  # fmt: skip
                    if isinstance(text, str) and _ID.match(text):
                        yield text


def test_everything_that_a_gate_says_is_explained() -> None:
    """Read from the source, so that a new finding without an explanation fails here."""
    known = {*said()} - _NO_FINDING
    assert len(known) > 90
    assert sorted(known - rules().keys() - REFUSALS.keys()) == []


def test_nothing_else_is() -> None:
    """A rule has a page of its own; what nobody says any more goes."""
    assert sorted(REFUSALS.keys() & rules().keys()) == []
    assert sorted(REFUSALS.keys() - {*said()}) == []
    parts = (refusals.ON_PAPER, refusals.ON_THE_MACHINE, refusals.AFTERWARDS)
    assert sum(map(len, parts)) == len(REFUSALS)


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_it_is_said_in_whole_sentences(name: str) -> None:
    means, mend = REFUSALS[name]
    assert re.match(r"[A-Z]|-[el] |bulkhead_", means) and means.endswith(".")
    assert mend.startswith("aiia.bulkhead.") or (mend[0].isupper() and mend.endswith("."))


@pytest.mark.parametrize("name", sorted({*REFUSALS, *LIVE_RULES, *rules()}))
def test_a_finding_names_its_page_wherever_it_is_shown(name: str) -> None:
    """On the terminal, in the reports of pipelines, and on the page that a browser shows."""
    finding = Finding(name, Severity.HIGH, ("aiia_prod",), "it", "it is so", "mend it")
    page = f"docs/refusals.md#{name}" if name in REFUSALS else f"docs/rules/{name}.md"
    assert page_of(name) == page
    assert f"page      {page}" in text([finding], stopping=[finding])
    assert f"page: {page}" in junit([finding], {}, [finding])
    address = f"https://github.com/aiia/bulkhead/blob/main/{page}"
    assert f"[`{name}`]({address})" in markdown(["aiia_prod"], [finding], [finding])
    assert sarif([finding], {})["runs"][0]["tool"]["driver"]["rules"][0]["helpUri"] == address
    shown = html(JudgedFleet(Fleet(()), [finding], [finding]))
    assert f'<a href="{address}"><code>{name}</code></a>' in shown


def test_every_part_of_the_page_has_its_heading() -> None:
    assert page_of("nobody-says-this") == ""
    headings = re.findall(r"^### (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(REFUSALS)


def test_the_page_is_what_the_gates_say() -> None:
    assert keep(PAGE, page(), False, COMMAND) == 0
