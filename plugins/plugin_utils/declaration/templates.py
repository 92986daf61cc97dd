# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's template engine for a whole fleet: one engine, and each expression or file compiled once.

Most environments of a fleet have the same expressions with other values, and compiling costs more than evaluating.

What cannot be read here is a *sealed* value: a template that calls :data:`SEALED_CALL`. Whatever is made of it is
sealed too, whether or not the expression hides it: the call is counted, and unless it stands as it is in the
resulting text (``redis://:{{ password }}@redis``) the whole result is :data:`SEAL`. A digest of a sealed value would
otherwise look like any other text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NoReturn

from ansible.errors import AnsibleError, AnsibleFileNotFound, AnsibleValueOmittedError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted
from ansible.template import Templar, trust_as_template
from jinja2 import Undefined

from ..isolation.model import SEAL
from .bounds import LONGEST, room_after
from .checked import TOO_MUCH, is_exhausted
from .inert import SECONDS, Exhausted, in_memory, in_time, make_inert, without_secrets
from .own_templates import UNKNOWN, evaluated, names_in

#: What all values of an environment that is not deployed may come to, and what its files may; see ``room_after``.
_ROOM = 4 * LONGEST

#: The beginnings of templates; a value without any is its own result.
_MARKS = ("{{", "{%", "{#")

#: The function that stands for a sealed value in templates.
SEALED_CALL = "bulkhead_sealed"


class Omitted(Exception):
    """A value is Ansible's ``omit``."""


def sealed(why: str) -> str:
    """A value that cannot be read here, for use in templates. ``why`` names it."""
    text = why.replace("'", "").replace("\\", "")
    marked: str = trust_as_template(f"{{{{ {SEALED_CALL}('{text}') }}}}")
    return marked


class Templates:
    """Evaluates values of variables and template files. The first of ``directories`` that has a file wins.

    With ``inert`` nothing is available that has an effect or reads anything. ``reasons`` are those for which the last
    value or file is sealed.
    """

    def __init__(self, loader: DataLoader, directories: Sequence[Path] = (), *, inert: bool = False) -> None:
        self.reasons: tuple[str, ...] = ()
        self._loader = loader
        self._directories = tuple(directories)
        self._texts: dict[str, tuple[str, Path]] = {}
        self._inert = inert
        self._locked = ""
        self._left, self._room = SECONDS, _ROOM
        self._touched: list[str] = []
        paths = [str(directory) for directory in self._directories]
        self._templar = Templar(loader=loader, variables={}).copy_with_new_env(searchpath=paths)
        # Its place is private in ansible-core: without it nothing can be evaluated safely.
        self._prepare(self._templar._engine.environment)

    def _prepare(self, environment: Any) -> None:
        """Let an engine refuse, count and remember."""
        if self._inert:
            make_inert(environment, self._refuse)
        environment.globals[SEALED_CALL] = self._refuse
        undefined, concat, overlay = environment.undefined, environment.concat, environment.overlay

        def missing(*arguments: Any, **options: Any) -> Any:
            # What a locked vault file holds is not known: it may be this.
            if self._locked:
                self._touched.append(f"{options.get('name') or 'a variable'} (perhaps in {self._locked})")
            return undefined(*arguments, **options)

        def joined(nodes: Iterable[Any]) -> Any:
            found = list(nodes)
            hidden = [isinstance(node, Undefined) for node in found]
            if len(found) < 2 or not self._touched or not any(hidden):
                return concat(found)
            return concat([SEAL if is_hidden else node for node, is_hidden in zip(found, hidden, strict=True)])

        def overlaid(**options: Any) -> Any:
            environment.undefined = undefined  # Jinja demands a class here
            try:
                made = overlay(**options)
            finally:
                environment.undefined = missing
            made.undefined = missing
            vars(made).pop("from_string", None)  # it would compile for this environment
            return made

        environment.undefined = missing
        environment.concat = joined
        environment.overlay = overlaid
        environment.from_string = lru_cache(maxsize=1024)(environment.from_string)

    def _refuse(self, what: str) -> NoReturn:
        self._touched.append(what)
        raise AnsibleError(f"{what} is not read here")

    def limits(self) -> Any:
        """The limits of time and memory for the values of one environment, or for its files."""
        self._left, self._room = SECONDS, _ROOM
        return in_memory() if self._inert else nullcontext()

    def value(self, value: Any, variables: Mapping[str, Any], *, locked: str = "", own: bool = False) -> Any:
        """Evaluate everything in a variable's value; :data:`SEAL` where that is sealed.

        ``locked`` is a vault file of these variables that is: what is missing may be in it. ``own`` says that the
        value is one of the role's defaults. Raises AnsibleError where the evaluation fails, and :class:`Omitted`.
        """
        self.reasons = ()
        if not is_template(value):
            return value
        evaluate = partial(self._templar.template, value)
        return self._evaluated(evaluate, variables, locked, value if own and not locked else None)

    def file(self, name: str, variables: Mapping[str, Any], *, locked: str = "", own: bool = False) -> str:
        """Render a template file; :data:`SEAL` where that is sealed. ``own`` says that it is one of the role's.

        Raises AnsibleError where it is missing or fails.
        """
        text = trust_as_template(self._text(name)[0])
        evaluate = partial(self._templar.template, text, escape_backslashes=False)
        found = self._evaluated(evaluate, variables, locked, text if own and not locked else None)
        return "" if found is None else str(found)

    def is_below(self, name: str, directory: Path) -> bool:
        """Whether a template file comes from this directory. Raises AnsibleError where it is missing."""
        return self._text(name)[1] == directory

    def _evaluated(
        self, evaluate: Callable[[], Any], variables: Mapping[str, Any], locked: str, own: str | None
    ) -> Any:
        self._templar.available_variables = variables if isinstance(variables, dict) else dict(variables)
        self._touched, self._locked = [], locked
        plainly = evaluated(own, variables) if own is not None and all_plain(own, variables) else UNKNOWN
        found: Any = SEAL
        try:
            found = plainly if plainly is not UNKNOWN else self._engine(evaluate)
            if self._inert:
                room = min(LONGEST, self._room)
                left = room_after(found, room)
                self._room -= room - max(left, 0)
                if left < 0:
                    found = SEAL
                    self._touched.append("a result of that size")
        except Exhausted:
            self._touched.append("an evaluation that takes that long")
        except AnsibleValueOmittedError:
            raise Omitted from None
        except AnsibleError as error:
            if not self._touched:
                if not self._inert or not is_exhausted(error, (MemoryError, OverflowError)):
                    raise
                self._touched.append(TOO_MUCH)
        self.reasons = tuple(dict.fromkeys(self._touched))
        # Each sealed value must be in the text as it is: one that was looked at and is not there decided something.
        return found if _seals(found) >= len(self._touched) else SEAL

    def _engine(self, evaluate: Callable[[], Any]) -> Any:
        if not self._inert:
            return evaluate()
        began = time.process_time()
        try:
            with without_secrets():
                return in_time(self._left, evaluate)
        finally:
            self._left -= time.process_time() - began

    def _text(self, name: str) -> tuple[str, Path]:
        if name not in self._texts:
            found = [directory for directory in self._directories if self._holds(directory, name)]
            if not found:
                where = ", ".join(map(str, self._directories))
                raise AnsibleFileNotFound(f"template {name} was not found in {where} or below")
            self._texts[name] = (self._read(found[0], name), found[0])
        return self._texts[name]

    def _holds(self, directory: Path, name: str) -> bool:
        """Whether a directory has the template. An inventory must not read any other file of the controller by it."""
        path = directory / name
        return path.is_file() and (self._inert or path.resolve().is_relative_to(directory.resolve()))

    def _read(self, directory: Path, name: str) -> str:
        """The text of a template file. For others than the one to deploy, no other file is read, and none decrypted."""
        if not self._inert:
            text: str = self._loader.get_text_file_contents(str(directory / name))
            return text
        if not (directory / name).resolve().is_relative_to(directory.resolve()):
            return sealed(f"the file {name}, which is outside of {directory}")
        content = (directory / name).read_bytes()
        return sealed(f"the encrypted file {name}") if is_encrypted(content) else content.decode(errors="replace")


def all_plain(text: str, variables: Mapping[str, Any]) -> bool:
    """Whether all that one of the role's own templates asks for is evaluated already."""
    return not any(is_template(variables.get(name)) for name in names_in(text))


def is_template(value: Any) -> bool:
    """Whether a value contains anything to evaluate."""
    if isinstance(value, str):
        return "{" in value and any(mark in value for mark in _MARKS)
    if value is None or isinstance(value, (int, float)):
        return False
    if isinstance(value, (list, tuple)):
        return any(map(is_template, value))
    if isinstance(value, (dict, Mapping)):
        return any(map(is_template, value)) or any(map(is_template, value.values()))
    return True


def _seals(value: Any) -> int:
    """How often a value says that something in it is sealed."""
    if isinstance(value, str):
        return value.count(SEAL)
    if isinstance(value, Mapping):
        return sum(_seals(item) for item in value.values())
    return sum(map(_seals, value)) if isinstance(value, (list, tuple)) else 0
