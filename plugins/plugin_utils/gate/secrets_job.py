# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a job on the secrets of one environment needs to know of its stack and of the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..declaration.model import Declaration
from ..isolation.report import text
from ..release.definitions import definitions_of
from ..secrets.jobs import SecretsJob
from .plan import Gate
from .secrets import readable_secrets, salt_for, usual_salt


def secrets_job(
    gate: Gate, declaration: Declaration, directory: Path, passwords: Sequence[tuple[str, Any]], **more: Any
) -> SecretsJob:
    """The job on the secrets of an environment whose variables are in a directory. Raises AnsibleActionFail where its
    stack cannot be rendered."""
    release = gate.render(declaration)
    if release is None:
        raise AnsibleActionFail(text.refusal(declaration.problems))
    stack = release.evaluation.stack if release.evaluation else {}
    services = definitions_of(stack, declaration.values["bulkhead_services"])
    settings = {line.key: line.variable for line in release.settings if line.variable != "bulkhead_secrets"}
    return SecretsJob(
        directory=directory,
        group=declaration.group,
        needed=list(dict.fromkeys(name for service in services for name in service.secrets)),
        passwords=passwords,
        salt=salt_for(declaration, usual_salt(gate.declarations)),
        taken=settings,
        evaluated=readable_secrets(declaration),
        **more,
    )
