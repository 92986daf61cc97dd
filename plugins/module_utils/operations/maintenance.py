# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put an environment's maintenance page up or down, and check that nginx answers so. Runs on the targets."""

from __future__ import annotations

import os
import time
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.layout import PAGE
from ..core.steps import Step
from ..docker.engine import EngineError
from ..docker.readiness import pauses
from ..probe.prober import Prober

#: nginx looks for the page at each request; this is for a machine that is busy.
_PATIENCE = 10


class Maintenance:
    """The page of one environment. ``request`` asks the environment's own port for its own domain."""

    def __init__(self, tree: Tree, prober: Prober, request: dict[str, Any]) -> None:
        self.tree = tree
        self.prober = prober
        self.request = request
        self.before = tree.read(PAGE)
        if not tree.is_folder(os.path.dirname(PAGE)):
            raise EngineError("%s is not deployed, so nothing answers with a page. Deploy first" % tree.directory)

    def switch(self, content: bytes, on: bool, check_mode: bool) -> list[Step]:
        """Put the page up or down. Returns what was done, or would be; empty where nothing has to change.

        Raises EngineError where nginx does not answer accordingly; everything is then as it was.
        """
        if on:
            steps = [Step("put up", "maintenance page")] if self.tree.differs(DesiredFile(PAGE, content)) else []
        else:
            steps = [Step("take down", "maintenance page")] if self.before is not None else []
        if check_mode:
            return steps
        if steps:
            self._write(content if on else None)
        seen = self._seen(content, on)
        if seen:
            if steps:
                self._write(self.before)
            raise EngineError("%s. Nothing was changed" % seen)
        return steps

    def _write(self, content: bytes | None) -> None:
        if content is None:
            self.tree.unlink(PAGE)
        else:
            self.tree.write(DesiredFile(PAGE, content))

    def _seen(self, content: bytes, on: bool) -> str:
        """What is wrong with the answer; empty where nothing is."""
        deadline = time.monotonic() + _PATIENCE
        url = "%s://%s" % ("https" if self.request["tls"] else "http", self.request["host_header"])
        pause = pauses()
        while True:
            status, body = self.prober.page(self.request)
            wrong = self._judged(status, body, content if on else self.before, on)
            if not wrong or time.monotonic() > deadline:
                return wrong and "%s %s" % (url, wrong)
            time.sleep(next(pause))

    @staticmethod
    def _judged(status: int, body: bytes, page: bytes | None, on: bool) -> str:
        shown = status == 503 and body == page
        if not status:
            return "does not answer: check whether the nginx container is healthy"
        if on and not shown:
            return (
                "answers with %d instead of the page: the nginx configuration in force does not look for it. "
                "Deploy, and make sure that bulkhead_nginx_template looks for /etc/nginx/traffic/maintenance.html"
                % status
            )
        return "still answers with the page" if shown and not on else ""
