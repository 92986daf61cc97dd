# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a step does at the moment, on the screen: on one line, and whatever a container logs acts on nothing."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.story.screen import Screen

HOSTILE = "\x1b[2J\x1b]0;title\x07::error::forged\n::add-mask::x\r##[error]old \u202ereversed"


class Display:
    """Ansible's display, as far as the screen needs it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.shown: list[str] = []
        self.prompt_until = None

    def display(self, text: str, **_options: Any) -> None:
        self.shown.append(text)


class Terminal(io.StringIO):
    """Somebody who looks."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def during(detail: str, environment: Mapping[str, str], step: str = "Converge") -> list[str]:
    """The plain lines that are shown while a step runs."""
    display = Display()
    screen = Screen(display, {"LANG": "C.UTF-8", **environment}, 0.1, False, lambda _since: detail)
    screen.begin(step)
    deadline = time.monotonic() + 20
    while not display.shown and time.monotonic() < deadline:
        time.sleep(0.05)
    screen.close()
    return display.shown


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "true"}])
def test_a_hostile_line_acts_on_nothing(environment: dict[str, str]) -> None:
    text = during(HOSTILE, environment)[0]
    assert "forged" in text and "\x1b" not in text and "\u202e" not in text
    assert "\r" not in text
    assert not any(re.match(r"\s*::", line) for line in text.splitlines())
    assert not (environment and "##[" in text)


def test_the_line_of_the_docs() -> None:
    from checkout import ROOT

    step = "Converge to the release"
    text = during("waiting for shop_staging_web: loading data", {}, step)[0]
    shown = re.sub(r"\d+ s", "20 s", text)
    assert f"\n{shown}\n" in (ROOT / "docs/operations.md").read_text(encoding="utf-8"), shown


def test_nothing_to_say() -> None:
    assert re.fullmatch(r"… Converge: \d+ s", during("", {})[0])


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line moves, is no wider than the screen, and goes back to its beginning only."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    screen = Screen(Display(), {"LANG": "C.UTF-8", "TERM": "xterm"}, 20, False, lambda _since: HOSTILE + "x" * 100)
    assert screen.moves
    screen.begin("Converge")
    deadline = time.monotonic() + 20
    while "forged" not in terminal.getvalue() and time.monotonic() < deadline:
        time.sleep(0.05)
    screen.close()
    pictures = terminal.getvalue().split("\r\x1b[K")
    assert any("forged" in picture for picture in pictures)
    assert all(len(picture) < 60 and "\x1b" not in picture and "\n" not in picture for picture in pictures)
