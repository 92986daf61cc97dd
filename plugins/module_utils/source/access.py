# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What git reads to be let in: in files without a name, of which a killed run leaves nothing. Runs on the targets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

#: How git calls ssh: it asks nobody, and a server that says nothing for two minutes has ended.
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=60 -o ServerAliveInterval=30 -o ServerAliveCountMax=4"


class DeployKey:
    """An ssh key of one environment for its repository, and the host keys of the repository's server.

    With host keys, no other server is trusted; without, the ones that the user who runs git knows.
    """

    def __init__(self, private: str, known_hosts: str = "") -> None:
        self.private = private if private.endswith("\n") else private + "\n"
        self.known_hosts = known_hosts

    @contextmanager
    def opened(self, uid: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the ssh command that git is given, and the open files that it must inherit.

        ssh closes what it inherits, so it opens the files through git, its parent. ``uid`` runs both.
        """
        with ExitStack() as stack:
            key = stack.enter_context(nameless(self.private, uid))
            command = "%s -o IdentitiesOnly=yes -o IdentityAgent=none -i /proc/$PPID/fd/%d" % (SSH, key)
            if not self.known_hosts:
                yield command, (key,)
                return
            hosts = stack.enter_context(nameless(self.known_hosts, uid))
            command += " -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o GlobalKnownHostsFile=/dev/null"
            yield "%s -o UserKnownHostsFile=/proc/$PPID/fd/%d" % (command, hosts), (key, hosts)


@contextmanager
def nameless(text: str, uid: int) -> Iterator[int]:
    """Yield an open file without a name that holds a text, and that only one user can open."""
    descriptor = os.memfd_create("git-credentials")
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(descriptor, 0o600)
        if uid != os.getuid():
            os.fchown(descriptor, uid, -1)
        yield descriptor
