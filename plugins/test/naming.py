# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils.isolation import naming


def prefixed_by(name: Any, prefix: Any) -> bool:
    """Whether a name starts with the prefix as whole words."""
    if not isinstance(prefix, str) or not prefix:
        raise AnsibleFilterError("it takes a prefix that is a string and not empty")
    return isinstance(name, str) and naming.owns(prefix, name)


def valid_prefix(value: Any) -> bool:
    """Whether a value can be the prefix of an environment."""
    return not naming.check_prefix(value)


class TestModule:
    """Tests of names and prefixes."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Return all tests by name."""
        return {"prefixed_by": prefixed_by, "valid_prefix": valid_prefix}
