# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files beside an environment's variables: changed by one person at a time, and as a whole or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .editing import SecretsProblem

#: A hidden file in a directory of variables: Ansible does not load it.
_TEMPORARY = ".bulkhead-{name}."


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold a directory of variables, which is made, for one job. Raises :class:`SecretsProblem` while another job holds
    it, and where it cannot be made or opened.

    The lock ends with the process, and leaves no file.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SecretsProblem(f"{directory} cannot be used: {error.strerror}. Nothing was changed") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SecretsProblem(
                f"somebody else is changing the secrets in {directory} right now. Nothing was changed; try again when "
                "that run has ended"
            ) from None
        yield
    finally:
        os.close(handle)


def read(path: Path, must_exist: bool = False) -> str:
    """The text of a file; empty where there is none, unless it must exist.

    Raises :class:`SecretsProblem` where it cannot be read, or is not text.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        if must_exist:
            raise SecretsProblem(f"there is no file {path}") from None
        return ""
    except UnicodeDecodeError:
        raise SecretsProblem(f"{path} is damaged: it is not text") from None
    except OSError as error:
        raise SecretsProblem(f"{path} cannot be read: {error.strerror}") from None


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file as a whole, with the mode and owner that it had; a new one gets ``mode``.

    Hold the directory with :func:`alone`. Raises :class:`SecretsProblem` where it cannot be written.
    """
    target = Path(os.path.realpath(path))
    prefix = _TEMPORARY.format(name=target.name)
    temporary = target.with_name(f"{prefix}{secrets.token_hex(8)}")
    try:
        for left in target.parent.glob(f"{prefix}*"):  # of a run that was killed
            left.unlink()
        _write(temporary, text.encode(), target, mode)
        temporary.replace(target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise SecretsProblem(f"{path} cannot be written: {error.strerror}. It is as it was") from None
    with suppress(OSError):  # it is replaced already, and not every file system can do this
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(temporary: Path, content: bytes, like: Path, mode: int) -> None:
    """Write a new file to the disk, with the mode and owner of another where that exists."""
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        with suppress(FileNotFoundError):
            there = like.stat()
            mode = there.st_mode & 0o777
            if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(handle, there.st_uid, there.st_gid)
        os.fchmod(handle, mode)
        file.write(content)
        file.flush()
        os.fsync(handle)
