# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The format of what a machine keeps of an environment, and the refusal of older versions. Runs on the targets.

An environment's lease is the first thing that every job writes. The first format has it in ``locks/<prefix>.json``, and
its versions know no other. So a deployment by a later version replaces that file by a directory of the same name, with
the lease and the format in it: an older version cannot write its lease there, and stops before it looks at anything.
Until that deployment both can work, and so do the backups that the machine makes with the older version's program.
"""

from __future__ import annotations

import os

from ..core.directory import DesiredFile, Tree, read
from ..core.errors import Failure

#: The format that this version reads and writes. Raise it whenever an older version would misunderstand the state.
FORMAT = 2

_LEASE, _FORMAT, _README = "lease.json", "format", "README"

_EXPLANATION = (
    "A newer version of Bulkhead has deployed this environment. An older one stops here ('Is a directory'): it would\n"
    "misunderstand what the newer one keeps. Upgrade aiia.bulkhead on the controller that stopped.\n"
)


class FormatError(Failure):
    """A newer version keeps this environment."""


def lease_path(prefix: str) -> str:
    """Where an environment's lease is in the first format, below the state directory."""
    return os.path.join("locks", "%s.json" % prefix)


def current_lease_path(directory: str, prefix: str) -> str:
    """Where an environment's lease is, below the state ``directory``."""
    path = lease_path(prefix)
    return os.path.join(path, _LEASE) if os.path.isdir(os.path.join(directory, path)) else path


def refuse_newer(directory: str, prefix: str) -> None:
    """Raise FormatError if a newer version than this one has deployed the environment."""
    found = read(os.path.join(directory, lease_path(prefix), _FORMAT))
    if found is None:
        return
    text = found.decode("utf-8", "replace").strip()
    if not text.isdecimal() or int(text) > FORMAT:
        raise FormatError(
            "a newer version of Bulkhead has deployed this environment: its state on this machine has format %s, and "
            "this version knows formats up to %d. Upgrade aiia.bulkhead on this controller. Nothing was changed"
            % (text[:20] or "''", FORMAT)
        )


def refuse_older(directory: str, prefix: str) -> None:
    """Record this version's format, by which older versions are refused. Call it under the machine's lock."""
    tree, path = Tree(directory), lease_path(prefix)
    earlier, new = tree.path(path), "%s.new" % path
    if not os.path.isdir(earlier):
        tree.remove(new)
        lease = read(earlier)
        if lease is not None:
            tree.write(DesiredFile(_LEASE, lease, 0o600), new)
        tree.write(DesiredFile(_README, _EXPLANATION.encode(), 0o600), new)
        if lease is not None:
            os.unlink(earlier)
        os.rename(tree.path(new), earlier)
    number = DesiredFile(_FORMAT, b"%d\n" % FORMAT, 0o600)
    if read(os.path.join(earlier, _FORMAT)) != number.content:
        tree.write(number, path)
