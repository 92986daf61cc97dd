# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The versions of files that become configs or secrets of a swarm.

Neither can be changed, so the name carries a version. A secret's version is a slow digest: whoever reads the name could
otherwise try out values. Used on the controller and on the targets.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache


def version_of(prefix: str, path: str, content: bytes, secret: bool) -> str:
    """The version of a file: ten digits of a digest of its path and content."""
    whole = path.encode("utf-8", "surrogatepass") + b"\0" + content
    return (_slow(prefix, whole) if secret else hashlib.sha256(whole).hexdigest())[:10]


@lru_cache(maxsize=256)
def _slow(prefix: str, whole: bytes) -> str:
    """A digest that costs about 50 ms, so that names do not help to guess what they are made of."""
    return hashlib.scrypt(whole, salt=prefix.encode(), n=16384, r=8, p=1, maxmem=64 << 20, dklen=16).hex()
