# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each image was built from, written down by whoever built it. Runs on the targets.

``<state directory>/images/<prefix>.json``, in directories that no other user can enter, maps ids of images to facts.
Labels are no evidence: services, Dockerfiles and base images can set any of them.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..docker.engine import Engine
from ..docker.labels import MEANINGFUL
from ..state.registry import state_directory

#: Keys of the facts: the git tree, a digest of all other build inputs, and the environment that vouched. An empty tree
#: says that git changed the files at checkout, so that they are not those of any commit.
TREE, INPUTS, VOUCHED = "tree", "inputs", "vouched"


class ImageRecord:
    """The images that were built for one environment, or promoted to it, on this machine."""

    FOLDER = "images"

    def __init__(self, configured: str, prefix: str) -> None:
        self._tree = Tree(state_directory(configured), private=True, inner=0o700)
        self._name = os.path.join(self.FOLDER, "%s.json" % prefix)

    @property
    def path(self) -> str:
        """Where the record is."""
        return self._tree.path(self._name)

    def all(self) -> dict[str, dict[str, str]]:
        """The facts by the image's id; none where the file is damaged."""
        return self._read(self._name)

    def on_machine(self, identity: str) -> list[dict[str, str]]:
        """What this machine knows of an image, whichever of its environments it was built for or promoted to."""
        names = [name for name in self._tree.names(self.FOLDER) if name.endswith(".json")]
        found = [self._read(os.path.join(self.FOLDER, name)) for name in names]
        return [facts[identity] for facts in found if identity in facts]

    def facts(self, identity: str) -> dict[str, str]:
        """What an image was built from; empty if that is not known."""
        return self.all().get(identity, {})

    def _read(self, name: str) -> dict[str, dict[str, str]]:
        try:
            found = json.loads((self._tree.read(name) or b"{}").decode())
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, engine: Engine, identity: str, **facts: str) -> None:
        """Write down what an image was built from, and forget images that are gone."""
        known = self.all()
        present = engine.image_ids(sorted(known))
        kept = {other: known[other] for other in known if other in present}
        text = json.dumps({**kept, identity: facts}, indent=1, sort_keys=True)
        self._tree.write(DesiredFile(self._name, text.encode(), 0o600))


def claimed_labels(image: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """The labels of ours that an image has without having been ``given`` them by a build."""
    labels = (image.get("Config") or {}).get("Labels") or {}
    return sorted(key for key in labels if key in MEANINGFUL and key not in given)
