# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Compose file and ``.env``: what is written is what is read back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.settings import (
    MAX_SETTING,
    plain,
    setting_problem,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.dotenv import (
    evaluate,
    read_dotenv,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.writers import dump_compose, dump_settings
from hypothesis import example, given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)

#: One character of the file stands for one of the value: what a reader of the documented syntax does.
UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\$": "$", "\\n": "\n", "\\r": "\r"}


def read_by_hand(line: str) -> tuple[str, str]:
    """A second, independent reader of the one form that is written."""
    key, _unused, quoted = line.partition("=")
    assert quoted[0] == quoted[-1] == '"'
    value, position, body = "", 0, quoted[1:-1]
    while position < len(body):
        step = 2 if body[position] == "\\" else 1
        assert body[position] not in '"$\n\r'
        value += UNESCAPED[body[position : position + 2]] if step == 2 else body[position]
        position += step
    return key, value


@given(st.dictionaries(keys, texts, max_size=6))
@example({"A": 'it\'s "quoted" $HOME ${X:-y} $$ \\n # no comment\r\n\ttab ', "B": "", "C": "=", "D": "\\"})
@example({"A": "\\$", "B": "\\\\", "C": "$", "D": "${", "E": "\u2028\x85\x0b\x0c\x1c"})
def test_settings_come_back_as_they_were(settings: dict[str, str]) -> None:
    """With nothing around that would be put in the place of a variable, and with everything."""
    text = dump_settings(settings.items(), "a heading\nof two lines")
    lines = read_dotenv(text)
    assert evaluate(lines, ".env", lambda _name: None) == settings
    assert evaluate(lines, ".env", lambda name: None if name in settings else "WRONG") == settings
    by_hand = dict(read_by_hand(line) for line in text.split("\n") if line and not line.startswith("#"))
    assert by_hand == settings


def test_the_order_is_kept_and_the_heading_is_a_comment() -> None:
    assert dump_settings([("B", "1"), ("A", "2")], "one\ntwo") == '# one\n# two\nB="1"\nA="2"\n'


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("A", "x", ""),
        ("_a9", "", ""),
        ("1A", "x", "not beginning with a digit"),
        ("A-B", "x", "letters, digits and _ only"),
        ("A B", "x", "letters, digits and _ only"),
        ("A\n", "x", "letters, digits and _ only"),
        ("", "x", "letters, digits and _ only"),
        ("Ä", "x", "letters, digits and _ only"),
        ("COMPOSE_FILE", "x", "are reserved"),
        ("DOCKER_HOST", "x", "are reserved"),
        ("COMPOSE", "x", ""),
        ("A", "a\0b", "NUL"),
        ("A", "x" * (MAX_SETTING - 3), ""),
        ("A", "x" * (MAX_SETTING - 2), "128 KiB or longer"),
        ("A", "ä" * (MAX_SETTING // 2), "128 KiB or longer"),
        ("A" * MAX_SETTING, "", "128 KiB or longer"),
    ],
)
def test_what_cannot_be_a_setting(key: str, value: str, problem: str) -> None:
    found = setting_problem(key, value)
    assert problem in found
    assert bool(found) is bool(problem)


scalars = st.none() | st.booleans() | st.integers() | texts.filter(lambda text: text.isprintable() or "\n" in text)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3)
)


@given(st.dictionaries(keys, trees, max_size=4))
@example({"a": ["yes", "no", "on", "1.0", "0o17", "1e3", "22:22", "null", "~", "<<", "=", "2026-01-01", "0x10"]})
def test_a_compose_file_comes_back_as_it_was(project: dict[str, Any]) -> None:
    assert yaml.safe_load(dump_compose(project, "a heading")) == (project or {})


@pytest.mark.parametrize("text", ["1e3", "4938830541426e16", "-1.5E3", ".5e3", "1_0e3", "0o17", "80"])
def test_a_text_that_compose_would_take_for_a_number_is_in_quotes(text: str) -> None:
    """PyYAML reads by an older YAML, in which only the last is one."""
    assert dump_compose({"label": text}) == f"label: '{text}'\n"
    assert dump_compose({"label": f"{text}x"}) == f"label: {text}x\n"


def test_a_compose_file_has_no_anchors() -> None:
    shared = {"driver": "local"}
    text = dump_compose({"a": shared, "b": shared}, "first\nsecond")
    assert text == "# first\n# second\na:\n  driver: local\nb:\n  driver: local\n"


class Tagged(str):
    """As Ansible's own strings are: a subclass."""


def test_plain_knows_only_pythons_own_types() -> None:
    value = plain({Tagged("a"): (Tagged("x"), 1, 2.5, True, None), "b": {"c": Tagged("y")}})
    assert value == {"a": ["x", 1, 2.5, True, None], "b": {"c": "y"}}
    assert [type(key) for key in value] == [str, str]
    assert [type(item) for item in (*value["a"], value["b"]["c"])] == [str, int, float, bool, type(None), str]
