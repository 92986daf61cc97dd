# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge each value by its form: a wrong one is a finding that shows the variable and the right form."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from .forms import FORMS
from .inventory import holds_seal
from .model import Declaration
from .settings import one_of
from .value_forms import Form
from .variables import made_of, optional, specification

#: The longest part of a wrong value that a message shows.
_SHOWN = 80

#: The list whose entries have rules of their own, on paper and on the machine: ``isolation/waivers.py``.
_WAIVERS = "bulkhead_waivers"


def check_forms(declaration: Declaration, usual: Mapping[str, Any]) -> None:
    """Note each value that does not have the form of its variable. Values that are sealed or unread have none.

    What is one of the ``usual`` objects has the right form: a test looks at them.
    """
    for name, spec in specification().items():
        if declaration.values[name] is usual.get(name, usual):
            continue
        if not declaration.can_judge(name) or (name == "bulkhead_prefix" and not _is_named(declaration)):
            continue
        if name not in declaration.origins and not all(map(declaration.can_judge, made_of(name))):
            continue  # It is as wrong as what it is made of, which is noted.
        value = declaration.values[name]
        options = spec.get("options")
        if options and name != _WAIVERS:
            _check_entries(declaration, name, value, options)
        elif name in FORMS and not options:
            _check_value(declaration, name, value, spec)
        elif spec.get("choices") and not value and "" not in spec["choices"]:
            fix = one_of(spec["choices"])
            declaration.problem("invalid-variable", name, f"{name} is empty", fix)


def _is_named(declaration: Declaration) -> bool:
    """Whether an environment has what its prefix is made of."""
    return bool(declaration.values["bulkhead_project"] and declaration.values["bulkhead_environment"])


def _check_value(declaration: Declaration, name: str, value: Any, spec: Mapping[str, Any]) -> None:
    if value is None or value == "":
        if name not in optional() and not spec.get("required"):
            declaration.problem("invalid-variable", name, f"{name} is empty", FORMS[name].fix)
        return
    if spec["type"] == "list":
        said, items = "has", list(value)
    elif spec["type"] == "dict":
        said, items = "has the key", list(value)
    else:
        said, items = "is", [value]
    for item in items:
        _check_one(declaration, name, f"{name} {said}", item, FORMS[name])


def _check_one(declaration: Declaration, name: str, said: str, value: Any, form: Form) -> None:
    problem = "" if holds_seal(value) else form.problem(value)
    if not problem:
        return
    if form.whole:
        message = problem if problem.startswith(name) else f"{name}: {problem}"
    else:
        message = f"{said} {_shown(value)}, which {problem}" if form.shown else f"{said} a value that {problem}"
    declaration.problem("invalid-variable", name, message, form.fix)


def _shown(value: Any) -> str:
    """A value in a message, with what does not print written out."""
    text = value if isinstance(value, str) and value.isprintable() and value == value.strip() else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _check_entries(declaration: Declaration, name: str, entries: Any, options: Mapping[str, Any]) -> None:
    for number, entry in enumerate(entries):
        for message, fix in _faults(f"{name}[{number}]", name, entry, options):
            declaration.problem("invalid-variable", name, message, fix)


def _faults(where: str, name: str, entry: Mapping[Any, Any], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with an entry, each with its fix."""
    shape = ", ".join(f"{key}: …" for key, spec in options.items() if spec.get("required"))
    for key in entry:
        if key not in options:
            near = difflib.get_close_matches(str(key), options, n=1, cutoff=0.6)
            fix = f"did you mean {near[0]}?" if near else f"write {{{shape}}}; possible keys are {', '.join(options)}"
            yield f"{where} has the key {_shown(key)}, which has no meaning there", fix
    for key, spec in options.items():
        value = entry.get(key)
        if holds_seal(value):
            continue
        if value is None or value == "":
            if spec.get("required"):
                yield f"{where} has no {key}: {str(spec['description']).strip().rstrip('.')}", f"write {{{shape}}}"
        elif spec.get("choices"):
            if value not in spec["choices"]:
                yield f"{where}.{key} is {_shown(value)}", one_of(spec["choices"])
        else:
            form = FORMS[f"{name}.{key}"]
            problem = form.problem(value)
            if problem:
                yield f"{where}.{key} is {_shown(value)}, which {problem}", form.fix
