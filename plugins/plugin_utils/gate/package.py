# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package in which Ansible sends a module with all that it imports, and bytecode in it.

Python compiles all that a package holds whenever a module is called: half of the time until the module begins. A
package can carry what the controller's Python has compiled. Python takes bytecode of its own version alone (PEP 552 and
the magic number before it) and compiles the source otherwise.
"""

from __future__ import annotations

import marshal
import warnings
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from typing import Any, ClassVar
from zipfile import ZipFile

import ansible

#: The directories of Ansible and of this collection.
ANSIBLE = Path(ansible.__file__).resolve().parent
COLLECTION = Path(__file__).resolve().parents[3]

#: What a package calls a directory, and where it lies here. What other collections bring is left as it is.
_DIRECTORIES = {"ansible/": ANSIBLE, "ansible_collections/aiia/bulkhead/": COLLECTION}

#: PEP 552: the bytecode carries a hash of its source, which is not to be checked. Ansible gives all sources the time of
#: the packing, and the two come in one package.
_UNCHECKED_HASH = (0b01).to_bytes(4, "little")


class Package(ZipFile):
    """A package that is written as ever, and that notes its sources."""

    #: Whether bytecode is written beside sources.
    with_bytecode: ClassVar = False

    #: The content of the sources by their names.
    sources: ClassVar[dict[str, bytes]] = {}

    def writestr(self, zinfo_or_arcname: Any, data: Any, *arguments: Any, **options: Any) -> None:
        """Write a file, and beside a source its bytecode."""
        super().writestr(zinfo_or_arcname, data, *arguments, **options)
        name = str(getattr(zinfo_or_arcname, "filename", zinfo_or_arcname))
        source = data.encode() if isinstance(data, str) else data
        self.sources[name] = source
        if self.with_bytecode and name.endswith(".py"):
            super().writestr(f"{name}c", bytecode(name, source), compresslevel=1)


def content(name: str) -> bytes | None:
    """What the file has that a package calls so; None where it is no file of Ansible's or of this collection's."""
    for prefix, directory in _DIRECTORIES.items():
        if name.startswith(prefix):
            try:
                return (directory / name.removeprefix(prefix)).read_bytes()
            except OSError:
                return None
    return None


def bytecode(name: str, source: bytes) -> bytes:
    """The content of a ``.pyc`` file for a source of a package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on how it is written: Python says that where it runs
        code = compile(source, name, "exec", dont_inherit=True)
    return MAGIC_NUMBER + _UNCHECKED_HASH + source_hash(source) + marshal.dumps(code)
