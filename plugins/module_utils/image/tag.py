# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tag of an image, which says what it was built from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: Rounds for the digest of build arguments: tags are public, and secret arguments must not be guessable from them.
_ROUNDS = 200_000


def build_inputs(repository: str, dockerfile: str, context: str, target: str, arguments: Mapping[str, Any]) -> str:
    """A digest of everything except the commit that decides an image's content; equal in all environments."""
    encoded = json.dumps(arguments, sort_keys=True, default=str).encode() if arguments else b""
    slow = hashlib.pbkdf2_hmac("sha256", encoded, repository.encode(), _ROUNDS).hex() if encoded else ""
    parts = [repository, dockerfile, context, target, slow]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def image_tag(commit: str, inputs: str) -> str:
    """The tag of the image built from a commit and these inputs."""
    return "%s-%s" % (commit, inputs)
