# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a secret is found: in texts, in files, and in temporary directories."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

#: Where programs leave temporary files, whatever TMPDIR says.
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run")


def forms(text: str) -> list[bytes]:
    """A secret as it is, and as JSON and base64 have it."""
    return [text.encode(), json.dumps(text)[1:-1].encode(), base64.b64encode(text.encode())[:-4]]


def holds(path: Path, forms_of_secrets: Sequence[bytes]) -> bool:
    """Whether a file holds one of these texts. A build engine's disk has 20 GiB, nearly all of them holes."""
    chunk, overlap = 16 << 20, max(map(len, forms_of_secrets))
    with path.open("rb") as file:
        size, end = os.fstat(file.fileno()).st_size, 0
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return False
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            for offset in range(start, end, chunk):
                text = os.pread(file.fileno(), min(chunk, end - offset) + overlap, offset)
                if any(form in text for form in forms_of_secrets):
                    return True
    return False


def leftovers(since: float, forms_of_secrets: Sequence[bytes], without: Path) -> Iterator[Path]:
    """The small files in the machine's temporary directories, written since a moment, that hold one of these texts.

    Two levels of directories: deeper ones are checkouts and the directories of other tests.
    """
    for top in _TEMPORARY:
        for path in _files(Path(top), 2):
            with suppress(OSError):  # what goes meanwhile is not left
                status = path.stat()
                recent = status.st_mtime >= since and status.st_size < 1 << 20
                if recent and not path.is_relative_to(without) and holds(path, forms_of_secrets):
                    yield path


def _files(directory: Path, levels: int) -> Iterator[Path]:
    """The regular files below a directory, through so many levels of directories."""
    entries: Iterable[os.DirEntry[str]] = ()
    with suppress(OSError):
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        elif levels and entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), levels - 1)
