# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists the kept releases of one environment. It changes nothing, so it needs neither lock nor proof."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..plugin_utils.gate.step import EnvironmentAction
from ..plugin_utils.jobs.engines import kept_releases

#: A commit in an image's tag; people need only its beginning.
_COMMIT = re.compile(r"(?<=:)([0-9a-f]{12})[0-9a-f]{28}\b")


class ActionModule(EnvironmentAction):
    """Ask the machine, and show one line for each release."""

    NOT_ON_SWARM: ClassVar = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the module with what the inventory declares."""
        result, _options = self.begin(tmp, task_vars)
        prefix = self.declaration.prefix
        result.update(kept_releases(self))
        if result.get("releases") == []:
            Display().display(f"{prefix} has no releases here: it is not deployed")
        for release in result.get("releases", ()):
            Display().display(shown(release, prefix, result["current"]))
        return result


def shown(release: Mapping[str, Any], prefix: str, current: str) -> str:
    """One release for a person: its name, commit and images, and below that what it is."""
    mark = "*" if release["release"] == current else " "
    own = (image for image in release["images"] if image.startswith(f"{prefix}_"))
    images = ", ".join(_COMMIT.sub(r"\1…", image) for image in own)
    line = f"{mark} {release['release']}  {(release['commit'] or '')[:12]:12}  {images}".rstrip()
    return "\n".join([line, *_about(release.get("about") or {})])


def _about(known: Mapping[str, str]) -> list[str]:
    """What a release is, on a line of its own; releases of older versions do not say so."""
    author = f" ({known['author']})" if known.get("author") else ""
    parts = [f"{known['subject']}{author}"] if known.get("subject") else []
    parts += [f"deployed by {known['by']}"] if known.get("by") else []
    return [f"    {', '.join(parts)}"] if parts else []
