# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in what comes back from a host."""

from __future__ import annotations

from ansible_collections.aiia.bulkhead.plugins.module_utils.core.masking import HIDDEN, mask, texts_to_hide
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
    assert set(hidden) == {"one-1\n  two-2\n", "one-1", "two-2", "one-1\n  two-2", "user: three-3\n"}
    assert hidden == sorted(hidden, key=len, reverse=True)
    assert mask("two-2, user: three-3", hidden) == f"{HIDDEN}, user: three-3"
