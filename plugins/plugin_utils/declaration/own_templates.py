# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's own templates and defaults, over values that are evaluated already.

Ansible's engine wraps each value, because it may be a template or have an effect. Neither is so here, and wrapping is
most of what a fleet's evaluation takes. So the same template is given to Jinja itself, with the few filters and tests
that the role's own files use. Where that gives no result, Ansible's engine is asked, and says why there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ansible.plugins.filter.core import to_json
from ansible.plugins.test.core import search
from jinja2 import Environment, StrictUndefined, Undefined, meta
from jinja2.filters import FILTERS
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.tests import TESTS

from ..isolation.naming import assert_prefixed

#: Stands for a result that this module cannot give.
UNKNOWN = object()


def _json(value: Any, **options: Any) -> str:
    """Ansible's ``to_json``; its encoder is for what Python's own cannot write, and takes ten times as long."""
    if type(value) is str and not options:  # pylint: disable=unidiomatic-typecheck
        return json.dumps(value)
    return str(to_json(value, **options))


_FILTERS: Mapping[str, Any] = {
    **{name: FILTERS[name] for name in ["default", "first", "indent", "int", "join", "replace", "trim", "urlencode"]},
    "to_json": _json,
    "aiia.bulkhead.assert_prefixed": assert_prefixed,
}
_TESTS: Mapping[str, Any] = {"none": TESTS["none"], "search": search}


class _Environment(Environment):
    """Jinja with Ansible's settings: a template of a single expression has that expression's value."""

    code_generator_class = NativeCodeGenerator

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            keep_trailing_newline=True,
            undefined=StrictUndefined,
        )
        self.filters.clear()
        self.filters.update(_FILTERS)
        self.tests.clear()
        self.tests.update(_TESTS)


@cache
def _environment() -> _Environment:
    return _Environment()


@cache
def _compiled(text: str) -> tuple[Callable[[dict[str, Any]], list[Any]], frozenset[str]]:
    """A template as a function that gives its parts, and the variables that it asks for. Only the role's own texts come
    here, and those are few."""
    environment = _environment()
    tree = environment.parse(text)
    template = environment.from_string(tree)
    names = frozenset(meta.find_undeclared_variables(tree))

    def parts(variables: dict[str, Any]) -> list[Any]:
        return list(template.root_render_func(template.new_context(variables)))

    return parts, names


def names_in(text: str) -> frozenset[str]:
    """The variables that one of the role's own templates asks for."""
    return _compiled(str.__str__(text))[1]


def evaluated(text: str, variables: Mapping[str, Any]) -> Any:
    """What one of the role's own templates gives with these variables; :data:`UNKNOWN` where that is an error."""
    try:
        parts, names = _compiled(str.__str__(text))
        found = parts({name: variables[name] for name in names if name in variables})
        if len(found) == 1:
            return UNKNOWN if isinstance(found[0], Undefined) else found[0]
        return "".join("" if part is None else str(part) for part in found)
    except Exception:  # whatever it is, Ansible's engine has the words for it
        return UNKNOWN
