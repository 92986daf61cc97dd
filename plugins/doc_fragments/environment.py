# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that act on an environment or its machine; see module_utils/core/arguments.py for their types."""

from __future__ import annotations


class ModuleDocFragment:
    """The actions of the same names fill these options in from the inventory."""

    DOCUMENTATION = r"""
options:
  prefix: {type: str, default: "", description: The environment's prefix.}
  directory: {type: path, description: The environment's directory.}
  token: {type: str, default: "", description: The run that holds the environment's lock. Not a secret.}
  owner: {type: str, default: "", description: The user who owns the directory.}
  permit: {type: str, default: "", description: Shows that the action of the same name called the module.}
"""

    MACHINE = r"""
options:
  docker_host: {type: str, default: "unix:///var/run/docker.sock", description: The address of the engine.}
  state_directory:
    type: str
    default: ""
    description:
      - Where the machine keeps its registry. Defaults to C(/var/lib/bulkhead) for root, otherwise to a
        directory below the user's home.
"""
