# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artefacts of an environment as Bulkhead renders them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model import Sealed, Where


@dataclass(frozen=True)
class RenderedArtefacts:
    """An environment's artefacts as Bulkhead renders them. Only ``nginx`` and ``files``, paths to texts, are parsed.

    ``compose`` has no variables left. ``settings`` is the content of ``.env``, ``secrets`` the keys of secret ones, and
    ``sources`` the inventory variable that each setting comes from.
    """

    compose: Mapping[str, Any]
    compose_file: str = "docker-compose.yml"
    settings: Mapping[str, str | Sealed | None] = field(default_factory=dict)
    secrets: Collection[str] = ()
    sources: Mapping[str, Where] = field(default_factory=dict)
    nginx: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    env_file: str = ".env"
    #: The swarm on which ``compose`` is deployed as a stack.
    swarm: str = ""
