# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine's registry of environments: claims, release and receipts, one directory for each prefix.

Here inventories that do not know each other meet. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..core.directory import DesiredFile, Tree
from ..core.errors import Failure
from ..core.handles import PathError
from ..core.json_with_digest import decode_sealed, decode_with_digest, dump, encode_sealed, encode_with_digest
from ..core.layout import KEPT
from ..core.owner import is_below
from ..core.process import home_directory
from .locks import Locks

if TYPE_CHECKING:  # a scheduled backup runs this without Ansible
    from ansible.module_utils.basic import AnsibleModule

_PREFIX = re.compile(r"[a-z][a-z0-9_-]*\Z")

#: Keys of an entry that are not in its copy: they change with every deployment, or depend on this machine's key.
_VOLATILE = ("deployed", "by", "files", "key", "containers", "guard")

_KEY_BYTES = 32

#: How often an environment of each prefix was destroyed: its sealed copies are void since.
_LIVES = "destroyed.json"


def _reads(entry: dict[str, Any], path: str, named: str) -> bool:
    """Whether root reads a file for a registered environment, which calls it otherwise. The gate judges equal names."""
    return any(
        claim["namespace"] == "path"
        and claim["attributes"].get("kind") == "read"
        and claim["key"] != named
        and os.path.realpath(claim["key"]) == path
        for claim in entry.get("claims") or ()
    )


#: The state directory of machines where root deploys.
SYSTEM_STATE = "/var/lib/bulkhead"


