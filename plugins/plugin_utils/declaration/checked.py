# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Template code for the values of others in which nothing reaches C code unchecked.

No signal interrupts C code: it compares two nested lists for hours, and crashes on deep ones. So whatever is compared,
hashed, or passed to a filter, a test or a call is checked first, where the code of a template is generated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from typing import Any, NoReturn

from jinja2 import Undefined, nodes
from jinja2.compiler import operators

from .bounds import LONGEST, room_after, yaml_problem

#: Digits to which the filter ``round`` rounds: it computes the power of ten.
_DIGITS = 1000

#: What the evaluation is refused for where it needs too much.
TOO_MUCH = "an evaluation that needs that much"

Refuse = Callable[[str], NoReturn]


def is_exhausted(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether an evaluation failed because of an error of these kinds."""
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__ or error.__context__
    return False


def bounded(value: Any, refuse: Refuse) -> Any:
    """Return a value. ``refuse`` it where it is too large or deep for C code, or stands for an evaluation that was."""
    if isinstance(value, (str, int, float, bool, type(None))) and not isinstance(value, str):
        return value
    if isinstance(value, Undefined):
        exception = getattr(type(value), "_as_exception", None)
        # An expression may do without a value that fails. Where the environment is deployed, it would not fail.
        if exception and is_exhausted(exception(value), (MemoryError, OverflowError, RecursionError)):
            refuse(TOO_MUCH)
    elif room_after(value, LONGEST) < 0 or isinstance(value, Iterator):
        refuse(TOO_MUCH)
    return value


def plugin(function: Callable[..., Any], refuse: Refuse) -> Callable[..., Any]:
    """A filter or test whose arguments are checked."""

    @wraps(function)
    def checked(*arguments: Any, **options: Any) -> Any:
        for argument in (*arguments, *options.values()):
            bounded(argument, refuse)
        return function(*arguments, **options)

    return checked


def rounding(function: Callable[..., Any], refuse: Refuse) -> Callable[..., Any]:
    """The filter ``round``, to no more digits than numbers have."""

    @wraps(function)
    def checked(value: Any, *arguments: Any, **options: Any) -> Any:
        if any(isinstance(given, (int, float)) and abs(given) > _DIGITS for given in (*arguments, *options.values())):
            refuse(TOO_MUCH)
        return function(value, *arguments, **options)

    return checked


def reading_yaml(function: Callable[..., Any], refuse: Refuse) -> Callable[..., Any]:
    """The filter ``from_yaml``, for texts that stand for no more than they may."""

    @wraps(function)
    def checked(text: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(text, str) and yaml_problem(text):
            refuse(TOO_MUCH)
        return function(text, *arguments, **options)

    return checked


def check_generated(environment: Any, replaced: Mapping[str, Any], refuse: Refuse) -> None:
    """Let an environment generate code that checks. Functions that are ``replaced`` may only be called in it.

    Where the environment is deployed, they are others: an expression that looks at them could say something else there.
    """

    def as_value(value: Any) -> Any:
        for name, function in replaced.items():
            if value is function:
                refuse(f"{name}()")
        return value

    def checked_call(context: Any, called: Any, *arguments: Any, **options: Any) -> Any:
        for argument in (getattr(called, "__self__", None), *arguments, *options.values()):
            bounded(argument, refuse)
        if called is range:
            _check_range(arguments, refuse)
        return call(context, called, *arguments, **options)

    call, getitem = environment.call, environment.getitem
    environment.call = checked_call
    environment.getitem = lambda holder, key: getitem(holder, bounded(key, refuse))
    environment.bulkhead_bounded = partial(bounded, refuse=refuse)
    environment.bulkhead_as_value = as_value
    environment.code_generator_class = _checking(environment.code_generator_class, frozenset(replaced))


def _check_range(arguments: tuple[Any, ...], refuse: Refuse) -> None:
    try:
        length = len(range(*arguments))
    except OverflowError:
        length = LONGEST + 1
    except (TypeError, ValueError):  # left to whoever calls it
        return
    if length > LONGEST:
        refuse(TOO_MUCH)


def _checking(generator: Any, replaced: frozenset[str]) -> Any:
    """A code generator that lets the environment check what is compared, hashed, or looked at."""

    class Checking(generator):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._called: set[int] = set()

        def _checked(self, node: Any, frame: Any) -> None:
            self.write("environment.bulkhead_bounded(")
            self.visit(node, frame)
            self.write(")")

        def visit_Compare(self, node: Any, frame: Any) -> None:
            self.write("(")
            self._checked(node.expr, frame)
            for operand in node.ops:
                self.write(f" {operators[operand.op]} ")
                self._checked(operand.expr, frame)
            self.write(")")

        def visit_Dict(self, node: Any, frame: Any) -> None:
            self.write("{")
            for item in node.items:
                self._checked(item.key, frame)
                self.write(": ")
                self.visit(item.value, frame)
                self.write(", ")
            self.write("}")

        def visit_Call(self, node: Any, frame: Any, *arguments: Any, **options: Any) -> None:
            if isinstance(node.node, nodes.Name):
                self._called.add(id(node.node))
            super().visit_Call(node, frame, *arguments, **options)

        def visit_Name(self, node: Any, frame: Any) -> None:
            looked_at = node.ctx == "load" and node.name in replaced and id(node) not in self._called
            self.write("environment.bulkhead_as_value(" if looked_at else "")
            super().visit_Name(node, frame)
            self.write(")" if looked_at else "")

    return Checking
