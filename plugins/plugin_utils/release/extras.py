# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service may say under ``x-bulkhead``: each key has a shape, and a key that is not listed is refused."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..declaration.model import Declaration
from ..declaration.value_forms import COMMAND, LINE, NAME, SETTING
from .definitions import Definition


def _is_mapping_of_texts(value: Any) -> bool:
    texts = (str, int, float, type(None))
    return isinstance(value, Mapping) and all(isinstance(item, texts) for item in value.values())


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and not any(map(SETTING.problem, value))


def _is_command(value: Any) -> bool:
    return value == [] or COMMAND.problem(value) == ""


def _is_list_of_commands(value: Any) -> bool:
    return isinstance(value, list) and not any(map(COMMAND.problem, value))


#: What a file may be beside its text.
_FLAGS = ("secret", "restart", "overlap")


def _is_file(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) - {"path", "template", "content", "source", *_FLAGS}:
        return False
    texts = all(isinstance(value.get(key, ""), str) for key in ("template", "content", "source"))
    flags = all(isinstance(value.get(key, False), bool) for key in _FLAGS)
    return texts and flags and LINE.problem(value.get("path")) == ""


def _is_list_of_files(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_file, value))


def _is_question(value: Any) -> bool:
    shaped = isinstance(value, Mapping) and set(value) == {"kind", "command"}
    return shaped and NAME.problem(value["kind"]) == "" and COMMAND.problem(value["command"]) == ""


_WORDS = "a list of words, such as [nginx, -t, -q]"

#: Each key with its check and its shape in words. ``backup_parts.py`` says more of backups.
KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "backup": (lambda value: isinstance(value, Mapping), "a mapping, such as {kind: files, path: /srv/media}"),
    "edge": (lambda value: isinstance(value, bool), "true or false"),
    "env": (_is_mapping_of_texts, "a mapping of settings to texts"),
    "files": (
        _is_list_of_files,
        "a list of files, each {path: …} with template, content or source, and secret: true if it is one",
    ),
    "manage": (_is_command, _WORDS),
    "on_change": (_is_command, _WORDS),
    "prepare": (_is_list_of_commands, "a list of commands, each a list of words"),
    "prepare_status": (_is_command, _WORDS),
    "private": (_is_list_of_names, "a list of names of secrets"),
    "question": (_is_question, "{kind: …, command: [a list of words]}"),
    "retire": (_is_command, _WORDS),
    "rolling": (lambda value: isinstance(value, bool), "true or false"),
    "secrets": (_is_list_of_names, "a list of names of secrets"),
    "shm_part": (lambda value: isinstance(value, int) and value > 0, "a whole number, such as 8 for an eighth"),
    "validate": (_is_command, _WORDS),
    "workers": (lambda value: SETTING.problem(value) == "", "the name of a setting, such as WEB_CONCURRENCY"),
}


def check_extras(declaration: Declaration, definitions: Sequence[Definition]) -> bool:
    """Note what services say wrongly under ``x-bulkhead``. Whether nothing was noted."""
    found = [(service.name, *problem) for service in definitions for problem in _problems(service.extra)]
    for name, key, message, fix in found:
        where = f"bulkhead_services.{name}.x-bulkhead{key}"
        declaration.problem("invalid-variable", "bulkhead_services", f"{where} {message}", fix, resource=where)
    return not found


def _problems(extra: Any) -> Iterator[tuple[str, str, str]]:
    """(``.key``, message, fix) of each problem."""
    if not isinstance(extra, Mapping):
        yield "", "is not a mapping", f"write a mapping; possible keys are {', '.join(KEYS)}"
        return
    for key, value in extra.items():
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1, cutoff=0.6)
            fix = f"did you mean {near[0]}?" if near else f"remove it; possible keys are {', '.join(KEYS)}"
            yield f".{key}", "has no meaning, so it would have no effect", fix
        elif value is not None and not KEYS[key][0](value):
            yield f".{key}", f"is not {KEYS[key][1]}", f"write {KEYS[key][1]}"
    files = extra.get("files") or ()
    overlaps = _is_list_of_files(files) and any(file.get("overlap") for file in files)
    if overlaps and not (extra.get("on_change") and extra.get("retire")):
        yield (
            ".files",
            "has a file with overlap: true, and no command takes its lines in and out again",
            "add on_change and retire, or leave overlap out",
        )
