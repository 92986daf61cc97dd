# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that YAML changes: ``0123456`` is the number 42798, ``12:30:45`` is 45045, ``1.10`` is 1.1, ``no`` is false.

What stands in the file is compared with what would be written. Ansible keeps the place of numbers and dates, and that
of the names before truth values. Values from elsewhere, such as a script, have no text to compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted

from ..isolation.model import Where
from .inventory import place, spot
from .model import Declaration
from .settings import plain, setting_text
from .variables import SETTINGS, specification

#: Variables that Compose reads as YAML: there true and false are values of their own.
_COMPOSE = ("bulkhead_services", "bulkhead_compose")

#: Variables whose values all become text.
_TEXTS = (*SETTINGS, "bulkhead_build_arguments")

#: Keys of Compose whose number means the same however it is written.
_AMOUNTS = frozenset({"cpus", "cpu_percent"})

_WORD = re.compile(r"[^\s,\[\]{}]+")
_DATE = re.compile(r"[^,\[\]{}#]+")
_AFTER_NAME = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s:=]+)\s*(?::\s|=)\s*([^\s,\[\]{}]+)""")

#: A value that is not text: its path, the name before it, and whether it is an item of a list.
_Found = tuple[str, Any, Any, bool]


def check_scalars(declaration: Declaration, variables: Mapping[str, Any], loader: DataLoader) -> None:
    """Note each value that would be written otherwise than it stands in its file.

    ``variables`` are those that the inventory sets, before anything is templated.
    """
    lines: dict[str, list[str]] = {}
    for name, value in variables.items():
        if name not in specification():
            continue
        for path, key in _odd_names(name, value) if name in _COMPOSE else ():
            message = f"{path} has the name {key!r}: YAML read an unquoted word as a value"
            _note(
                declaration,
                name,
                f"{path}.{key}",
                place(value, path),
                message,
                'put the name into quotes, such as "NO"',
            )
        for path, key, item, in_list in _not_texts(name, name, value):
            if name in _COMPOSE and in_list and isinstance(item, bool):
                message = f"YAML reads {path} as true or false, which no list of Compose can hold"
                _note(declaration, name, path, place(key, path), message, "put it into quotes")
                continue
            where, written = _written(key, item, path, loader, lines)
            if written and not _is_same(name, key, item, written):
                _note(declaration, name, path, where, _message(name, path, item, written), _mend(name, written))


def _not_texts(path: str, key: Any, value: Any, in_list: bool = False) -> Iterator[_Found]:
    """Every number, truth value and date in a value."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _not_texts(f"{path}.{name}", name, item)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _not_texts(f"{path}.{number}", key, item, True)
    elif isinstance(value, (bool, int, float, date)):
        yield path, key, value, in_list


def _odd_names(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every name in a value that is not text, with the path of what it is a name in."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                yield path, name
            yield from _odd_names(f"{path}.{name}", item)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _odd_names(f"{path}.{number}", item)


def _written(key: Any, value: Any, path: str, loader: DataLoader, lines: dict[str, list[str]]) -> tuple[Where, str]:
    """Where a value stands, and its text there; empty where that is not known."""
    file, number, at = spot(value)
    named = not file
    if named:
        file, number, at = spot(key)
    if not file or not number:
        return Where(item=path), ""
    if file not in lines:
        lines[file] = _lines_of(file, loader)
    line = lines[file][number - 1] if number <= len(lines[file]) else ""
    if at and not named:
        found = (_DATE if isinstance(value, date) else _WORD).match(line, at - 1)
        written = found[0].strip() if found else ""
    else:
        found = _AFTER_NAME.match(line, at - 1 if at else max(line.find(str(key)), 0))
        written = found[1] if found else ""
    # An anchor, an alias, a tag, a quote or a comment: the text is elsewhere, or said to be what it is.
    return place(key if named else value, path), "" if written.startswith(tuple("&*!\"'#|>")) else written


def _lines_of(file: str, loader: DataLoader) -> list[str]:
    try:
        text = Path(file).read_text(encoding="utf-8")
        return (loader.get_text_file_contents(file) if is_encrypted(text) else text).splitlines()
    except (AnsibleError, OSError, UnicodeError):
        return []


def _is_same(name: str, key: Any, value: Any, written: str) -> bool:
    if isinstance(value, bool):
        if name in _TEXTS:
            return written == setting_text(value)
        return name not in _COMPOSE or written.lower() in ("true", "false")
    if name in _COMPOSE and key in _AMOUNTS:
        return True
    return written == str(plain(value))


def _message(name: str, path: str, value: Any, written: str) -> str:
    kind = "truth value" if isinstance(value, bool) else "date" if isinstance(value, date) else "number"
    if name == "bulkhead_secrets":
        return f"{path} is not in quotes, and YAML reads it as a {kind}: another text would be written"
    text = setting_text(value) if isinstance(value, bool) else plain(value)
    return f"{path} is {written} in the file, which YAML reads as the {kind} {text}: that would be written instead"


def _mend(name: str, written: str) -> str:
    return "put it into quotes" if name == "bulkhead_secrets" else f'put it into quotes: "{written}"'


def _note(declaration: Declaration, name: str, path: str, where: Where, message: str, fix: str) -> None:
    declaration.origins[path] = where
    declaration.problem("unquoted-value", name, message, fix, resource=path)
