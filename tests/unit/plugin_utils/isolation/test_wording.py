# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words for people."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.redaction import redact
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.wording import (
    advice,
    in_words,
    message,
    number,
    sentence,
)


@pytest.mark.parametrize(
    ("count", "word", "said"),
    [(0, "name", "0 names"), (1, "name", "1 name"), (2, "name", "2 names"), (2, "address", "2 addresses")],
)
def test_number(count: int, word: str, said: str) -> None:
    assert number(count, word) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("it fits", "it fits."),
        ("did you mean x?", "did you mean x?"),
        ("lock it: ansible-playbook deploy.yml -l a", "lock it: ansible-playbook deploy.yml -l a"),
        ("limit the run: -l staging", "limit the run: -l staging"),
    ],
)
def test_sentence(text: str, said: str) -> None:
    """A command is copied, so nothing is added to it."""
    assert sentence(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("group a has 2 hosts", "Group a has 2 hosts."),
        ("web of aiia_prod is down", "web of aiia_prod is down."),
        ("bulkhead_prefix is empty", "bulkhead_prefix is empty."),
    ],
)
def test_message(text: str, said: str) -> None:
    """A name keeps its own letters."""
    assert message(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("set it in group_vars", "Set it in group_vars."),
        ("docker network disconnect a b", "docker network disconnect a b"),
        ("bulkhead_prefix belongs there", "bulkhead_prefix belongs there."),
        ("", ""),
    ],
)
def test_advice(text: str, said: str) -> None:
    assert advice(text) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "empty"), (True, "true or false"), (1.5, "a number"), ({}, "a mapping"), ([], "a list"), ("a", "text")],
)
def test_in_words(value: Any, said: str) -> None:
    assert in_words(value) == said


def test_our_own_command_is_not_redacted() -> None:
    """It holds an action and a name; a secret beside it is hidden."""
    command = "-e bulkhead_secret=rotate -e bulkhead_secret_name=SECRET_KEY"
    assert redact(command) == command
    assert redact("BULKHEAD_SECRET_VALUE=abc SECRET_KEY=abc") == "BULKHEAD_SECRET_VALUE=******** SECRET_KEY=********"
