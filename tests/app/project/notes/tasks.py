# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that a Celery worker does."""

from __future__ import annotations

from celery import shared_task

from notes.models import Note
from notes.stores import remember


@shared_task
def write_note(key: str, text: str) -> None:
    """Write a row, and leave its number in Redis for whoever asked."""
    remember(key, str(Note.objects.create(text=text).pk))
