# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of the documentation that are generated: written, or compared with what they must be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path


def options(description: str) -> tuple[argparse.ArgumentParser, argparse._MutuallyExclusiveGroup]:
    """What every generator of pages takes, and the group to which it can add other things to do."""
    parser = argparse.ArgumentParser(description=description)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the pages")
    action.add_argument("--check", action="store_true", help="exit with 1 if a page is out of date")
    return parser, action


def cell(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def keep(page: Path, text: str, write: bool, command: str) -> int:
    """Write a page of docs, or say that it is out of date and which command writes it. Returns the exit code."""
    present = {page.name: page.read_text(encoding="utf-8")} if page.exists() else {}
    return _keep(page.parent, present, {page.name: text}, write, command)


def keep_folder(folder: Path, texts: Mapping[str, str], write: bool, command: str) -> int:
    """The same for all pages of a folder, by file name: another page in it is removed, or out of date."""
    present = {page.name: page.read_text(encoding="utf-8") for page in folder.glob("*.md")}
    return _keep(folder, present, texts, write, command)


def _keep(folder: Path, present: Mapping[str, str], texts: Mapping[str, str], write: bool, command: str) -> int:
    stale = sorted(name for name in present.keys() | texts.keys() if present.get(name) != texts.get(name))
    if write:
        folder.mkdir(exist_ok=True)
        for name in stale:
            if name in texts:
                (folder / name).write_text(texts[name], encoding="utf-8")
            else:
                (folder / name).unlink()
    elif stale:
        names = ", ".join(f"{folder.name}/{name}" for name in stale[:5])
        print(f"{names} {'is' if len(stale) == 1 else 'are'} out of date: run {command}", file=sys.stderr)
        return 1
    return 0
