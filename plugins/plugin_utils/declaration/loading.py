# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the files of variables: as Ansible does for the environment to deploy, within limits for all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import AnsibleVaultError

from .bounds import LONGEST, has_conflict, yaml_problem
from .inert import Exhausted, in_memory, in_time

#: The prefixes of variables that each name a file of a host's variables: a locked one, or one that is not read.
LOCKED = "_bulkhead_locked_"
UNREADABLE = "_bulkhead_unreadable_"

#: Seconds of processor time to find the files of a group, or to read one; and more for each of its characters.
_SECONDS, _SECONDS_EACH = 0.5, 1e-5


class SealingLoader(DataLoader):
    """Reads files as Ansible does, with a note in place of a vault file that cannot be opened."""

    def get_text_file_contents(self, file_name: str, encoding: str | None = None) -> str:
        """Return a file's text; for a locked vault file, a document with a variable that names it."""
        try:
            text: str = super().get_text_file_contents(file_name, encoding)
            return text
        except AnsibleVaultError:
            path = self.path_dwim(file_name)
            return f"{{{LOCKED}{abs(hash(path))}: {path!r}}}"


class OthersLoader(SealingLoader):
    """Reads what whoever writes another environment's variables wrote: a note stands in place of what cannot be read.

    No file ends the run, takes its time, or stands for more than its size.
    """

    def find_vars_files(self, path: str, name: str, *arguments: Any, **options: Any) -> list[str]:
        """Return the files of a group or host. Those that are too much are noted, and not read.

        Links can make a directory its own subdirectory, and so endless.
        """
        find = super().find_vars_files
        try:
            found: list[str] = in_time(_SECONDS, lambda: find(path, name, *arguments, **options))
            sizes = [Path(file).stat().st_size for file in found]
        except (Exhausted, OSError, RecursionError):
            found, sizes = [str(Path(path, name))], [LONGEST]
        room = LONGEST
        for file, size in zip(found, sizes, strict=True):
            if size < room:
                room -= size
            else:
                why = f"the files of {name} are too many, or longer than {LONGEST} bytes together"
                self._FILE_CACHE[self.path_dwim(file)] = _note(file, why)
        return found

    def load_from_file(self, file_name: str, *arguments: Any, **options: Any) -> Any:
        """Return what a file holds; or a variable that names the file, and why it is not read."""
        path = self.path_dwim(file_name)
        if path not in self._FILE_CACHE:
            self._FILE_CACHE[path] = self._read(path, *arguments, **options)
        return self._FILE_CACHE[path]

    def _read(self, path: str, *arguments: Any, **options: Any) -> Any:
        load, text = super().load_from_file, ""
        try:
            if not Path(path).is_file():
                raise AnsibleError("it is not a file")
            text = self.get_text_file_contents(path)
            problem = yaml_problem(text)
            if problem:
                raise AnsibleError(problem)
            with in_memory():
                found = in_time(_SECONDS + _SECONDS_EACH * len(text), lambda: load(path, *arguments, **options))
            if found is None or isinstance(found, Mapping):
                return found
            why = "it holds no variables, which are written as 'name: value'"
        except Exhausted:
            why = "reading it takes too long"
        except Exception as error:  # whatever it is must not stop the deployment of another environment
            why = str(getattr(error, "message", None) or error or type(error).__name__).strip().splitlines()[0]
        return _note(path, "it has the marks of a merge conflict" if has_conflict(text) else why)


def _note(path: str, why: str) -> dict[str, tuple[str, str]]:
    return {f"{UNREADABLE}{abs(hash(path))}": (path, why)}


def loader(
    basedir: str, vault_secrets: Sequence[Any] | None, kind: type[SealingLoader] = SealingLoader
) -> SealingLoader:
    """A loader that opens files with these vault secrets."""
    made = kind()
    made.set_basedir(basedir)
    made.set_vault_secrets(list(vault_secrets or []))
    return made
