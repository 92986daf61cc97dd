# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loader that remembers scalars gives what PyYAML gives."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release import plain_yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.plain_yaml import load
from hypothesis import given
from hypothesis import strategies as st

TEXTS = [
    "",
    "# nothing",
    "text",
    "a: 1",
    "a: [1, 1.5, 0x1f, 010, 1_000, 12:30:45, .inf, true, no, null, ~, 2026-01-31, 2026-01-31 10:00:00]",
    "a: '1'\nb: \"1\"\nc: !!str 1\nd: !!int '1'\ne: |-\n  1\n",
    "a: &x {b: 1}\nc: *x",
    "a: &x [1]\nc: [*x, *x]",
    "a: &x {b: 1}\nc: {<<: *x, d: 2}",
    "1: a\ntrue: b\nnull: c\n1.0: d",
    "a: 1\na: 2",
    "a: !!set {b, c}",
    "a: !!binary aGVsbG8=",
    "a: >\n  folded\n  text\n",
]
BROKEN = [
    "a: [",
    "a: =",
    "? [1, 2]\n: a",
    "a: !own 1",
    "a: *nobody",
    "a: 1\n b: 2",
    "? {a: 1}\n: b",
    "--- a\n--- b",
    "\t- a",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_same_values(text: str) -> None:
    expected = yaml.safe_load(text)
    assert repr(load(text)) == repr(expected)


@pytest.mark.parametrize("text", BROKEN)
def test_the_same_errors(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as expected:
        yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError) as found:
        load(text)
    assert type(found.value) is type(expected.value)


def test_an_alias_is_the_very_value() -> None:
    loaded = load("a: &x [1]\nb: *x\nc: [1]")
    assert loaded["a"] is loaded["b"]
    assert loaded["a"] is not loaded["c"]


def test_what_was_loaded_is_not_changed_by_its_users() -> None:
    first = load("a: {b: [1]}")
    first["a"]["b"].append(2)
    assert load("a: {b: [1]}") == {"a": {"b": [1]}}


#: Texts with a name in different places, and names that a place gives another meaning.
WITH_NAMES = [
    "a: {name}",
    "a: [{name}, '{name}', \"{name}\", x-{name}.y]\n{name}: 1",
    "a: 1\n{name}: {{a: 1.5, b: null, {name}_a: ~}}",
    'a: "\\u00{name}"',
    'a: "\\{name}"',
    "a: |\n  {name}\nb: >-\n  folded\n  {name}\n",
    "a: &{name} [1]\nb: *{name}",
    "a: !!{name} x",
    "a: !!str {name}",
    "{name}: 1\n{name}: 2",
    "{name}",
    "1: {name}",
    "a: 2026-01-31\nb: {name}",
    "a: qz{name} xz\nb: q{name}",
    # A mark of two parts that the text joins.
    'a: {name}\nb: "q\\\n  z"',
    "a: &x {{b: {name}}}\nc: *x",
    "a: \u00e4{name}\U0001f600",
]
NAMES = ["on", "no", "ab", "e5", "fb", "staging", "pr-123", "str", "qz", "xz", "x", "", "a b", "\u00e4\u00f6", "A1"]


@pytest.mark.parametrize("text", WITH_NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_text_that_is_like_earlier_ones(text: str, name: str) -> None:
    for chosen in ("aa", "bb", "cc", name, "dd", name):
        given_text = text.replace("{name}", chosen).replace("{{", "{").replace("}}", "}")
        try:
            expected = repr(yaml.safe_load(given_text))
        except yaml.YAMLError:
            with pytest.raises(yaml.YAMLError):
                load(given_text, chosen)
            continue
        assert repr(load(given_text, chosen)) == expected


def test_two_names_one_within_the_other() -> None:
    for name, login in [
        ("aa", "app_aa_1"),
        ("bb", "app_bb_2"),
        ("cc", "app_cc_3"),
        ("cc", "app_xz_3"),
        ("qz", "app_1"),
    ]:
        text = f"a: {name} {login}\nb: [{login}, {name}, {{{name}: {login}}}]\nc: qz"
        assert load(text, login, name) == yaml.safe_load(text)


def test_a_known_text_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("north", "south"):
        load(f"known: {name}", name)
    monkeypatch.setattr(plain_yaml._Values, "of_text", pytest.fail)
    assert load("known: river", "river") == {"known": "river"}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_dumped_comes_back(value: Any) -> None:
    assert load(yaml.safe_dump(value)) == value


@given(PLAIN, st.sampled_from(["ab", "qz", "on", "zz"]))
def test_what_is_dumped_comes_back_whatever_names_it_has(value: Any, name: str) -> None:
    for chosen in ("aa", "bb", "cc", name):
        text = yaml.safe_dump(value, allow_unicode=True).replace("a", chosen)
        try:
            expected = repr(yaml.safe_load(text))
        except yaml.YAMLError:
            continue
        assert repr(load(text, chosen)) == expected
