# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell a receiver of an event: a webhook, or a command. Used on the controller, as a process of its own that nobody
waits for, and on the targets, at the end of a scheduled job. Needs nothing but Python's library.

A run as a program reads a JSON mapping from its standard input: ``to`` (see :func:`deliver`), ``payload`` and the path
of a file for the ``result``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

#: How often a webhook is tried, the seconds before each try, and the seconds for all of it.
TRIES, PAUSES, TOTAL = 3, (0.0, 0.5, 2.0), 10.0

#: Answers that may be others the next time.
_LATER = (408, 425, 429)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the headers, and with them a token, somewhere else."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def deliver(to: dict[str, Any], payload: dict[str, Any], total: float = TOTAL) -> str:
    """Send a payload to a webhook (``url``, ``headers``) or to a ``command``.

    Returns why it did not arrive, without the address and the headers; empty if it did. It takes ``total`` seconds at
    most, and what a server that drips its answer adds to that.
    """
    body = (json.dumps(payload, sort_keys=True) + "\n").encode()
    if to.get("command"):
        return _run(to["command"], body, total)
    return _post(to["url"], to.get("headers") or {}, body, total)


def _post(url: str, headers: dict[str, str], body: bytes, total: float) -> str:
    if not url.startswith("https://"):
        return "its address is not https"
    opener = urllib.request.build_opener(_NoRedirect)
    end, problem = time.monotonic() + total, "there was no time for it"
    for number in range(TRIES):
        time.sleep(max(0.0, min(PAUSES[number], end - time.monotonic())))
        left = end - time.monotonic()
        if left <= 0:
            break
        sent = {"Content-Type": "application/json", "User-Agent": "bulkhead", **headers}
        try:
            request = urllib.request.Request(url, data=body, headers=sent, method="POST")
            with opener.open(request, timeout=min(left, total / TRIES)):
                return ""
        except urllib.error.HTTPError as error:
            problem = "it answered %d" % error.code
            if error.code < 500 and error.code not in _LATER:
                break
        except (OSError, ValueError) as error:  # a header or an address may be none
            reason = getattr(error, "reason", error)
            problem = "it cannot be reached (%s)" % type(reason if isinstance(reason, Exception) else error).__name__
    return problem


def _run(command: list[str], body: bytes, total: float) -> str:
    try:
        # There is no AnsibleModule here whose run_command could be called.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(
            command,
            input=body,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=total,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return "it did not end within %d s" % total
    except (OSError, ValueError) as error:
        return "it cannot be run: %s" % (getattr(error, "strerror", None) or type(error).__name__)
    return "it ended with exit code %d" % done.returncode if done.returncode else ""


def main() -> None:
    """Deliver what standard input says, and leave the result in the file that it names."""
    given = json.load(sys.stdin)
    problem = deliver(given["to"], given["payload"])
    # Whoever finds the file finds all that is in it.
    aside = "%s.new" % given["result"]
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(problem)
    os.rename(aside, given["result"])


if __name__ == "__main__":
    main()
