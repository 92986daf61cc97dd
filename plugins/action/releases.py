# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists the kept releases of one environment. It changes nothing, so it needs neither lock nor proof."""

from __future__ import annotations

import re
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.gate.plan import Gate

#: A commit in an image's tag; people need only its beginning.
_COMMIT = re.compile(r"(?<=:)([0-9a-f]{12})[0-9a-f]{28}\b")


class ActionModule(ActionBase):
    """Ask the machine, and show one line for each release."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the module with what the inventory declares."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        declaration = Gate(self, task_vars).declaration_of(task_vars["inventory_hostname"])
        values = declaration.values
        arguments = {"directory": values["bulkhead_directory"], "prefix": declaration.prefix}
        result.update(self._execute_module("aiia.bulkhead.releases", arguments, task_vars=task_vars))
        if result.get("releases") == []:
            Display().display(f"{declaration.prefix} has no releases here: it is not deployed")
        for release in result.get("releases", ()):
            mark = "*" if release["release"] == result["current"] else " "
            own = (image for image in release["images"] if image.startswith(f"{declaration.prefix}_"))
            images = ", ".join(_COMMIT.sub(r"\1…", image) for image in own)
            Display().display(f"{mark} {release['release']}  {(release['commit'] or '')[:12]:12}  {images}".rstrip())
        return result
