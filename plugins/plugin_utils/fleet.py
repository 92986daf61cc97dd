# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a declaration and its release to what the prover judges."""

from __future__ import annotations

from .declaration import Declaration
from .isolation.model import Environment
from .rendering import Release


def build_environment(declaration: Declaration, release: Release | None) -> Environment:
    """The environment as the rules see it."""
    values = declaration.values
    return Environment(
        prefix=declaration.prefix,
        name=str(values.get("bulkhead_environment") or ""),
        project=str(values.get("bulkhead_project") or ""),
        group=declaration.group,
        machine=str(values.get("bulkhead_machine") or "localhost"),
        directory=str(values.get("bulkhead_directory") or ""),
        variables=values,
        origins=declaration.origins,
    )
