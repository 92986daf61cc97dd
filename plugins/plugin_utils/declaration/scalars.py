# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that YAML changes: ``0123456`` is the number 42798, ``12:30:45`` is 45045, ``1.10`` is 1.1, ``no`` is false.

What stands in the file is compared with what would be written. Ansible keeps the place of numbers and dates, and that
of the names before truth values. Values from elsewhere, such as a script, have no text to compare. Variables of the
user's own count where a value names them and nothing else: ``{{ app_version }}``.
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
#: A template that is nothing but a variable's name. In any other expression, a number may be what is meant.
_NAMED = re.compile(r"\{\{-?\s*([A-Za-z_]\w*(?:\.\w+)*)\s*-?\}\}")
_ANCHOR = re.compile(r"&\S+\s+(?=\S)")
_AFTER_NAME = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s:=]+)\s*(?::\s|=)\s*((?:&\S+\s+)?[^\s,\[\]{}]+)""")

#: A value that is not text: its path, the name before it, and whether it is an item of a list.
_Found = tuple[str, Any, Any, bool]


def check_scalars(declaration: Declaration, variables: Mapping[str, Any], loader: DataLoader) -> None:
    """Note each value that would be written otherwise than it stands in its file.

    ``variables`` are those that the inventory sets, before anything is templated.
    """
    lines: dict[str, list[str]] = {}
    own = {name: name for name in variables if not name.startswith("bulkhead_")}
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
        for path, key, item, in_list in _values(name, value, variables, own):
            if name in _COMPOSE and in_list and isinstance(item, bool):
                message = f"YAML reads {path} as true or false, which no list of Compose can hold"
                _note(declaration, name, path, place(key, path), message, "put it into quotes")
                continue
            where, written = _written(key, item, path, loader, lines)
            if written and not _is_same(name, key, item, written):
                hidden = name == "bulkhead_secrets" or _is_locked(where.file)
                message = _message(path, item, "" if hidden else written)
                fix = "put it into quotes" if hidden else f'put it into quotes: "{written}"'
                _note(declaration, name, path, where, message, fix)


def _values(name: str, value: Any, variables: Mapping[str, Any], own: Mapping[str, str]) -> Iterator[_Found]:
    """Every value of a variable that is not text, also of those of the user's own that it names."""
    met: set[str] = set()
    left: list[_Found] = [(name, name, value, False)]
    while left:
        for path, key, item, in_list in _not_texts(*left.pop()):
            if not isinstance(item, str):
                yield path, key, item, in_list
                continue
            for named in _NAMED.findall(item):
                if named not in met:
                    met.add(named)
                    left += ((named, *found, in_list) for found in _find(named.split("."), variables, own))


def _find(names: list[str], variables: Mapping[str, Any], own: Mapping[str, str]) -> Iterator[tuple[Any, Any]]:
    """A variable of the user's own, or a part of one, with the name that has its place."""
    first, *parts = names
    if first not in own:
        return
    key: Any = own[first]
    value = variables[first]
    for part in parts:
        key = next((known for known in value if known == part), None) if isinstance(value, Mapping) else None
        if key is None:
            return
        value = value[key]
    yield key, value


def _not_texts(path: str, key: Any, value: Any, in_list: bool = False) -> Iterator[_Found]:
    """Every number, truth value and date in a value, and every text that may name a variable."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _not_texts(f"{path}.{name}", name, item)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _not_texts(f"{path}.{number}", key, item, True)
    elif isinstance(value, (bool, int, float, date)) or (isinstance(value, str) and "{{" in value):
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
        anchor = _ANCHOR.match(line, at - 1)
        at = anchor.end() + 1 if anchor else at
        found = (_DATE if isinstance(value, date) else _WORD).match(line, at - 1)
        written = found[0].strip() if found else ""
    else:
        found = _AFTER_NAME.match(line, at - 1 if at else max(line.find(str(key)), 0))
        written = _ANCHOR.sub("", found[1]) if found else ""
    # An alias, a tag, a quote or a comment: the text is elsewhere, or said to be what it is.
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


def _is_locked(file: str) -> bool:
    return bool(is_encrypted(Path(file).read_text(encoding="utf-8")))


def _message(path: str, value: Any, written: str) -> str:
    """What is wrong with a value. One that may be a secret is not ``written``."""
    kind = "truth value" if isinstance(value, bool) else "date" if isinstance(value, date) else "number"
    if not written:
        return f"{path} is not in quotes, and YAML reads it as a {kind}: another text would be written"
    text = setting_text(value) if isinstance(value, bool) else plain(value)
    return f"{path} is {written} in the file, which YAML reads as the {kind} {text}: that would be written instead"


def _note(declaration: Declaration, name: str, path: str, where: Where, message: str, fix: str) -> None:
    declaration.origins[path] = where
    declaration.problem("unquoted-value", name, message, fix, resource=path)
