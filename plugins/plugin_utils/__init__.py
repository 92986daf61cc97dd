# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Code of the controller that actions and filters share.

Ansible compiles each Python file of a collection anew in every run. Most of this collection's code is below this
package, and Python's own loader keeps what it has compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType


class _Compiled(MetaPathFinder):
    """Finds the modules below this package, and no others."""

    def __init__(self) -> None:
        self._directories: dict[str, FileFinder] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module in its package's directory; None where it is another's, or has no file."""
        if not fullname.startswith(f"{__name__}."):
            return None
        for directory in path or ():
            finder = self._directories.setdefault(directory, FileFinder(directory, (SourceFileLoader, SOURCE_SUFFIXES)))
            spec = finder.find_spec(fullname)
            if spec and spec.loader:
                return spec
        return None


# Before Ansible's own finder, and only where that one comes first: elsewhere nothing is to be won.
if sys.meta_path and type(sys.meta_path[0]).__name__ == "_AnsibleCollectionFinder":
    sys.meta_path.insert(0, _Compiled())
