# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module does at the moment, for whoever watches the run: a module itself speaks only at its end.

It is one line in a file that only root, or the user who deploys, can read. The controller may read it while the module
works, and shows it where somebody watches. Whether it does changes nothing here, and a line that cannot be written is
lost: it is about the work, and not the work. Runs on the targets: Python 3.8, standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

from . import words
from .directory import DesiredFile, Tree
from .errors import Failure

#: Below the state directory: ``<prefix>.json`` for each environment on which a module works.
FOLDER = "meanwhile"

#: The most letters of a line, and the seconds between two of them.
_LETTERS, _PAUSE = 300, 1.0

#: How much of what a program says is read at once.
_PIECE = 1 << 16

#: BuildKit's line that begins a step of a Dockerfile: ``#7 [web 3/5] RUN pip install``.
_STEP = re.compile(r"#\d+ (\[(?:\S+ )?\d+/\d+\] .*)")


class _Line:
    """The file of one environment, while a module works on it."""

    def __init__(self, state: str, prefix: str, token: str) -> None:
        self._tree = Tree(os.path.join(state, FOLDER), private=True, inner=0o700)
        self._name = "%s.json" % prefix
        self._run = of_run(token)
        self._said = ""
        self._due = 0.0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Write a line, if it is another one and the last one is old enough."""
        with self._lock:
            now, line = time.monotonic(), short(text)
            if now < self._due or line == self._said:
                return
            self._said, self._due = line, now + _PAUSE
            content = json.dumps({"run": self._run, "said": line}).encode()
            with contextlib.suppress(Failure, OSError):
                self._tree.write(DesiredFile(self._name, content, 0o600))

    def close(self) -> None:
        """Nothing is done any more."""
        with self._lock:
            self._due = float("inf")
            with contextlib.suppress(Failure, OSError):
                self._tree.unlink(self._name)


_current: list[_Line] = []


def short(text: str) -> str:
    """A text on one line. A long one ends at a blank: half a secret would not be recognised as one."""
    line = " ".join(text.split())
    return line if len(line) <= _LETTERS else "%s …" % line[:_LETTERS].rpartition(" ")[0]


def of_run(token: str) -> str:
    """By what the file names a run: the line of another run is not this one's. It says nothing about the token."""
    return hashlib.sha256(("bulkhead\0meanwhile\0%s" % token).encode()).hexdigest()[:32]


@contextlib.contextmanager
def telling(state: str, prefix: str, token: str) -> Iterator[None]:
    """Let what is done in here be told, for the run that has this token; without one, nobody watches."""
    if not (prefix and token):
        yield
        return
    line = _Line(state, prefix, token)
    _current.append(line)
    try:
        yield
    finally:
        _current.remove(line)
        line.close()


def is_told() -> bool:
    """Whether anybody may watch what is done."""
    return bool(_current)


def tell(text: str) -> None:
    """Say what is done at the moment. Its end is cut, line ends are blanks, and one that comes too soon is lost."""
    for line in _current:
        line.say(text)


@contextlib.contextmanager
def watching(look: Callable[[], str]) -> Iterator[None]:
    """Tell, about once a second, what ``look`` finds. It runs in a thread of its own, and its errors do not count."""
    if not is_told():
        yield
        return
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(_PAUSE):
            with contextlib.suppress(Exception):
                tell(look())

    thread = threading.Thread(target=run, name="bulkhead-meanwhile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Heard:
    """What a program says on its standard error, told line by line while it runs. ``file`` has no name."""

    def __init__(self, what: str, file: IO[bytes]) -> None:
        self._what = what
        self._file = file.fileno()
        self._from = 0
        self._begun = b""
        self._step = self._last = ""

    @property
    def open_files(self) -> tuple[int]:
        """What the program must have open."""
        return (self._file,)

    def prefix(self) -> list[str]:
        """What stands before the program's own words, so that it says in the file what it would say to us."""
        return ["sh", "-c", 'exec "$@" 2>>"/dev/fd/$0"', str(self._file)]

    def line(self) -> str:
        """The step that a build is at, and the last line."""
        piece = os.pread(self._file, _PIECE, self._from)
        self._from += len(piece)
        # A line that is not complete may end in half a secret, which nobody would recognise.
        whole, end, self._begun = (self._begun + piece).replace(b"\r", b"\n").rpartition(b"\n")
        for line in (whole + end).decode("utf-8", "replace").split("\n"):
            step = _STEP.match(line)
            if step:
                self._step, self._last = step.group(1), ""
            elif line.strip():
                self._last = line.strip()
        return ": ".join(part for part in (self._what, self._step, self._last) if part)

    def text(self) -> str:
        """All that it said."""
        said, piece = b"", b"-"
        while piece:
            piece = os.pread(self._file, _PIECE, len(said))
            said += piece
        return said.decode("utf-8", "replace")


@contextlib.contextmanager
def hearing(what: str) -> Iterator[Heard | None]:
    """Tell what a program says while it runs (:meth:`Heard.prefix`). Yields None where nobody watches, or there is no
    room for a file: then it is run as ever."""
    with contextlib.ExitStack() as stack:
        heard = None
        with contextlib.suppress(OSError):
            heard = Heard(what, stack.enter_context(tempfile.TemporaryFile())) if is_told() else None
        if heard:
            stack.enter_context(watching(heard.line))
        yield heard


def size(count: float) -> str:
    """A number of bytes in few characters: a decimal place would change at each look."""
    return words.size(count, ("B", "KiB", "MiB"))


def of_bytes(what: str, done: int, total: int = 0) -> str:
    """How many bytes of something are done, of all where that is known."""
    return "%s: %s%s" % (what, size(done), " of %s" % size(total) if total else "")


def of_reading(what: str, file: IO[bytes]) -> str:
    """How far an open file was read, by this process or by one that inherited it."""
    return of_bytes(what, os.lseek(file.fileno(), 0, os.SEEK_CUR), os.fstat(file.fileno()).st_size)


def of_registry(line: bytes) -> str:
    """What the engine's interface says of a pull, in a line of JSON."""
    try:
        said: dict[str, Any] = json.loads(line)
        return " ".join(str(said[key]) for key in ("status", "id", "progress") if said.get(key))
    except (ValueError, AttributeError):
        return ""
