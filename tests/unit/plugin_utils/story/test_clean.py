# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of others cannot act on a terminal or on GitHub's runner, and annotations are escaped."""

from __future__ import annotations

import re

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.story.clean import annotation, clean, group, of_findings
from hypothesis import given
from hypothesis import strategies as st

#: How GitHub's runner reads a line: it splits at CR and LF, trims, and looks for either form of a command.
_COMMAND = re.compile(r"^[\s\ufeff]*::|##\[")


def commands(text: str) -> list[str]:
    """The lines that the runner would obey."""
    return [line for line in re.split(r"\r\n|\r|\n", text) if _COMMAND.search(line)]


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b]0;title\x07",
        "\x1b[2J\x1b[H",
        "\x1b[8mhidden\x1b[0m",
        "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
        "\x9b31m",
        "over\rwritten",
        "back\x08\x08space",
        "\u202egnp.exe",
        "\x00\x07\x0b\x0c\x7f",
    ],
)
def test_nothing_acts_on_a_terminal(hostile: str) -> None:
    for colours in (False, True):
        shown = clean(hostile, colours=colours)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown.replace("\x1b[0m", "")), shown


def test_colours_of_ansible_stay_where_there_are_colours() -> None:
    painted = "\x1b[0;31mred\x1b[0m and \x1b[1;35mpurple\x1b[0m and \x1b[38;5;208morange\x1b[0m"
    assert clean(painted, colours=True) == painted
    assert "\x1b" not in clean(painted)
    assert clean("a\tb\r\nc\n") == "a\tb\nc\n"


@pytest.mark.parametrize(
    "hostile",
    [
        "::set-output name=x::y",
        "  \t::error::no",
        "good\n::add-mask::e",
        "good\r::stop-commands::x",
        "\u2003::warning::wide space",
        "\ufeff::warning::byte order mark",
        "\x1b[0;31m::error::painted",
        "\x1b[2K::error::erased",
        "\x00::error::nul",
        ":::::",
        "in the middle ##[add-mask]x",
        "###[error]x",
    ],
)
def test_no_line_is_a_command_of_github(hostile: str) -> None:
    for colours in (False, True):
        shown = clean(hostile, colours=colours, github=True)
        assert not commands(re.sub(r"\x1b\[[0-9;]*m", "", shown)), shown


@given(st.text(alphabet=st.sampled_from(":# [\n\r\t\x1b0m\x00ab\ufeff\u2028\x85")), st.booleans())
def test_no_text_at_all_is_a_command(text: str, colours: bool) -> None:
    shown = clean(text, colours=colours, github=True)
    assert not commands(shown)
    assert clean(shown, colours=colours, github=True) == shown


def test_what_is_harmless_stays_as_it_is() -> None:
    text = "std::vector a::b\n  fix       name: 50 % of ## headings [1]"
    assert clean(text, github=True) == text
    assert clean("::error::x") == "::error::x"  # elsewhere it is a text like any other


def test_annotations_are_escaped() -> None:
    said = annotation("50%\r\nof ::error::x\x1b[2J", title="a,b:c", file="inv/50%,x:y.yml", line=7)
    assert said == "::error file=inv/50%25%2Cx%3Ay.yml,line=7,title=a%2Cb%3Ac::50%25%0D%0Aof ::error::x\ufffd[2J"
    assert annotation("no place", line=3) == "::error::no place"
    assert group("a\n::endgroup::") == "::group::a%0A::endgroup::"


@given(st.text(), st.text(), st.text())
def test_an_annotation_is_one_line(message: str, title: str, file: str) -> None:
    said = annotation(message, title, file, 1)
    assert len(said.splitlines()) == 1
    assert not set(said) & {"\r", "\n", "\x1b"}


def finding(number: int = 1, *where: Where) -> Finding:
    return Finding(f"rule-{number}", Severity.HIGH, ("a", "b"), "8080", "Both publish it.", "Change one.", where)


def test_findings_name_the_first_file() -> None:
    where = (Where(item="bulkhead_http_port"), Where("/w/inventory/group_vars/a.yml", 4), Where("/w/b.yml", 5))
    assert list(of_findings([finding(1, *where)], "/w", str)) == [
        "::error file=inventory/group_vars/a.yml,line=4,title=rule-1::Both publish it. Change one."
    ]
    assert "file=b.yml,line=5," in next(
        of_findings([finding(1, *where)], "/w", lambda file: file if file == "/w/b.yml" else "")
    )
    assert "file=/elsewhere.yml," in next(of_findings([finding(1, Where("/elsewhere.yml", 1))], "/w", str))
    assert (
        next(of_findings([finding(1, *where)], "/w", lambda _: ""))
        == "::error title=rule-1::Both publish it. Change one."
    )


def test_no_more_annotations_than_github_shows() -> None:
    assert len(list(of_findings([finding(number) for number in range(10)], "", str))) == 10
    said = list(of_findings([finding(number) for number in range(30)], "", str))
    assert len(said) == 10
    assert said[-1] == "::error title=bulkhead::21 more findings: see the log"
