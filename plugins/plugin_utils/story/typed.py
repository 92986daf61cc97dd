# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was typed, as Ansible has it, with paths as a person writes them."""

from __future__ import annotations

import os
from pathlib import Path

from ansible import constants as C
from ansible import context

from .following import Typed


def typed() -> Typed:
    """The command of this run. Inventories and passwords' files of Ansible's configuration were not typed."""
    given = context.CLIARGS
    inventories = tuple(given.get("inventory") or ())
    return Typed(
        playbooks=tuple(map(_short, given.get("args") or ())),
        inventories=() if inventories == tuple(C.DEFAULT_HOST_LIST) else tuple(map(_short, inventories)),
        limit=given.get("subset") or "",
        vault_ids=tuple(given.get("vault_ids") or ()),
        password_files=tuple(map(_short, given.get("vault_password_files") or ())),
        asks_password=bool(given.get("ask_vault_pass")),
        check=bool(given.get("check")),
        extra=bool(given.get("extra_vars")),
    )


def located(file: str) -> str:
    """The whole path of a file of the controller, or nothing."""
    path = Path(file).absolute()
    return os.path.normpath(path) if path.is_file() else ""


def _short(path: str) -> str:
    """A path below the working directory without it."""
    relative = os.path.relpath(path) if Path(path).is_absolute() else path
    return path if relative.startswith("..") else relative
