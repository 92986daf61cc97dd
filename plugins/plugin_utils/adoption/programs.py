# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container starts: its command and entry point, without the passwords in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..isolation.readers.fingerprints import use_of
from ..isolation.redaction import redact
from .model import Container
from .settings import AppSettings


def program(container: Container, settings: AppSettings) -> dict[str, Any]:
    """What a container starts, where it is something else than its image does. Passwords in it go into the vault."""
    found: dict[str, Any] = {}
    for key in ("entrypoint", "command"):
        if container.differs(key):
            found[key] = list(_words(container, container.seen[key], settings))
    if container.differs("user"):
        found["user"] = container.seen["user"]
    return found


def _words(container: Container, words: Sequence[str], settings: AppSettings) -> Iterator[str]:
    """The words of a command, with a variable of .env for each that is a secret: an option says so, or its form."""
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if _is_secret(option) and not word.startswith("-"):
            yield _kept(container, option, word, settings)
        elif equals and value and _is_secret(name):
            yield f"{literal(name)}={_kept(container, name, value, settings)}"
        elif redact(word) != word:
            yield _kept(container, "command", word, settings)
        else:
            yield literal(word)
        option = word if word.startswith("-") and not equals else ""


def _is_secret(option: str) -> bool:
    name = option.lstrip("-")
    return bool(name) and (bool(use_of(name.replace("-", "_"))) or name.lower().endswith(("pass", "password")))


def _kept(container: Container, option: str, value: str, settings: AppSettings) -> str:
    """Put a value into the vault, and return the variable by which Compose fills it in."""
    name = re.sub(r"[^A-Z0-9]+", "_", f"{container.service}_{option.lstrip('-')}".upper()).strip("_")
    while settings.secret.setdefault(name, value) != value:
        name += "_2"
    return f"${{{name}}}"


def literal(text: str) -> str:
    """A text that Compose does not take for one with variables."""
    return text.replace("$", "$$")
