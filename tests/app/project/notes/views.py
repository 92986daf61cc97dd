# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages for people, and answers in JSON for programs."""

from __future__ import annotations

import json
import logging
import socket
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from redis import RedisError

from notes import stores
from notes.headline import HEADLINE
from notes.models import Note
from notes.tasks import write_note

SHOWN_NOTES = 20
LISTED_NOTES = 100
LONGEST_SLEEP = 30.0

log = logging.getLogger(__name__)


def identity() -> dict[str, object]:
    """Who answers: enough to tell one environment's parts from another's, and nothing that is secret."""
    return {
        "environment": settings.ENVIRONMENT,
        "commit": settings.COMMIT,
        "container": socket.gethostname(),
        "database": stores.describe_database(),
        "redis": stores.describe_redis(),
    }


def works(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except (DatabaseError, RedisError):
        log.exception("health: %s does not answer", name)
        return False
    return True


def text_of(request: HttpRequest) -> str | None:
    """The text of a note in a request's JSON body, or nothing if it has none that fits."""
    try:
        body = json.loads(request.body)
    except ValueError:
        return None
    text = body.get("text") if isinstance(body, dict) else None
    fits = isinstance(text, str) and 0 < len(text) <= Note._meta.get_field("text").max_length and "\0" not in text
    return text if fits else None


def refused() -> JsonResponse:
    return JsonResponse({"error": 'expected {"text": "…"} of at most 500 characters'}, status=400)


@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        if text := request.POST.get("text", "").replace("\0", "").strip()[:500]:
            Note.objects.create(text=text)
        return redirect("home")
    context = {"headline": HEADLINE, "identity": identity(), "notes": Note.objects.all()[:SHOWN_NOTES]}
    return render(request, "notes/home.html", context)


@never_cache
@require_GET
def health(request: HttpRequest) -> JsonResponse:
    parts = {"database": works("database", stores.check_database), "redis": works("redis", stores.check_redis)}
    healthy = all(parts.values())
    return JsonResponse({"healthy": healthy, **parts}, status=200 if healthy else 503)


@never_cache
@require_GET
def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse(identity())


@csrf_exempt
@require_http_methods(["GET", "POST"])
def notes(request: HttpRequest) -> JsonResponse:
    if request.method == "GET":
        return JsonResponse({"notes": [note.as_json() for note in Note.objects.all()[:LISTED_NOTES]]})
    if (text := text_of(request)) is None:
        return refused()
    return JsonResponse(Note.objects.create(text=text).as_json(), status=201)


@require_GET
def note(request: HttpRequest, number: int) -> JsonResponse:
    return JsonResponse(get_object_or_404(Note, pk=number).as_json())


@csrf_exempt
@require_http_methods(["GET", "PUT"])
def redis_value(request: HttpRequest, key: str) -> HttpResponse:
    if request.method == "PUT":
        stores.remember(key, request.body.decode(errors="replace"))
        return HttpResponse(status=204)
    value = stores.recall(key)
    if value is None:
        return HttpResponse(status=404)
    return HttpResponse(value, content_type="text/plain; charset=utf-8")


@csrf_exempt
@require_POST
def tasks(request: HttpRequest) -> JsonResponse:
    """Have a worker write a note; its number appears under the key that is returned."""
    if (text := text_of(request)) is None:
        return refused()
    key = f"task-{uuid.uuid4()}"
    write_note.delay(key, text)
    return JsonResponse({"key": key}, status=202)


@require_GET
def slow(request: HttpRequest) -> JsonResponse:
    """An answer that takes its time: what a deployment must not cut off."""
    try:
        seconds = float(request.GET.get("seconds", "1"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_SLEEP:
        return JsonResponse({"error": f"seconds must be a number from 0 to {LONGEST_SLEEP:g}"}, status=400)
    time.sleep(seconds)
    return JsonResponse({"slept": seconds, "container": socket.gethostname(), "commit": settings.COMMIT})
