# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An edit changes one value and keeps every comment, or is refused."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsProblem, SecretsText
from hypothesis import given, settings
from hypothesis import strategies as st

WRITTEN = """\
# made in 2025
---
other: 1   # stays

bulkhead_secrets:   # all of them
    # the first
    FIRST: plain words   # behind
    SECOND: 'quoted'
    BLOCK: |
      line one
      line two

    # the last
    EMPTY:
bulkhead_tls_key: !unsafe "key"
"""


def reading(text: str) -> dict[str, str]:
    """What YAML reads of the secrets, by a loader that knows our one tag."""

    class Loader(yaml.SafeLoader):
        """Reads !unsafe as a text."""

    Loader.add_constructor("!unsafe", lambda _loader, node: str(node.value))
    found: dict[str, str] = yaml.load(text, Loader=Loader)["bulkhead_secrets"]
    return found


@pytest.mark.parametrize("name", ["FIRST", "SECOND", "BLOCK", "EMPTY", "NEW"])
def test_one_value_is_replaced_and_all_comments_stay(name: str) -> None:
    edited = SecretsText(WRITTEN).with_value(name, "new: {value} # 1").text
    before = {**reading(WRITTEN), "EMPTY": None}
    assert reading(edited) == {**before, name: "new: {value} # 1"}
    for comment in ("# made in 2025", "# stays", "# all of them", "# the first", "# the last"):
        assert edited.count(comment) == 1, comment
    assert list(reading(edited)) == list({**before, name: ""})


def test_a_comment_behind_a_value_stays() -> None:
    assert 'FIRST: "new"   # behind' in SecretsText(WRITTEN).with_value("FIRST", "new").text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n",
        "# only a comment\n",
        "other: 1",
        "bulkhead_secrets:\n",
        "bulkhead_secrets: {}\n",
        "bulkhead_secrets:",
        "bulkhead_secrets: {A: b}\n",
        "bulkhead_secrets:\n  A: b",
        "bulkhead_secrets: {A: b}  # c\nother: 1\n",
    ],
)
def test_a_secret_is_added_wherever_there_is_room(text: str) -> None:
    added = SecretsText(text).with_value("NEW", "value")
    assert added.values["NEW"] == "value" and reading(added.text)["NEW"] == "value"
    assert set(added.names) - {"NEW"} == ({"A"} if "A: b" in text else set())


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", WRITTEN, "bulkhead_secrets: {A: b}\n"]))
def test_every_value_comes_back(value: str, text: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    found = SecretsText(text).with_value("A", "x").with_value("A", value).with_value("B", value)
    assert found.values["A"] == value == found.values["B"]
    assert reading(found.text)["B"] == value


@pytest.mark.parametrize("value", ["a{{b", "{% raw", "{# x"])
def test_a_value_that_looks_like_a_template_is_marked(value: str) -> None:
    assert f'!unsafe "{value}"' in SecretsText().with_value("A", value).text


def test_a_secret_is_taken_out_with_its_line() -> None:
    assert SecretsText(WRITTEN).without("SECOND").text == WRITTEN.replace("    SECOND: 'quoted'\n", "")
    assert SecretsText("bulkhead_secrets:\n  A: b\n").without("A").values == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [hunter2hunter\n", "cannot be read in line"),
        ("a: hunter2hunter: b\n", "cannot be read in line 1"),
        ("- hunter2hunter\n", "holds no variables"),
        ("bulkhead_secrets: '{{ hunter2hunter }}'\n", "is not written as names with their values"),
        ("bulkhead_secrets: {A: 1}\nbulkhead_secrets: {B: 1}\n", "written twice"),
        ("bulkhead_secrets:\n  A: b\n  A: hunter2hunter\n", "has a name twice"),
        ("bulkhead_secrets:\n  A: [hunter2hunter]\n", "a secret is one text"),
    ],
)
def test_what_cannot_be_read_is_said_without_a_value(text: str, said: str) -> None:
    with pytest.raises(SecretsProblem) as caught:
        SecretsText(text)
    assert said in str(caught.value) and "hunter2hunter" not in str(caught.value)


def test_an_edit_that_would_change_more_is_refused() -> None:
    text = SecretsText("bulkhead_secrets:\n  A: &one b\n  C: *one\n")
    with pytest.raises(SecretsProblem, match="without changing more"):
        text.with_value("A", "new")


def test_numbers_that_yaml_changed() -> None:
    text = "bulkhead_secrets:\n  A: 0123\n  B: 12:30\n  C: 1.10\n  D: 42\n  E: '0123'\n  F: yes\n  G: word\n"
    assert list(SecretsText(text).changed_by_yaml()) == ["A", "B", "C", "F"]
