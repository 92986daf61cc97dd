# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image was built from, and how its tag says that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: How often the digest of build arguments is taken: a tag is shown, and what is secret among them must not be found out
#: by trying words.
_ROUNDS = 200_000


def build_inputs(repository: str, dockerfile: str, context: str, target: str, arguments: Mapping[str, Any]) -> str:
    """A digest of what, beside the commit, decides what an image contains: the same in each environment."""
    given = json.dumps(arguments, sort_keys=True, default=str).encode() if arguments else b""
    slow = hashlib.pbkdf2_hmac("sha256", given, repository.encode(), _ROUNDS).hex() if given else ""
    parts = [repository, dockerfile, context, target, slow]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def image_tag(commit: str, inputs: str) -> str:
    """The tag of the image that was built from a commit and these inputs, and of no other."""
    return "%s-%s" % (commit, inputs)
