# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Equal build inputs have equal tags; different ones never share a tag."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.tag import build_inputs, image_tag

COMMIT = "4f2a91c7" * 5
USUAL: dict[str, Any] = {
    "repository": "https://git.example/app.git",
    "dockerfile": "Dockerfile",
    "context": ".",
    "target": "",
    "arguments": {"PYTHON": "3.13", "EXTRA": 1},
}


def test_a_tag_names_commit_and_inputs() -> None:
    tag = image_tag(COMMIT, build_inputs(**USUAL))
    assert re.fullmatch(f"{COMMIT}-[0-9a-f]{{12}}", tag)
    assert len(tag) < 128, "what Docker takes"


def test_equal_inputs_have_one_tag() -> None:
    other_order = {**USUAL, "arguments": dict(reversed(USUAL["arguments"].items()))}
    assert build_inputs(**USUAL) == build_inputs(**other_order)


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "https://git.example/other.git"},
        {"dockerfile": "docker/Dockerfile"},
        {"context": "backend"},
        {"target": "special"},
        {"arguments": {}},
        {"arguments": {"PYTHON": "3.14", "EXTRA": 1}},
        {"arguments": {"PYTHON": "3.13"}},
        {"arguments": {"EXTRA": "3.13", "PYTHON": 1}},
    ],
)
def test_each_input_counts(changes: dict[str, Any]) -> None:
    assert build_inputs(**{**USUAL, **changes}) != build_inputs(**USUAL)


def test_an_argument_is_not_found_out_by_trying_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess costs as much as a guess at a stored password."""
    rounds: list[int] = []
    real = hashlib.pbkdf2_hmac

    def counted(name: str, given: bytes, salt: bytes, count: int) -> bytes:
        rounds.append(count)
        assert salt and json.loads(given) == USUAL["arguments"]
        return real(name, given, salt, count)

    monkeypatch.setattr("hashlib.pbkdf2_hmac", counted)
    build_inputs(**{**USUAL, "arguments": {}})
    assert rounds == [], "nothing to hide"
    build_inputs(**USUAL)
    assert sum(rounds) >= 200_000
