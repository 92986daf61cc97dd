# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shapes of values, and a check that tells where a value does not fit. Compose's shapes are in :mod:`.keys`.

A shape is a string of type letters (``s`` string, ``i`` integer, ``n`` number, ``b`` boolean, ``0`` null, ``*``
anything) or one of the classes below. Keys that begin with ``x-`` are allowed wherever Compose allows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Union

from ...errors import ReaderError
from .yaml_text import Map, Seq

Shape = Union[str, "ListOf", "MapOf", "Keys", "Either"]


_TYPES: dict[str, tuple[type, ...]] = {
    "s": (str,),
    "i": (int,),
    "n": (int, float),
    "b": (bool,),
    "0": (type(None),),
}


@cache
def _types(letters: str) -> frozenset[type]:
    return frozenset(base for letter in letters for base in _TYPES[letter])


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose entries all have the same shape."""

    entry: Shape


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with arbitrary keys."""

    value: Shape


class Keys:
    """A mapping with known keys. A name that ends with ``!`` is required."""

    __slots__ = ("needed", "shapes")

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = {name.rstrip("!"): shape for name, shape in shapes.items()}
        self.needed = [name[:-1] for name in shapes if name.endswith("!")]


class Either:
    """One of several shapes, which differ in type, so that a value's type selects one."""

    __slots__ = ("by_type", "shapes")

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = shapes
        self.by_type: dict[type, Shape] = {}
        for shape in shapes:
            if isinstance(shape, str):
                kinds: Iterable[type] = _types(shape)
            elif isinstance(shape, Either):
                kinds = shape.by_type
            else:
                kinds = (list, Seq) if isinstance(shape, ListOf) else (dict, Map)
            for kind in kinds:
                self.by_type.setdefault(kind, shape)


_KINDS = {"s": "a string", "i": "a whole number", "n": "a number", "b": "true or false", "0": "null"}


class _Misfit(Exception):
    """A value that does not fit. Its path is built while the error propagates, since most values fit."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path: list[str] = []
        self.line = 0

    def below(self, key: object, place: tuple[str, int] | None) -> None:
        """Add a key to the path."""
        self.path.append(str(key))
        self.line = self.line or (place[1] if place else 0)


def check_shape(value: Any, shape: Shape, start: str = "") -> None:
    """Raise :class:`ReaderError` with the path, and the line if known, if a value does not have the shape."""
    try:
        _check(value, shape)
    except _Misfit as misfit:
        path = ".".join([start] * bool(start) + misfit.path[::-1])
        raise ReaderError(f"{path or 'the file'}{misfit.message}", misfit.line, rule="not-compose") from None


def _check(value: Any, shape: Shape) -> None:
    if isinstance(shape, str):
        if shape != "*" and not _is(value, shape):
            raise _wrong(shape)
    elif isinstance(shape, Either):
        chosen = shape.by_type.get(type(value)) or next((shape for shape in shape.shapes if _fits(value, shape)), None)
        if chosen is None:
            raise _wrong(*shape.shapes)
        _check(value, chosen)
    elif not _fits(value, shape):
        raise _wrong(shape)
    elif isinstance(shape, ListOf):
        for number, entry in enumerate(value):
            try:
                _check(entry, shape.entry)
            except _Misfit as misfit:
                places = getattr(value, "at", ())
                misfit.below(number, places[number] if number < len(places) else None)
                raise
    else:
        _check_mapping(value, shape)


def _check_mapping(value: Mapping[str, Any], shape: MapOf | Keys) -> None:
    known = shape.shapes if isinstance(shape, Keys) else None
    key = ""
    try:
        for key, item in value.items():
            wanted = shape.value if known is None else known.get(key)  # type: ignore[union-attr]
            if wanted is None:
                if not str(key).startswith("x-"):
                    raise _Misfit(": Compose does not know this key")
            elif wanted != "*" and not (isinstance(wanted, str) and type(item) in _types(wanted)):
                _check(item, wanted)
    except _Misfit as misfit:
        misfit.below(key, getattr(value, "at", {}).get(key))
        raise
    for key in shape.needed if isinstance(shape, Keys) else ():
        if key not in value:
            raise _Misfit(f" lacks {key!r}")


def _is(value: Any, letters: str) -> bool:
    if type(value) in _types(letters):
        return True
    if isinstance(value, float):
        return value.is_integer() and "i" in letters
    # Ansible's strings are subclasses of str.
    return isinstance(value, str) and "s" in letters


def _fits(value: Any, shape: Shape) -> bool:
    """Whether a value has a shape's type, regardless of its content."""
    if isinstance(shape, str):
        return shape == "*" or _is(value, shape)
    if isinstance(shape, ListOf):
        return isinstance(value, list)
    if isinstance(shape, Either):
        return any(_fits(value, shape) for shape in shape.shapes)
    return isinstance(value, (dict, Mapping))


def _wrong(*shapes: Shape) -> _Misfit:
    kinds = " or ".join(dict.fromkeys(kind for shape in shapes for kind in _words_of(shape)))
    return _Misfit(f" must be {kinds}")


def _words_of(shape: Shape) -> Iterator[str]:
    if isinstance(shape, str):
        yield from (_KINDS[letter] for letter in shape if letter in _KINDS)
    elif isinstance(shape, Either):
        for option in shape.shapes:
            yield from _words_of(option)
    else:
        yield "a list" if isinstance(shape, ListOf) else "a mapping"
