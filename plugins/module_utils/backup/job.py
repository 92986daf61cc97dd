# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs of an environment that its machine does on schedule. Used on the controller and on the targets."""

from __future__ import annotations

from typing import NamedTuple


class ScheduledJob(NamedTuple):
    """A job that a machine does on schedule.

    ``module`` has its ``main``, ``folder`` is where all environments' are, below the state directory, and ``variable``
    what asks for it; ``instead`` is what to do where the machine cannot.
    """

    name: str
    title: str
    module: str
    folder: str
    variable: str
    instead: str

    @property
    def program(self) -> str:
        """The file that is run."""
        return "%s.pyz" % self.name


BACKUP = ScheduledJob(
    "backup",
    "Backup",
    "backup.scheduled_run",
    "schedules",
    "bulkhead_backup_schedule",
    "run playbook backup from a schedule of your own",
)
CERTIFICATES = ScheduledJob(
    "certificates",
    "Certificate",
    "certificates.scheduled_run",
    "certificates",
    "bulkhead_acme",
    "run playbook certificates from a schedule of your own",
)


def unit_name(prefix: str, job: ScheduledJob = BACKUP) -> str:
    """What an environment's timer, service and cron file are called. cron passes over names with a dot."""
    return "bulkhead-%s-%s" % (prefix, job.name)