def state_directory(configured: str = "") -> str:
    """The machine's state directory: as configured, else the system's for root and the user's own for others."""
    if configured:
        return configured
    return SYSTEM_STATE if os.getuid() == 0 else os.path.join(home_directory(), ".local", "state", "bulkhead")


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
    a lost registry is rebuilt. Its owner can write there: the copy is sealed with the machine's key, and void once the
    environment is destroyed.
    """

    COPY = ".bulkhead/environment.json"

    def __init__(self, directory: str, keep_receipts: int = 20) -> None:
        self.directory = directory
        self.keep_receipts = keep_receipts
        self._tree = Tree(directory, private=True, inner=0o700)

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

    def entry(self, prefix: str) -> dict[str, Any]:
        """What is registered of one environment: empty if nothing is, ``{"damaged": reason}`` if it cannot be read."""
        return self._entry(prefix) or {}

    def holders_of(self, path: str, named: str, prefix: str) -> list[str]:
        """To whom a real path belongs beside ``prefix``, which named it so: ``Bulkhead``, for what lies in this
        directory, and the prefixes of environments that have it in theirs, or name it themselves by another path.
        """
        found = ["Bulkhead"] if is_below(path, os.path.realpath(self.directory)) else []
        for other, entry in sorted(self.entries().items()):
            directory = str(entry.get("directory") or "")
            in_there = directory and is_below(path, os.path.realpath(directory))
            if other != prefix and (in_there or _reads(entry, path, named)):
                found.append(other)
        return found

    def _entries(self) -> dict[str, dict[str, Any]]:
        found = {prefix: self._entry(prefix) for prefix in self._tree.names("environments")}
        return {prefix: entry for prefix, entry in found.items() if entry is not None}

    def _entry(self, prefix: str) -> dict[str, Any] | None:
        """The entry of an environment, or why it cannot be read; None where there is none."""
        folder = os.path.join("environments", prefix)
        if not _PREFIX.match(prefix) or not self._tree.is_folder(folder):
            return None
        content = self._tree.read(os.path.join(folder, "environment.json"))
        try:
            return decode_with_digest(content or b"", prefix)
        except ValueError as error:
            return {"prefix": prefix, "damaged": str(error)}

    def _copy(self, directory: str) -> dict[str, Any] | None:
        """The copy in an environment's directory, if this registry sealed it for that directory and still vouches."""
        try:
            content = Tree(directory).read(self.COPY)
            entry = decode_sealed(content, self.key()) if content else {}
        except (ValueError, Failure):
            return None
        here = entry.pop("state_directory", "") == os.path.realpath(self.directory)
        prefix = str(entry.get("prefix"))
        known = _PREFIX.match(prefix) and entry.get("directory") == directory
        return entry if here and known and entry.pop("life", 0) == self._life(prefix) else None

    def _life(self, prefix: str) -> int:
        """How often an environment of this prefix was destroyed."""
        times = self._lives().get(prefix)
        return times if isinstance(times, int) else 0

    def _lives(self) -> dict[str, Any]:
        content = self._tree.read(_LIVES)
        try:
            found = json.loads(content.decode()) if content else {}
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, prefix: str, entry: dict[str, Any], receipt: dict[str, Any], owner: str = "") -> str:
        """Write a receipt and, unless it is empty, the environment's entry. Returns the receipt's path.

        An environment that was never registered, because its first deployment failed, has its receipts below
        ``attempted``.
        """
        folder = os.path.join("environments", prefix)
        if not entry and self._tree.status(os.path.join(folder, "environment.json")) is None:
            folder = os.path.join("attempted", prefix)
        path = self._write_receipt(folder, receipt)
        if entry:
            self._write(prefix, entry)
        if entry.get("directory"):
            tree = Tree(entry["directory"], owner)
            steady = {key: value for key, value in entry.items() if key not in _VOLATILE}
            steady.update(state_directory=os.path.realpath(self.directory), life=self._life(prefix))
            copy = DesiredFile(self.COPY, encode_sealed(steady, self._kept_key()), 0o644)
            if tree.differs(copy):
                tree.write(copy)
        return path

    def _write_receipt(self, folder: str, receipt: dict[str, Any]) -> str:
        name = "%s.json" % receipt["finished"].replace(":", "").replace("-", "")
        self._tree.write(DesiredFile(os.path.join(folder, "receipts", name), dump(receipt), 0o640))
        receipts = os.path.join(folder, "receipts")
        # This receipt is the newest. Those with later names were written under a fast clock and are removed first.
        by_age = sorted(self._tree.names(receipts), key=lambda receipt_name: (receipt_name <= name, receipt_name))
        for old in by_age[: -self.keep_receipts]:
            self._tree.unlink(os.path.join(receipts, old))
        return self._tree.path(os.path.join(receipts, name))

    def receipts(self, prefix: str) -> list[dict[str, Any]]:
        """The kept receipts of an environment, the oldest first. One that cannot be read is left out."""
        found = []
        for folder in ("attempted", "environments"):
            below = os.path.join(folder, prefix, "receipts")
            for name in self._tree.names(below):
                try:
                    receipt = json.loads((self._tree.read(os.path.join(below, name)) or b"").decode())
                except (ValueError, Failure):
                    continue
                if isinstance(receipt, dict):
                    found.append(receipt)
        return sorted(found, key=lambda receipt: str(receipt.get("finished")))

    def _write(self, prefix: str, entry: dict[str, Any]) -> None:
        self._tree.write(
            DesiredFile(os.path.join("environments", prefix, "environment.json"), encode_with_digest(entry), 0o600)
        )

    def remove(self, prefix: str, receipt: dict[str, Any] | None = None) -> str:
        """Remove the entry of a destroyed environment. Returns the path of its last receipt, with which the others are
        kept; without a ``receipt`` they are removed too."""
        registered, kept = os.path.join("environments", prefix), os.path.join("destroyed", prefix)
        self._tree.remove(os.path.join(KEPT, prefix))
        self._tree.write(DesiredFile(_LIVES, dump({**self._lives(), prefix: self._life(prefix) + 1}), 0o600))
        if receipt is None:
            self._tree.remove(registered)
            return ""
        for name in self._tree.names(os.path.join(registered, "receipts")):
            content = self._tree.read(os.path.join(registered, "receipts", name))
            if content is not None and name.endswith(".json"):
                self._tree.write(DesiredFile(os.path.join(kept, "receipts", name), content, 0o640))
        path = self._write_receipt(kept, receipt)
        self._tree.remove(registered)
        return path

    def key(self, keep: bool = False) -> bytes:
        """The machine's key for digests of files. If there is none, a new one, which only ``keep`` writes."""
        try:
            existing = self._tree.read("key")
        except PathError:
            raise
        except Failure:
            existing = None
        if existing and len(existing) >= _KEY_BYTES:
            return existing
        new = os.urandom(_KEY_BYTES)
        if keep:
            with Locks(self.directory).machine():
                return self._kept_key(new)
        return new

    def _kept_key(self, new: bytes = b"") -> bytes:
        """The machine's key; without one ``new``, or a random one, becomes it. Call it under the machine's lock."""
        existing = self._tree.read("key")
        if existing and len(existing) >= _KEY_BYTES:
            return existing
        new = new or os.urandom(_KEY_BYTES)
        self._tree.write(DesiredFile("key", new, 0o600))
        return new
