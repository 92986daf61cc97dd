# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the machine can encrypt the backups that an environment wants encrypted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Environment, Finding, Severity, Where


def encryption(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding where age is missing. An observation of an earlier version says nothing of programs."""
    wanted = environment.variables.get("bulkhead_backup_recipients")
    leaves = environment.variables.get("bulkhead_backup_copy_command")
    if wanted and leaves and observation.get("programs", {}).get("age") is False:
        yield Finding(
            "missing-age",
            Severity.HIGH,
            (environment.prefix,),
            "age",
            f"{environment.prefix} encrypts the backups that leave the machine (bulkhead_backup_recipients), and this "
            "machine has no age to do so. Its backups would fail, the scheduled ones at night.",
            "Install it: ansible-playbook aiia.bulkhead.provision -l <environment>, or apt-get install age. Without "
            "bulkhead_backup_recipients, backups leave the machine unencrypted.",
            (Where(item="seen on the machine"),),
            environment.machine,
        )
