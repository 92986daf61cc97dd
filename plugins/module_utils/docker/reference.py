# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References to images in registries. Pure; used on both sides.

Source: the grammar of references in https://github.com/distribution/reference.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: What stands in a tag for the build inputs of an image that was not built here.
PULLED = "pulled"

_DOMAIN = r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?|\[[0-9a-f:]+\])"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?P<name>(?:%s(?::[0-9]{1,5})?/)?%s(?:/%s)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?\Z"
    % (_DOMAIN, _PART, _PART),
    re.ASCII,
)


class ImageReference(NamedTuple):
    """The parts of a reference. ``digest`` is empty where only a tag says which image is meant."""

    name: str
    tag: str
    digest: str

    @property
    def registry(self) -> str:
        """The registry's host, with its port: the first part of the name if it looks like one, as Docker judges it."""
        first, slash, _rest = self.name.partition("/")
        return first if slash and (re.search(r"[.:]", first) or first == "localhost") else "docker.io"


def parse(text: str) -> ImageReference:
    """The parts of a reference. Raises ValueError for anything else."""
    match = _REFERENCE.match(text)
    if not match:
        raise ValueError("%r is not a reference to an image" % text)
    return ImageReference(match.group("name"), match.group("tag") or "", match.group("digest") or "")


def reference_problem(text: str) -> str:
    """Why this does not say which image is meant; empty if it does."""
    try:
        found = parse(text)
    except ValueError:
        return (
            "bulkhead_image is %s; write the image as its registry names it, such as registry.example.com/shop/app:1.4 "
            "or registry.example.com/shop/app@sha256:…" % text
        )
    if not (found.tag or found.digest):
        return "bulkhead_image is %s, which names no version; add a tag or, better, the digest of the image" % text
    return ""
