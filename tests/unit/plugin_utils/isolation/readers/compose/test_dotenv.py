# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables and environment files."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.dotenv import (
    Line,
    evaluate,
    read_dotenv,
    settings,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.interpolation import (
    Interpolator,
    lookup_in,
)
from hypothesis import given
from hypothesis import strategies as st

ENV = {"SET": "v", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$SET ${SET}x", "v vx"),
        ("${SET:-d}${EMPTY:-d}${NO:-d}", "vdd"),
        ("${SET-d}${EMPTY-d}${NO-d}", "vd"),
        ("${SET:+d}${EMPTY:+d}${NO:+d}", "d"),
        ("${SET+d}${EMPTY+d}${NO+d}", "dd"),
        ("${NO:-${ALSO:-${SET}}}", "v"),
        ("$$SET $5 100$ $", "$SET $5 100$ $"),
        ("${A:-x}y}z", "xy}z"),
        ("no variables", "no variables"),
    ],
)
def test_operators(text: str, result: str) -> None:
    assert Interpolator(ENV.get).substitute(text) == result


@pytest.mark.parametrize("text", ["${NO:?say}", "${NO?say}", "${EMPTY:?say}"])
def test_required_variables(text: str) -> None:
    with pytest.raises(ReaderError, match="say") as caught:
        Interpolator(ENV.get).substitute(text, Where("f", 3))
    assert (caught.value.rule, caught.value.line) == ("unset-variable", 3)


@pytest.mark.parametrize("text", ["${", "${}", "${1}", "${A", "${A:-x\n}", "${A*}"])
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(ReaderError) as caught:
        Interpolator(ENV.get).substitute(text)
    assert caught.value.rule == "not-compose"


def test_uses_and_unset_are_kept() -> None:
    interpolator = Interpolator(ENV.get)
    interpolator.substitute("${SET}${NO}${MORE:-x}", Where("f", 7, "a.b"))
    assert [(use.name, use.operator, use.operand, use.value) for use in interpolator.uses] == [
        ("SET", "", "", "v"),
        ("NO", "", "", None),
        ("MORE", ":-", "x", None),
    ]
    assert interpolator.unset == {"NO": Where("f", 7, "a.b")}


def test_nesting_is_bounded() -> None:
    with pytest.raises(ReaderError) as caught:
        Interpolator(ENV.get).substitute("${A:-" * 5000 + "}" * 5000)
    assert caught.value.rule == "too-large"


@given(st.text(max_size=60))
def test_doubled_dollars_give_the_text_back(text: str) -> None:
    assert Interpolator(ENV.get).substitute(text.replace("$", "$$")) == text


@given(st.text(alphabet="$ {}AB:-?+x\n", max_size=40))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        assert isinstance(Interpolator(ENV.get).substitute(text), str)
    except ReaderError as error:
        assert error.rule in ("not-compose", "unset-variable")


def test_a_file() -> None:
    text = "\n".join(
        (
            "\ufeff# comment",
            "PLAIN=a b # c",
            "export X='$A \"'",
            'DOUBLE="a\\tb\\$c',
            'second"',
            "BARE",
            "YAML: v",
            "LAST=x",
        )
    )
    assert read_dotenv(text) == [
        Line("PLAIN", "a b", 2),
        Line("X", '$A "', 3, True),
        Line("DOUBLE", "a\tb$$c\nsecond", 4),
        Line("BARE", None, 6),
        Line("YAML", "v", 7),
        Line("LAST", "x", 8),
    ]


def test_evaluation_prefers_what_is_outside() -> None:
    lines = read_dotenv("A=1\nB=${A}\nC=${D:-d}\nE\nF=$$x\nG='$A'\n")
    assert evaluate(lines, "f", lookup_in({"A": "outer", "E": "e"})) == {
        "A": "1",
        "B": "outer",
        "C": "d",
        "E": "e",
        "F": "$x",
        "G": "$A",
    }


def test_settings_stand_where_they_were_written_last() -> None:
    lines = read_dotenv("A=1\nB=2\nA=3\n")
    assert [
        (setting.key, setting.value, setting.where.line) for setting in settings(lines, ".env", {"A": "3", "B": "2"})
    ] == [
        ("A", "3", 3),
        ("B", "2", 2),
    ]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("A=1\nB C=2\n", 2, "space"),
        ("A*B=1", 1, "unexpected character"),
        ("A=1\n\nB='x", 3, "not closed"),
        ("A=\0", 0, "binary"),
    ],
)
def test_broken_files_say_where(text: str, line: int, says: str) -> None:
    with pytest.raises(ReaderError, match=says) as caught:
        read_dotenv(text)
    assert (caught.value.rule, caught.value.line) == ("not-dotenv", line)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        evaluate(read_dotenv(text), "f", lookup_in())
    except ReaderError as error:
        assert error.message


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80))
def test_quoted_values_survive(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r")
    assert evaluate(read_dotenv(f'KEY="{escaped}"\n'), "f", lookup_in()) == {"KEY": value}
