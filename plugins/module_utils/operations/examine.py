# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diagnosis needs beside the observation and what is watched. Runs on the targets, and changes nothing.

Each look is taken alone: one that fails is a word in ``failed``, and the others are still there. Slow ones come last.
What programs wrote is not returned, because it may be personal: only which known sign of trouble is in it, how often.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..certificates.pem import dates
from ..core.directory import Tree
from ..core.errors import Failure
from ..core.layout import KEPT
from ..docker.engine import Engine
from ..docker.labels import PREFIX
from ..probe.prober import Prober
from ..state.journal import Journal
from ..state.registry import Registry, state_directory

#: Signs of trouble in logs, by name.
SIGNS = {
    "pool-full": r"no more connections allowed|(?:FATAL|ERROR|error|because): +query_wait_timeout",
    "slots-full": r"too many clients already|remaining connection slots are reserved",
    "credentials": r"password authentication failed|SASL authentication failed|WRONGPASS|NOAUTH",
    "name": r"could not translate host name|[Nn]ame or service not known|name resolution|host not found in upstream"
    r"|DNS lookup failed",
    "refused": r"[Cc]onnection refused",
    "no-database": r'database "[^"]*" does not exist',
    "no-table": r'relation "[^"]*" does not exist',
    "no-space": r"No space left on device",
    "redis-full": r"OOM command not allowed",
    "redis-unsaved": r"MISCONF",
    "upstream-slow": r"upstream timed out",
    "permission": r"Permission denied",
}
_SIGNS = {name: re.compile(pattern) for name, pattern in SIGNS.items()}

#: Seconds for a request that nobody answers, as the prober counts them.
_TIMEOUT = 0.5

#: The domains of an environment that are resolved, and the seconds for all of them.
_DOMAINS, _RESOLVING = 20, 4.0

#: The lines of a log that are read, how old they may be, and the containers of an environment whose logs are.
_LINES, _SINCE, _CONTAINERS = "300", "60m", 12


class _Looks:
    """Takes looks one by one. ``failed`` says by name why one could not be taken."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}

    def take(self, name: str, look: Callable[..., Any], *arguments: Any) -> Any:
        """What a look gives; None where it fails."""
        try:
            return look(*arguments)
        except Failure as error:
            self.failed[name] = error.message
        except Exception as error:  # whatever it is, the other looks are worth having
            self.failed[name] = "%s in this look" % type(error).__name__
        return None


def examine(
    engine: Engine, environments: list[dict[str, Any]], observed: list[dict[str, Any]], state: str
) -> dict[str, Any]:
    """Examine a machine: its ``clock`` and ``memory``, whether its ``versions`` suffice, and for each environment by
    prefix the steps that a killed run ``left``, whether a backup was ever ``restored``, the ``answers`` of its domains,
    the ``replies`` of its servers, the signs in its ``logs`` by container, and its ``nameless`` domains.

    ``observed`` are the containers as the observation has them: only an environment's own ones are asked.
    """
    looks = _Looks()
    found: dict[str, Any] = {
        "clock": time.time(),
        "memory": looks.take("memory", _memory) or {},
        "versions": _versions(engine),
        "environments": {},
    }
    for environment in environments:
        prefix = environment["prefix"]
        own = [container for container in observed if container["labels"].get(PREFIX) == prefix]
        names = {container["name"] for container in own if container["running"]}
        asked = [question for question in environment.get("questions") or () if question["container"] in names]
        prober = Prober(engine, _TIMEOUT)
        found["environments"][prefix] = {
            "left": looks.take("leftovers", _left, prefix, state) or [],
            "restored": looks.take("restores", _restored, prefix, state),
            "answers": _answered(looks.take("domains", prober.requests, list(environment.get("requests") or ()))),
            "replies": looks.take("servers", prober.execute, asked) or [],
            "logs": looks.take("logs", _logs, engine, own) or {},
            "nameless": looks.take("DNS", _nameless, environment.get("requests") or ()) or [],
        }
    return dict(found, failed=looks.failed)


def _answered(answers: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [dict(given, certificate=dates(given["certificate"])) for given in answers or ()]


def _versions(engine: Engine) -> str:
    """Why engine or Compose are not enough; empty if they are."""
    try:
        engine.check_versions()
    except Failure as error:
        return error.message
    return ""


def _memory() -> dict[str, int]:
    with open("/proc/meminfo", encoding="ascii") as stream:
        lines = dict(line.split(":", 1) for line in stream)
    wanted = {"total": "MemTotal", "available": "MemAvailable", "swap": "SwapTotal", "swap_free": "SwapFree"}
    return {name: int(lines[key].split()[0]) * 1024 for name, key in wanted.items()}


def _left(prefix: str, state: str) -> list[str]:
    steps = Journal(Tree(os.path.join(state_directory(state), KEPT, prefix), private=True)).read()
    return [str(step.get("verb")) for step in steps]


def _restored(prefix: str, state: str) -> bool:
    receipts = Registry(state_directory(state)).receipts(prefix)
    return any(receipt.get("what") == "restore" and receipt.get("outcome") == "done" for receipt in receipts)


def _nameless(requests: Iterable[dict[str, Any]]) -> list[str]:
    """The hosts of some requests for which this machine's resolver has no address, or no answer in time."""
    hosts = list(dict.fromkeys(request["host"] for request in requests))[:_DOMAINS]
    known = set()

    def ask(host: str) -> None:
        with contextlib.suppress(OSError, UnicodeError):
            socket.getaddrinfo(host, None)
            known.add(host)

    asking = [threading.Thread(target=ask, args=(host,), daemon=True) for host in hosts]
    for thread in asking:
        thread.start()
    end = time.monotonic() + _RESOLVING
    for thread in asking:
        thread.join(max(0.0, end - time.monotonic()))
    return [host for host in hosts if host not in known]


def _logs(engine: Engine, containers: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    found = {}
    for container in containers[:_CONTAINERS]:
        _code, output, errors = engine.docker("logs", "--tail", _LINES, "--since", _SINCE, container["id"])
        text = "%s\n%s" % (output, errors)
        counts = {name: len(pattern.findall(text)) for name, pattern in _SIGNS.items()}
        found[container["name"]] = {name: count for name, count in counts.items() if count}
    return found
