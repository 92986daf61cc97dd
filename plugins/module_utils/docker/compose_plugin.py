# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the program that ``docker compose`` starts. Runs on the targets.

Compose is a plugin of Docker's client, which starts it twice: first to ask what it is. That takes 40 ms of each call.
Where it is certain which program the client would start, it is started in the same way without the client.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

#: The variable by which a plugin knows that it is one: the path of the client.
CLIENT = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"

_NAME = "docker-compose"

#: Where the client looks for the machine's plugins.
_FOLDERS = tuple("/usr/%s/docker/cli-plugins" % folder for folder in ("local/lib", "local/libexec", "lib", "libexec"))


def find_compose(client: str, home: str, folders: Sequence[str] = _FOLDERS) -> str:
    """The path of Compose, for a client that a user with this home directory calls; empty where the client must choose.

    It must where the user has plugins of their own, where the machine has several versions of Compose, and where the
    client is a script, which may do more than call Docker.
    """
    settings = os.path.join(home, ".docker")
    found = [path for path in (os.path.join(folder, _NAME) for folder in folders) if os.path.lexists(path)]
    own = os.path.lexists(os.path.join(settings, "cli-plugins", _NAME)) or _names_folders(settings)
    certain = len(found) == 1 and not own and os.access(found[0], os.X_OK) and _is_binary(client)
    return found[0] if certain else ""


def _names_folders(settings: str) -> bool:
    """Whether the client's settings may name more folders of plugins."""
    try:
        with open(os.path.join(settings, "config.json"), encoding="utf-8") as stream:
            return "cliPluginsExtraDirs" in json.load(stream)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError):
        return True


def _is_binary(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False
