# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils.isolation import naming
from ..plugin_utils.isolation.wording import in_words


def _filter(make: Callable[..., str]) -> Callable[..., str]:
    """Turn a naming function into a filter on strings that reports ``ValueError`` as a template error.

    Ansible prefixes the message with the name of the filter.
    """

    @wraps(make)
    def apply(prefix: Any, *args: Any, **kwargs: Any) -> str:
        for value in (prefix, *args, *kwargs.values()):
            if not isinstance(value, str):
                raise AnsibleFilterError(f"it takes text, but this is {in_words(value)}")
        try:
            return make(prefix, *args, **kwargs)
        except (TypeError, ValueError) as exc:
            raise AnsibleFilterError(str(exc)) from exc

    return apply


class FilterModule:
    """Filters that build the names of an environment, and one that rejects foreign names."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return all filters by name."""
        makers: dict[str, Callable[..., str]] = {
            "assert_prefixed": naming.assert_prefixed,
            "container_name": naming.container_name,
            "database_name": naming.database_name,
            "image_name": naming.image_name,
            "network_name": naming.network_name,
            "project_name": naming.project_name,
            "role_name": naming.role_name,
            "volume_name": naming.volume_name,
        }
        return {name: _filter(make) for name, make in makers.items()}
