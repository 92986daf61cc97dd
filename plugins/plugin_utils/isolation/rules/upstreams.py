# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an environment's nginx passes requests: to its own servers or to the internet, never where a visitor says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..containment.boundary import boundary_of
from ..containment.checks import upstream
from ..facts.servers import upstreams
from ..hosts import is_disguised
from ..model import Environment, Fleet, Severity, Where
from ..readers.nginx.meaning import undecided
from . import Hit, Judgement, rule


@rule("outside-upstream", severity=Severity.HIGH)
def outside_upstream(fleet: Fleet) -> Judgement:
    """An nginx passes requests to the machine or another network, or where the request says."""
    for environment, target, problem, where in _problems(fleet):
        yield Hit(
            (environment.prefix,),
            f"upstream {target}",
            f"The nginx of {environment.prefix} passes requests to {target}: {problem}. Its visitors reach "
            "what only the machine, or only that network, should.",
            f"Name a service of the environment{_meant(environment, target)}, or declare the address in "
            "bulkhead_shared (kind: address) with a reason.",
            (where,),
            environment.machine,
        )


def _meant(environment: Environment, target: str) -> str:
    """The name by which a service is reached, where its short name was written: ``aiia_staging_django``."""
    short = target.partition(":")[0].lower()
    names = sorted(name for name in environment.derived(boundary_of).hosts if short in re.split("[_-]", name.lower()))
    return f" (here {names[0]})" if names else ""


def _problems(fleet: Fleet) -> Iterator[tuple[Environment, str, str, Where]]:
    for environment, reference, server in fleet.derived(upstreams):
        # Another environment's server has a rule of its own.
        if environment.variables and (not server.owner or is_disguised(reference.attributes["host"])):
            problem = upstream(reference.attributes["host"], environment.derived(boundary_of), {})
            if problem:
                yield environment, reference.target, problem, reference.where
    unknown = "a variable that no set or map gives a fixed value decides which server that is"
    for environment in fleet.environments:
        for target, where in undecided(environment.nginx) if environment.variables else ():
            yield environment, target, unknown, where
