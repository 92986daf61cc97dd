# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The screen: every text that Ansible writes goes through it, and one line moves while a step runs."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .clean import clean
from .lines import folded, moving_line, paragraph, signs, usable

#: Seconds between two pictures of the moving line, and between two looks whether a plain line is due.
_PICTURE, _LOOK = 0.2, 0.5

_ERASE = "\r\x1b[K"


@contextmanager
def _heard() -> Iterator[None]:
    """Whoever read the output may have gone, as ``| head`` does. No deployment ends half-way because of that."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Screen:
    """Ansible's display with a guard before it, and a moving line below it.

    Only Ansible's main process writes. Its workers, which are forks, send their texts to it; so in them nothing of this
    does anything. The line is drawn under the display's own lock, which Ansible holds while it forks.
    """

    def __init__(
        self,
        display: Any,
        environment: Mapping[str, str],
        interval: float,
        colours: bool,
        detail: Callable[[float], str] = lambda _since: "",
    ) -> None:
        self.github = environment.get("GITHUB_ACTIONS") == "true"
        self.moves = sys.stdout.isatty() and environment.get("TERM", "dumb") != "dumb" and not self.github
        self.signs = signs(getattr(sys.stdout, "encoding", None) or "", environment)
        #: Called before the first text of a step is shown.
        self.before: Callable[[], None] | None = None
        #: What the step does at the moment, as far as it was said since it began: somebody else's text.
        self._detail = detail
        self._interval = interval
        self._colours = colours
        self._narrow = self.moves or "COLUMNS" in environment
        self._lock = display._lock
        self._say, self._ask = display.display, display.prompt_until
        self._process = os.getpid()
        self._step = ""
        self._began = self._told = 0.0
        self._drawn = self._wraps = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        # Ansible has no other place through which all texts go: its own, those of actions, and warnings.
        display.display, display.prompt_until = self._display, self._prompt
        atexit.register(self.close)

    @property
    def columns(self) -> int:
        """How wide the screen is, in cells."""
        return shutil.get_terminal_size().columns

    @property
    def width(self) -> int:
        """How wide a line of ours may be."""
        return usable(self.columns)

    def line(self, text: str = "", color: str | None = None, stderr: bool = False) -> None:
        """Write text that was composed here."""
        self._display(text, color=color, stderr=stderr)

    def command(self, text: str) -> None:
        """Write a command for GitHub's runner, which is escaped already."""
        self._write(text)

    def begin(self, step: str, wraps: bool = True) -> None:
        """A step begins. ``wraps`` lets its texts wrap between words where a width is known."""
        with self._lock:
            self._wraps = wraps and self._narrow
            self._step, self._began = step, time.monotonic()
            self._told = self._began
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bulkhead-story", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """The step has ended, or somebody else writes now."""
        self.before = None
        with self._lock:
            self._step, self._wraps = "", False
            with _heard():
                self._erase()

    def close(self) -> None:
        """End for good: the interpreter must not end under a thread that writes."""
        if os.getpid() != self._process:
            return
        self.end()
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _display(self, msg: str, *arguments: Any, **options: Any) -> None:
        if os.getpid() != self._process:
            self._say(msg, *arguments, **options)
            return
        if self.before is not None and not options.get("log_only"):
            before, self.before = self.before, None
            before()
        text = clean(msg, colours=self._colours, github=self.github)
        self._write(folded(text, self.width) if self._wraps else text, *arguments, **options)

    def _write(self, text: str, *arguments: Any, **options: Any) -> None:
        with self._lock, _heard():
            self._erase()
            self._say(text, *arguments, **options)
            sys.stdout.flush()

    def _prompt(self, *arguments: Any, **options: Any) -> Any:
        if os.getpid() != self._process:
            return self._ask(*arguments, **options)
        with self._lock:  # no line moves under an answer
            return self._ask(*arguments, **options)

    def _run(self) -> None:
        while not self._ended.wait(_PICTURE if self.moves else _LOOK):
            with self._lock, _heard():
                if self._step:
                    self._move(time.monotonic())

    def _move(self, now: float) -> None:
        seconds = now - self._began
        if self.moves:
            tick = int(seconds / _PICTURE)
            line = moving_line(self.signs.frame(tick), self._step, seconds, self.columns, self._meanwhile())
            sys.stdout.write(_ERASE + line)
            self._drawn = True
        elif now - self._told >= self._interval:
            self._told = now
            detail = self._meanwhile()
            words = f"{self.signs.waits} {self._step}: {seconds:.0f} s{f', {detail}' if detail else ''}"
            self._say(clean(paragraph(words, self.width, "  ", ""), github=self.github))
        sys.stdout.flush()

    def _meanwhile(self) -> str:
        """What the step does, on one line, without anything that acts on a terminal."""
        return " ".join(clean(self._detail(self._began), github=self.github).split())

    def _erase(self) -> None:
        if self._drawn:
            sys.stdout.write(_ERASE)
            sys.stdout.flush()
            self._drawn = False
