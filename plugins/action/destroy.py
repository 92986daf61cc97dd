# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists what is one environment's own, asks if it is protected, and removes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..plugin_utils.gate.session import Note
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.jobs.engines import engine_of


class ActionModule(EnvironmentStep):
    """Destroy one environment."""

    #: Only what carries the environment's own labels is removed, whatever would stop a deployment.
    JUDGES: ClassVar = False

    NOT_ON_SWARM: ClassVar = ""

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """List, ask, remove, and leave a receipt that nothing else changed."""
        prefix, engine = self.declaration.prefix, engine_of(self)
        found = engine.own()
        if found.get("failed"):
            return found
        Display().display(listed(prefix, found, engine.ALSO_DESTROYS))
        unreached: Sequence[str] = found.get("unreached", ())
        if not found["goes"]:
            self.live.ending.conclude(self.session, "destroy", [])
            bounds = ", as far as it was reached" if unreached else ""
            return {**found, "msg": f"there is nothing of {prefix} {engine.PLACE}{bounds}"}
        if self._task.check_mode:
            self.live.ending.conclude(self.session, "destroy", [])
            return {**found, "msg": "check mode: nothing was removed"}
        self.confirm("destroy")
        answer = engine.destroy(found)
        if answer.get("failed"):
            return answer
        for word, things in (("kept", found["stays"]), ("left", found["left"]), ("not reached", unreached)):
            self.session.notes += [Note(f"{word}: {thing}") for thing in things]
        self.live.ending.conclude(self.session, "destroy", found["goes"], gone=True)
        if unreached:
            Display().warning(
                f"{prefix} was not removed everywhere: the run did not reach {'; '.join(unreached)}. Run destroy again "
                "once all hosts of the group answer: it removes the rest"
            )
        return answer


def listed(prefix: str, found: Mapping[str, Any], variables: Sequence[str]) -> str:
    """The exact list, for the screen."""
    if not found["goes"]:
        lines = [f"there is nothing of {prefix} to remove"]
    else:
        lines = [f"{prefix}: to be removed:", *map(_line, found["goes"])]
    if found["stays"]:
        lines += [f"kept ({', '.join(variables)}):" if variables else "kept:"]
        lines += [f"  {thing}" for thing in found["stays"]]
    if found["left"]:
        lines += ["not this environment's, left alone:", *(f"  {thing}" for thing in found["left"])]
    if found.get("unreached"):
        lines += ["not reached, so this stays until it is destroyed again:"]
        lines += [f"  {thing}" for thing in found["unreached"]]
    return "\n".join(lines)


def _line(step: Mapping[str, Any]) -> str:
    """What goes, and on which node where the environment has several."""
    node = str(step.get("detail") or "").removeprefix("on ")
    return f"  {step['kind']} {step['target']}{f' on {node}' if node else ''}"
