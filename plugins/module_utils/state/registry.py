# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's registry of environments: claims, release and receipts, one directory for each prefix.

Here inventories that do not know each other meet. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..core.directory import DesiredFile, Tree, read
from ..core.errors import Failure
from ..core.json_with_digest import decode_with_digest, dump, encode_with_digest
from ..core.process import home_directory
from .locks import Locks

if TYPE_CHECKING:  # a scheduled backup runs this without Ansible
    from ansible.module_utils.basic import AnsibleModule

_PREFIX = re.compile(r"[a-z][a-z0-9_-]*\Z")

#: Keys of an entry that are not in its copy: they change with every deployment, or depend on this machine's key.
_VOLATILE = ("deployed", "by", "files", "key", "containers", "guard")

_KEY_BYTES = 32


class RegistryError(Failure):
    """The registry cannot be read or written."""


def state_directory(configured: str = "") -> str:
    """The machine's state directory: as configured, else the system's for root and the user's own for others."""
    if configured:
        return configured
    return "/var/lib/bulkhead" if os.getuid() == 0 else os.path.join(home_directory(), ".local", "state", "bulkhead")


@contextlib.contextmanager
def keep_lease_alive(module: AnsibleModule) -> Iterator[None]:
    """Renew the environment's lease while a module works. The run that took the lease releases it, not this module."""
    params = module.params
    if module.check_mode or not params["token"]:
        yield
        return
    with Locks(state_directory(params["state_directory"])).keep_alive(params["prefix"], params["token"]):
        yield


class Registry:
    """``<state directory>/environments/<prefix>/``: ``environment.json`` and ``receipts/``.

    Receipts of destroyed environments are kept in ``<state directory>/destroyed/<prefix>/receipts/``.

    Each environment's own directory holds a copy of the parts of its entry that deployments rarely change, from which
    a lost registry is rebuilt.
    """

    COPY = ".bulkhead/environment.json"

    def __init__(self, directory: str, keep_receipts: int = 20) -> None:
        self.directory = directory
        self.keep_receipts = keep_receipts
        self._tree = Tree(directory)

    def entries(self, directories: Iterable[str] = (), keep: bool = False) -> dict[str, dict[str, Any]]:
        """All registered environments by prefix; an unreadable entry becomes ``{"damaged": reason}``.

        Lost and damaged entries are rebuilt from the copies in ``directories``, with the reason as ``rebuilt``. With
        ``keep`` they are also written back.
        """
        entries = self._entries()
        for directory in sorted(directories):
            entry = self._copy(directory)
            if entry is None or entries.get(entry["prefix"], {"damaged": ""}).get("damaged") is None:
                continue
            reason = entries.get(entry["prefix"], {}).get("damaged", "it was lost")
            if keep:
                with Locks(self.directory).machine():
                    self._write(entry["prefix"], entry)
            entries[entry["prefix"]] = dict(entry, rebuilt=reason)
        return entries

    def _entries(self) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
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
                entries[prefix] = decode_with_digest(content or b"", prefix)
            except ValueError as error:
                entries[prefix] = {"prefix": prefix, "damaged": str(error)}
        return entries

    def _copy(self, directory: str) -> dict[str, Any] | None:
        """The copy in an environment's directory, if it is intact and belongs to that directory and this registry."""
        try:
            entry = decode_with_digest(read(os.path.join(directory, self.COPY)) or b"")
        except (ValueError, Failure):
            return None
        here = entry.pop("state_directory", "") == os.path.realpath(self.directory)
        known = _PREFIX.match(str(entry.get("prefix"))) and entry.get("directory") == directory
        return entry if here and known else None

    def write(self, prefix: str, entry: dict[str, Any], receipt: dict[str, Any], owner: str = "") -> str:
        """Write a receipt and, unless it is empty, the environment's entry. Returns the receipt's path.

        An environment that was never registered, because its first deployment failed, has its receipts below
        ``attempted``.
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
            copy = DesiredFile(self.COPY, encode_with_digest(steady), 0o644)
            if tree.differs(copy):
                tree.write(copy)
        return path

    def _write_receipt(self, folder: str, receipt: dict[str, Any]) -> str:
        name = "%s.json" % receipt["finished"].replace(":", "").replace("-", "")
        self._tree.write(DesiredFile(os.path.join(folder, "receipts", name), dump(receipt), 0o640))
        receipts = os.path.join(self.directory, folder, "receipts")
        # This receipt is the newest. Those with later names were written under a fast clock and are removed first.
        by_age = sorted(os.listdir(receipts), key=lambda receipt_name: (receipt_name <= name, receipt_name))
        for old in by_age[: -self.keep_receipts]:
            os.unlink(os.path.join(receipts, old))
        return os.path.join(receipts, name)

    def _write(self, prefix: str, entry: dict[str, Any]) -> None:
        self._tree.write(
            DesiredFile(os.path.join("environments", prefix, "environment.json"), encode_with_digest(entry), 0o640)
        )

    def remove(self, prefix: str, receipt: dict[str, Any] | None = None) -> str:
        """Remove the entry of a destroyed environment. Returns the path of its last receipt, with which the others are
        kept; without a ``receipt`` they are removed too."""
        registered, kept = os.path.join("environments", prefix), os.path.join("destroyed", prefix)
        if receipt is None:
            self._tree.remove(registered)
            return ""
        self._tree.make_directory(os.path.join(kept, "receipts"))
        receipts = os.path.join(self.directory, registered, "receipts")
        for path in glob.glob(os.path.join(glob.escape(receipts), "*.json")):
            os.replace(path, os.path.join(self.directory, kept, "receipts", os.path.basename(path)))
        path = self._write_receipt(kept, receipt)
        self._tree.remove(registered)
        return path

    def key(self, keep: bool = False) -> bytes:
        """The machine's key for digests of files. If there is none, a new one, which only ``keep`` writes."""
        path = os.path.join(self.directory, "key")
        try:
            existing = read(path)
        except Failure:
            existing = None
        if existing and len(existing) >= _KEY_BYTES:
            return existing
        new = os.urandom(_KEY_BYTES)
        if keep:
            with Locks(self.directory).machine():
                self._tree.write(DesiredFile("key", new, 0o600))
        return new
