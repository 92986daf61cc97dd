# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments that several modules share; doc_fragments/environment.py documents them. Runs on the targets."""

from __future__ import annotations

from typing import Any

MACHINE: dict[str, dict[str, Any]] = {
    "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock"},
    "state_directory": {"type": "str", "default": ""},
}
#: What every module that changes something takes; see core/permit.py.
PERMIT: dict[str, dict[str, Any]] = {"permit": {"type": "str", "default": "", "no_log": False}}
ENVIRONMENT: dict[str, dict[str, Any]] = {
    **PERMIT,
    "prefix": {"type": "str", "default": ""},
    "directory": {"type": "path"},
    "token": {"type": "str", "default": "", "no_log": False},
    "owner": {"type": "str", "default": ""},
    **MACHINE,
}
