# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dockerfiles: instructions, mounts, defaults, and what a .dockerignore keeps out."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.dockerfile import ignores, read_dockerfile
from hypothesis import given
from hypothesis import strategies as st


def test_instructions() -> None:
    """Continued lines, comments between them, flags and heredocs."""
    text = r"""# syntax=docker/dockerfile:1
from python:3.13 AS base
RUN --mount=type=secret,id=env,target=/x \
    # a comment between
    --mount=type=cache,target=/root/.cache \
    pip install -r requirements.txt
COPY --from=base --chown=app . /app
RUN <<EOF
echo one
EOF
CMD ["run"]
"""
    found = read_dockerfile(text, "Dockerfile")
    assert [(instruction.name, instruction.where.line) for instruction in found] == [
        ("FROM", 2),
        ("RUN", 3),
        ("COPY", 7),
        ("RUN", 8),
        ("CMD", 11),
    ]
    run = found[1]
    assert [mount["id"] for mount in run.mounts("secret")] == ["env"]
    assert [mount["target"] for mount in run.mounts("cache")] == ["/root/.cache"]
    assert run.text == "pip install -r requirements.txt"
    assert found[2].words() == [".", "/app"]
    assert "echo one" in found[3].text


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("ARG VERSION=3.12", {"VERSION": "3.12"}),
        ("ARG VERSION", {}),
        ('ENV A=1 B="two words"', {"A": "1", "B": "two words"}),
        ("ENV NAME some value", {"NAME": "some value"}),
    ],
)
def test_pairs(line: str, pairs: dict[str, str]) -> None:
    """Defaults as ARG and ENV write them."""
    assert read_dockerfile(line, "Dockerfile")[0].pairs() == pairs


@given(st.text(max_size=300))
def test_never_raises(text: str) -> None:
    """Any text is read."""
    for instruction in read_dockerfile(text, "Dockerfile"):
        instruction.words(), instruction.pairs(), list(instruction.mounts("secret"))


@pytest.mark.parametrize(
    ("patterns", "ignored"),
    [
        (".env", True),
        (".env*", True),
        ("**/.env", True),
        ("/.env", True),
        ("*", True),
        ("*\n!.env", False),
        ("!.env\n*", True),
        (".envrc", False),
        ("# .env", False),
        ("", False),
        ("config/.env", False),
    ],
)
def test_ignores(patterns: str, ignored: bool) -> None:
    """The last pattern that matches decides."""
    assert ignores(patterns, ".env") is ignored
