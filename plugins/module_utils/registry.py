# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine keeps of its environments: claims, release and receipts, one directory for each prefix.

Two inventories that do not know each other meet here. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import home_directory
from ansible_collections.aiia.bulkhead.plugins.module_utils.failure import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.locks import Locks
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import Tree, Wanted, digest, read

_PREFIX = re.compile(r"[a-z][a-z0-9_-]*\Z")


class RegistryError(Failure):
    """The registry cannot be read or written."""


def state_directory(wanted: str = "") -> str:
    """Where the machine keeps its state: as asked, else the system's place for root and the user's own for others."""
    if wanted:
        return wanted
    return "/var/lib/bulkhead" if os.getuid() == 0 else os.path.join(home_directory(), ".local", "state", "bulkhead")


@contextlib.contextmanager
def kept_lease(module: AnsibleModule) -> Iterator[None]:
    """Keep the environment's lease while a module works, and give it back when the module fails."""
    params = module.params
    if module.check_mode or not params["token"]:
        yield
        return
    locks = Locks(state_directory(params["state_directory"]))
    try:
        with locks.kept(params["prefix"], params["token"]):
            yield
    except Failure:
        locks.release(params["prefix"], params["token"])
        raise


class Registry:
    """``<state directory>/environments/<prefix>/``: ``environment.json`` and ``receipts/``."""

    def __init__(self, directory: str, keep_receipts: int = 20) -> None:
        self.directory = directory
        self.keep_receipts = keep_receipts
        self._tree = Tree(directory)

    def entries(self) -> dict[str, dict[str, Any]]:
        """Every registered environment by prefix. One that cannot be read is given as ``{"damaged": reason}``."""
        found = {}
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
            try:
                entry = json.loads((content or b"").decode())
                if entry.get("prefix") != prefix:
                    raise ValueError("it is about %s" % entry.get("prefix"))
                if entry.pop("digest", "") != digest(_dump(entry)):
                    raise ValueError("it was edited by hand")
                found[prefix] = entry
            except (ValueError, AttributeError) as error:
                found[prefix] = {"prefix": prefix, "damaged": str(error) or "it cannot be read"}
        return found

    def write(self, prefix: str, entry: dict[str, Any], receipt: dict[str, Any]) -> str:
        """Register an environment with the receipt of its deployment."""
        folder = os.path.join("environments", prefix)
        name = "%s.json" % receipt["finished"].replace(":", "").replace("-", "")
        self._tree.write(Wanted(os.path.join(folder, "receipts", name), _dump(receipt), 0o640))
        sealed = dict(entry, digest=digest(_dump(entry)))
        self._tree.write(Wanted(os.path.join(folder, "environment.json"), _dump(sealed), 0o644))
        receipts = os.path.join(self.directory, folder, "receipts")
        for old in sorted(os.listdir(receipts))[: -self.keep_receipts]:
            os.unlink(os.path.join(receipts, old))
        return os.path.join(receipts, name)

    def remove(self, prefix: str) -> None:
        """Forget an environment that was destroyed; its receipts go with it."""
        self._tree.remove(os.path.join("environments", prefix))


def _dump(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
