# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in what comes back from a host."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.masking import (
    HIDDEN,
    mask,
    possible_secrets,
    texts_to_hide,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.writers import dump_settings
from hypothesis import given
from hypothesis import strategies as st

values = st.recursive(
    st.text("ab", max_size=8) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner, max_size=3),
)


def test_wherever_it_stands() -> None:
    answer = {"msg": "password hunter2 refused", "diff": [{"after": "hunter2"}], "changed": True, "rc": 1, "none": None}
    expected = {
        "msg": f"password {HIDDEN} refused",
        "diff": [{"after": HIDDEN}],
        "changed": True,
        "rc": 1,
        "none": None,
    }
    assert mask(answer, ["hunter2"]) == expected


def test_the_longest_first() -> None:
    assert mask("hunter2hunter2", ["hunter2hunter2", "hunter2"]) == HIDDEN


def test_more_than_once() -> None:
    assert mask("a hunter2 and a hunter2", ["hunter2"]) == f"a {HIDDEN} and a {HIDDEN}"


@given(values)
def test_nothing_stays(value: object) -> None:
    assert "ab" not in repr(mask(value, ["ab"]))


@given(values)
def test_without_secrets_nothing_is_changed(value: object) -> None:
    assert mask(value, []) == value


def test_each_line_of_a_secret_and_a_file_as_a_whole() -> None:
    hidden = texts_to_hide(["one-1\n  two-2\n", "abc", "    "], ["user: three-3\n"])
    whole = {"one-1\n  two-2\n", "one-1\n  two-2", "one-1\\n  two-2\\n", "one-1\\n  two-2"}
    assert set(hidden) == {*whole, "one-1", "two-2", "user: three-3\n", "user: three-3"}
    assert hidden == sorted(hidden, key=len, reverse=True)
    assert mask("two-2, user: three-3, user:", hidden) == f"{HIDDEN}, {HIDDEN}, user:"


@pytest.mark.parametrize(
    "secret",
    ["correct horse", 'say "$HOME" \\ twice', "first line\n  second line", "line-one\r\nline-two", "  padded  "],
)
def test_a_secret_is_hidden_in_every_form(secret: str) -> None:
    """As it is, line by line, and as ``.env`` has it."""
    hidden = texts_to_hide([secret])
    for output in (secret, *secret.splitlines(), dump_settings([("KEY", secret)])):
        shown = mask(f"before {output} after", hidden)
        assert HIDDEN in shown
        assert not any(line.strip() in shown for line in secret.splitlines())


@pytest.mark.parametrize("secret", ["correct horse", 'say "$HOME" \\ twice', "a line\nanother line", "p@ss=word="])
def test_a_machine_hides_what_the_controller_knows(secret: str) -> None:
    """It has only the files of a kept release, and hides more rather than less."""
    settings = dump_settings([("KEY", secret), ("PROJECT", "aiia_prod")], "written by Bulkhead")
    found = possible_secrets([settings], "name: aiia_prod\n# written by Bulkhead")
    assert secret in found
    assert not found & {"aiia_prod", "# written by Bulkhead"}, "open files show them"


def test_short_texts_hide_no_words() -> None:
    assert texts_to_hide(["42", "abc", "    ", "word"]) == ["word"]
    assert possible_secrets(['LEVEL="INFO"\n', "sevench\n"], "") == {'LEVEL="INFO"'}
