# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply a release: what the converge step needs beside looking, in one place.

Ansible ships modules as source, and the machine compiles all that one imports, each time. So this is imported only
where something is to be done: most deployments look, and find nothing.
"""

from __future__ import annotations

from typing import Any, Callable

from ..backup.copy_off import CopyOff
from ..backup.create import Backups
from ..core.errors import Failure
from ..core.steps import Step, as_dicts, backup_step
from ..release.comparison import Comparison
from ..release.converge import Converger
from ..release.data import refuse_other_data
from ..release.drift_repair import mend
from ..release.plan import measured
from ..release.preconditions import refuse_foreign, refuse_gaps
from ..release.store import Releases
from ..state.locks import Locks
from ..state.registry import state_directory


def refuse(comparison: Comparison) -> None:
    """Raise Failure where the machine is not as applying the release needs it. Changes nothing."""
    refuse_foreign(comparison)
    refuse_other_data(comparison, comparison.images, ". Nothing was changed")
    refuse_gaps(comparison)
    CopyOff(comparison.engine, comparison.params["backup"]).check()


def apply(comparison: Comparison, releases: Releases, returning: str, mended: list[Step]) -> dict[str, Any]:
    """Converge to the release, drift mended first: ``mended`` are its steps.

    Returns ``release``, ``steps`` and the ``containers`` afterwards. Raises Failure with the steps that were tried.
    """
    params = comparison.params
    converger = Converger(comparison, releases, _back_up(comparison))

    def mend_first() -> None:
        for step in mended:
            converger.progress.tell(step)
        mend(comparison.engine, params["mend"])

    try:
        release = converger.apply(returning, mend_first)
    except Failure as error:
        error.steps = converger.progress.tried
        raise
    if params["token"]:
        Locks(state_directory(params["state_directory"])).refuse_older(params["prefix"])
    steps = as_dicts(measured(converger.progress.tried, converger.serving.downtime))
    return {"release": release, "steps": steps, "containers": converger.run.containers}


def _back_up(comparison: Comparison) -> Callable[[str], Step | None]:
    """What makes a backup before data may change, and says so as a step; empty where none is wanted."""
    arguments, state = comparison.params["backup"], comparison.state
    if not arguments:
        return lambda _reason: None
    backups = Backups(comparison.engine, arguments)
    release, commit = state.get("release", ""), state.get("commit", "")
    return lambda reason: backup_step(backups.make(reason, release=release, commit=commit, trigger="release"))
