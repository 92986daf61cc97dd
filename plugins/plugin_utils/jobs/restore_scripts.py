# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's scripts that run in another environment's data before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_scripts(owner: Mapping[str, Any], files: str) -> tuple[dict[str, str], list[str]]:
    """Read the scripts that are to run in an environment's data before another one uses it.

    ``owner`` are the variables of the environment whose data it is: no other may say how it is sanitised. Returns the
    texts by module option, and problems. The script for files counts only where ``files`` is ``sanitise``.
    """
    names = ["sanitise", *(["sanitise_files"] if files == "sanitise" else [])]
    found: dict[str, str] = {}
    problems: list[str] = []
    for name in names:
        variable = f"bulkhead_restore_{name}"
        path = owner[variable]
        if not path:
            continue
        try:
            found[name] = _text(path)
        except ValueError as error:
            problems.append(
                f"{owner['bulkhead_prefix']}: {variable} is {path}, but {error}. Name a script on the controller to "
                "run in this environment's data, or leave the variable empty"
            )
    return found, problems


def _text(path: str) -> str:
    """Read a script. Raises ValueError where it cannot be read or is empty."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    if not text.strip():
        raise ValueError("it is empty")
    return text
