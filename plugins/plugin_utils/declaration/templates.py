# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's template engine for a whole fleet: one engine, and each expression or file compiled once.

Most environments of a fleet have the same expressions with other values, and compiling costs more than evaluating.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFileNotFound
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

#: The beginnings of templates; a value without any is its own result.
_MARKS = ("{{", "{%", "{#")


class Templates:
    """Evaluates values of variables and template files. The first of ``directories`` that has a file wins."""

    def __init__(self, loader: DataLoader, directories: Sequence[Path] = ()) -> None:
        self._loader = loader
        self._directories = tuple(directories)
        self._texts: dict[str, str] = {}
        paths = [str(directory) for directory in self._directories]
        self._templar = Templar(loader=loader, variables={}).copy_with_new_env(searchpath=paths)
        _compile_once(self._templar)

    def value(self, value: Any, variables: Mapping[str, Any]) -> Any:
        """Evaluate everything in a variable's value. Raises AnsibleError where that fails."""
        if not is_template(value):
            return value
        self._templar.available_variables = dict(variables)
        return self._templar.template(value)

    def file(self, name: str, variables: Mapping[str, Any]) -> str:
        """Render a template file. Raises AnsibleError where it is missing or fails."""
        self._templar.available_variables = dict(variables)
        text = self._templar.template(trust_as_template(self._text(name)), escape_backslashes=False)
        return "" if text is None else str(text)

    def _text(self, name: str) -> str:
        if name not in self._texts:
            # An inventory names templates, and must not read any other file of the controller by that.
            found = [
                directory / name
                for directory in self._directories
                if (directory / name).is_file() and (directory / name).resolve().is_relative_to(directory.resolve())
            ]
            if not found:
                where = ", ".join(map(str, self._directories))
                raise AnsibleFileNotFound(f"template {name} was not found in {where} or below")
            self._texts[name] = self._loader.get_text_file_contents(str(found[0]))
        return self._texts[name]


def is_template(value: Any) -> bool:
    """Whether a value contains anything to evaluate."""
    if isinstance(value, str):
        return any(mark in value for mark in _MARKS)
    if isinstance(value, Mapping):
        return any(is_template(key) or is_template(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(map(is_template, value))
    return not isinstance(value, (int, float)) and value is not None


def _compile_once(templar: Templar) -> None:
    """Let the engine's Jinja environment remember what it compiled.

    Its place is private in ansible-core; without it, everything works at less speed.
    """
    environment = getattr(getattr(templar, "_engine", None), "environment", None)
    if environment is not None and hasattr(environment, "from_string"):
        environment.from_string = lru_cache(maxsize=1024)(environment.from_string)
