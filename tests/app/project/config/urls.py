# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes."""

from __future__ import annotations

from django.urls import path

from notes import views

urlpatterns = [
    path("", views.home, name="home"),
    path("health/", views.health, name="health"),
    path("whoami/", views.whoami, name="whoami"),
    path("notes/", views.notes, name="notes"),
    path("notes/<int:number>/", views.note, name="note"),
    path("redis/<str:key>", views.redis_value, name="redis-value"),
    path("tasks/", views.tasks, name="tasks"),
    path("slow/", views.slow, name="slow"),
]
