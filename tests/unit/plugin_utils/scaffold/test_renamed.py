# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copied file of variables keeps its comments and its order, and has the new environment's names."""

from __future__ import annotations

import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.scaffold.renamed import added, renamed, word
from hypothesis import given
from hypothesis import strategies as st

TEXT = """\
# The staging environment.
---
bulkhead_environment: staging      # the name
bulkhead_domains: [staging.example.com, "api.staging.example.com"]
bulkhead_http_port: 8080
bulkhead_env:
  SITE: https://staging.example.com/
  staging: "staging is a key here"
  PREFIX: "{{ bulkhead_environment }}_staging"
  CACHE: app_staging_cache
  OTHER: backstaging
"""
WORDS = {"staging": "qa", "staging.example.com": "qa.example.com"}


def test_words_are_replaced_in_values_and_comments() -> None:
    """Every name that is the model's becomes the new one's, and nothing that only looks like it."""
    made = renamed(TEXT, WORDS, {"bulkhead_http_port": 8081})
    assert made.text.startswith("# The qa environment.\n---\nbulkhead_environment: qa      # the name\n")
    values = yaml.safe_load(made.text)
    assert values["bulkhead_http_port"] == 8081
    assert values["bulkhead_domains"] == ["qa.example.com", "api.qa.example.com"]
    assert values["bulkhead_env"] == {
        "SITE": "https://qa.example.com/",
        "staging": "qa is a key here",
        "PREFIX": "{{ bulkhead_environment }}_qa",
        "CACHE": "app_qa_cache",
        "OTHER": "backstaging",
    }


def test_secrets_are_left_out() -> None:
    """Neither what is encrypted nor what should be: nobody may copy a secret of another environment."""
    text = (
        "one: 1\n"
        "token: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"
        "bulkhead_env:\n  A: a\n  B: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6162\n"
        "bulkhead_secrets:\n  SECRET_KEY: canary\n"
        "two: 2\n"
    )
    made = renamed(text, {}, {})
    assert made.left_out == ("token", "bulkhead_env", "bulkhead_secrets")
    assert yaml.safe_load(made.text) == {"one": 1, "two": 2}


def test_a_domain_is_replaced_only_where_it_begins() -> None:
    """shop.example.com is another domain than example.com, and so is the one of an e-mail address."""
    words = {"example.com": "qa.example.com"}
    assert word("example.com", words) == "qa.example.com"
    assert word("https://example.com/x", words) == "https://qa.example.com/x"
    for other in ("shop.example.com", "ops@example.com", "my-example.com", "example.community"):
        assert word(other, words) == other


def test_added_variables_are_read_back() -> None:
    """They come last, in YAML that means the same."""
    text = added("---\na: 1\n", {"bulkhead_directory": "/srv/qa: x", "bulkhead_http_port": 8081}, "Why.")
    assert yaml.safe_load(text) == {"a": 1, "bulkhead_directory": "/srv/qa: x", "bulkhead_http_port": 8081}
    assert added("a: 1\n", {}, "Why.") == "a: 1\n"


_NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=5), st.booleans())
def test_what_names_nothing_stays_as_it_is(variables: dict[str, object], flow: bool) -> None:
    """Whatever a file says, without a word of the model its text is kept to the byte."""
    text = yaml.safe_dump(variables, default_flow_style=flow, allow_unicode=True)
    assert renamed(text, {"staging": "qa"}, {}).text == text
