# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert values to the types that Compose prints: strings, lists and mappings of strings, sizes, durations."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...errors import ReaderError
from .short_forms import compose_text, duration_text, parse_command, parse_duration, parse_size
from .yaml_text import Map, Seq


def is_empty(value: Any) -> bool:
    """Whether Compose omits a value from its output."""
    return value is None or value is False or value == 0 or value == "" or value == [] or value == {}


def as_truth(value: Any) -> bool:
    """A boolean, which may be written as a string."""
    if isinstance(value, str):
        return value.lower() in ("true", "y", "yes", "on", "1")
    return bool(value)


def as_text(value: Any) -> Any:
    """A scalar as a string. Raises :class:`ReaderError` for anything else."""
    if isinstance(value, (dict, list)):
        raise ReaderError("a value must be a string or a number", rule="not-compose")
    return compose_text(value)


def as_texts(value: Any) -> dict[str, str]:
    """A mapping, or a list of ``key=value``, as a mapping of strings."""
    return {key: text or "" for key, text in as_mapping(value).items()}


def as_labels(value: Any) -> Map:
    """Labels as a mapping with their places; one without a value has an empty one."""
    made = as_mapping(value)
    for key, text in made.items():
        if text is None:
            made[key] = ""
    return made


def as_mapping(value: Any) -> Map:
    """A mapping, or a list of ``key=value``, as a mapping of strings; the value of a bare key is ``None``."""
    made: Map = Map()
    if isinstance(value, dict):
        made.at = getattr(value, "at", made.at)
        for key, item in value.items():
            made[key] = None if item is None else as_text(item)
        return made
    if not isinstance(value, list):
        raise ReaderError("must be a list or a mapping", rule="not-compose")
    places = getattr(value, "at", [])
    for number, item in enumerate(value):
        as_text(item)
        key, equals, text = compose_text(item).partition("=")
        made[key] = text if equals else None
        if number < len(places):
            made.at[key] = places[number]
    return made


def as_list(value: Any) -> Any:
    """A list of strings; a single string becomes a list."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ReaderError("must be a list", rule="not-compose")
    return Seq([compose_text(item) for item in value], at=getattr(value, "at", None))


def as_command(value: Any) -> Any:
    """A command as a list of words, or ``None``."""
    if value is None:
        return None
    if isinstance(value, str):
        return parse_command(value)
    return as_list(value)


def as_size(value: Any) -> Any:
    """A size in bytes, as a string."""
    size = parse_size(value)
    return str(size) if size else None


def as_duration(value: Any) -> str:
    """A duration as Compose prints it."""
    return _as_duration(value) if isinstance(value, str) else duration_text(parse_duration(value))


@lru_cache(maxsize=1 << 10)  # a fleet has few durations
def _as_duration(value: str) -> str:
    return duration_text(parse_duration(value))


def as_hosts(value: Any) -> Any:
    """Entries of ``extra_hosts`` as ``host=address``, sorted."""
    pairs: list[str] = []
    if isinstance(value, dict):
        for host, addresses in value.items():
            for address in addresses if isinstance(addresses, list) else [addresses]:
                pairs.append(f"{host}={compose_text(address).strip('[]')}")
        return sorted(pairs)
    for item in as_list(value):
        host, separator, addresses = item.partition("=" if "=" in item else ":")
        if not separator or not host:
            raise ReaderError(f"{item!r} is not host=address", rule="not-compose")
        pairs += [f"{host}={address.strip('[]')}" for address in addresses.split(",")]
    return sorted(pairs)


def as_number(value: Any) -> Any:
    """A number, which may be written as a string; whole numbers become integers."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ReaderError(f"invalid number {value!r}", rule="not-compose") from None
    return int(value) if isinstance(value, float) and value.is_integer() else value
