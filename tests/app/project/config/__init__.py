# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project: settings, routes, and the entry points of its servers."""

from __future__ import annotations

from config.celery import celery_app

__all__ = ["celery_app"]
