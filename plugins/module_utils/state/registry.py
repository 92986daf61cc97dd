# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine keeps of its environments: claims, release and receipts, one directory for each prefix.

Two inventories that do not know each other meet here. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..core.directory import Tree, Wanted, read
from ..core.errors import Failure
from ..core.process import home_directory
from ..core.sealed_json import dump, seal, unseal
from .locks import Locks

if TYPE_CHECKING:  # a scheduled backup runs this without Ansible
    from ansible.module_utils.basic import AnsibleModule

_PREFIX = re.compile(r"[a-z][a-z0-9_-]*\Z")

#: What of an entry changes with every deployment, or counts on this machine's key only: not in the copy.
_VOLATILE = ("deployed", "by", "files", "key", "containers", "guard")

_KEY_BYTES = 32


class RegistryError(Failure):
    """The registry cannot be read or written."""


def state_directory(wanted: str = "") -> str:
    """Where the machine keeps its state: as asked, else the system's place for root and the user's own for others."""
    if wanted:
        return wanted
    return "/var/lib/bulkhead" if os.getuid() == 0 else os.path.join(home_directory(), ".local", "state", "bulkhead")


@contextlib.contextmanager
def keep_lease_alive(module: AnsibleModule) -> Iterator[None]:
    """Keep the environment's lease while a module works. Who took it gives it back, also when the module fails."""
    params = module.params
    if module.check_mode or not params["token"]:
        yield
        return
    with Locks(state_directory(params["state_directory"])).keep_alive(params["prefix"], params["token"]):
        yield


class Registry:
    """``<state directory>/environments/<prefix>/``: ``environment.json`` and ``receipts/``.

    Receipts of environments that were destroyed are kept in ``<state directory>/destroyed/<prefix>/receipts/``.

    Each environment's own directory holds a copy of what does not change from one deployment to the next, so that a
    registry that was lost is found again.
    """

    COPY = ".bulkhead/environment.json"

    def __init__(self, directory: str, keep_receipts: int = 20) -> None:
        self.directory = directory
        self.keep_receipts = keep_receipts
        self._tree = Tree(directory)

    def entries(self, directories: Iterable[str] = (), keep: bool = False) -> dict[str, dict[str, Any]]:
        """Every registered environment by prefix. One that cannot be read is given as ``{"damaged": reason}``.

        Entries that are lost or damaged are taken from the copies in ``directories``, and say so (``rebuilt``). With
        ``keep`` they are written again.
        """
        found = self._entries()
        for directory in sorted(directories):
            entry = self._copy(directory)
            if entry is None or found.get(entry["prefix"], {"damaged": ""}).get("damaged") is None:
                continue
            reason = found.get(entry["prefix"], {}).get("damaged", "it was lost")
            if keep:
                with Locks(self.directory).machine():
                    self._write(entry["prefix"], entry)
            found[entry["prefix"]] = dict(entry, rebuilt=reason)
        return found

    def _entries(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        root = os.path.join(self.directory, "environments")
        try:
            names = sorted(os.listdir(root))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise RegistryError("cannot read the registry %s: %s" % (root, error.strerror)) from error
        for prefix in names:
            if not _PREFIX.match(prefix):
                continue
            content = read(os.path.join(root, prefix, "environment.json"))
            if content is None and not os.path.isdir(os.path.join(root, prefix)):
                continue
            try:
                found[prefix] = unseal(content or b"", prefix)
            except ValueError as error:
                found[prefix] = {"prefix": prefix, "damaged": str(error)}
        return found

    def _copy(self, directory: str) -> dict[str, Any] | None:
        """The copy in an environment's directory, if it is whole, about that directory, and of this registry."""
        try:
            entry = unseal(read(os.path.join(directory, self.COPY)) or b"")
        except (ValueError, Failure):
            return None
        here = entry.pop("state_directory", "") == os.path.realpath(self.directory)
        known = _PREFIX.match(str(entry.get("prefix"))) and entry.get("directory") == directory
        return entry if here and known else None

    def write(self, prefix: str, entry: dict[str, Any], receipt: dict[str, Any], owner: str = "") -> str:
        """Keep a receipt and, unless it is empty, the environment's entry. Returns where the receipt is.

        Without an entry, as of a first deployment that failed, receipts are kept apart: nothing is registered.
        """
        folder = os.path.join("environments", prefix)
        if not entry and not os.path.exists(os.path.join(self.directory, folder, "environment.json")):
            folder = os.path.join("attempted", prefix)
        path = self._write_receipt(folder, receipt)
        if entry:
            self._write(prefix, entry)
        if entry.get("directory"):
            tree = Tree(entry["directory"], owner)
            steady = {key: value for key, value in entry.items() if key not in _VOLATILE}
            steady["state_directory"] = os.path.realpath(self.directory)
            copy = Wanted(self.COPY, seal(steady), 0o644)
            if tree.differs(copy):
                tree.write(copy)
        return path

    def _write_receipt(self, folder: str, receipt: dict[str, Any]) -> str:
        name = "%s.json" % receipt["finished"].replace(":", "").replace("-", "")
        self._tree.write(Wanted(os.path.join(folder, "receipts", name), dump(receipt), 0o640))
        receipts = os.path.join(self.directory, folder, "receipts")
        # Nothing is newer than what was just written: later names are of a clock that was ahead, and go first.
        there = sorted(os.listdir(receipts), key=lambda each: (each <= name, each))
        for old in there[: -self.keep_receipts]:
            os.unlink(os.path.join(receipts, old))
        return os.path.join(receipts, name)

    def _write(self, prefix: str, entry: dict[str, Any]) -> None:
        self._tree.write(Wanted(os.path.join("environments", prefix, "environment.json"), seal(entry), 0o644))

    def remove(self, prefix: str, receipt: dict[str, Any] | None = None) -> str:
        """Forget an environment that was destroyed. Returns where its receipts, with this last one, are kept; without
        one they go as well."""
        gone, kept = os.path.join("environments", prefix), os.path.join("destroyed", prefix)
        if receipt is None:
            self._tree.remove(gone)
            return ""
        self._tree.make_directory(os.path.join(kept, "receipts"))
        for path in glob.glob(os.path.join(glob.escape(os.path.join(self.directory, gone, "receipts")), "*.json")):
            os.replace(path, os.path.join(self.directory, kept, "receipts", os.path.basename(path)))
        path = self._write_receipt(kept, receipt)
        self._tree.remove(gone)
        return path

    def key(self, keep: bool = False) -> bytes:
        """The machine's key for digests of files; one for this look only where there is none and none may be made."""
        path = os.path.join(self.directory, "key")
        try:
            known = read(path)
        except Failure:
            known = None
        if known and len(known) >= _KEY_BYTES:
            return known
        made = os.urandom(_KEY_BYTES)
        if keep:
            with Locks(self.directory).machine():
                self._tree.write(Wanted("key", made, 0o600))
        return made
