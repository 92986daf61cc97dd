# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loader that remembers scalars gives what PyYAML gives."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
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


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_dumped_comes_back(value: Any) -> None:
    assert load(yaml.safe_dump(value)) == value
