# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment's text file for the textfile collector of node_exporter. Runs on the targets, without Ansible too.

A deployment says where the file is. Root keeps that and what is known so far in ``<state directory>/metrics/``, so that
a scheduled backup or renewal brings its own number up to date and knows nothing else. One that cannot be written fails
nobody: it is about the work, and not the work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.errors import Failure
from ..core.json_with_digest import dump
from .registry import state_directory

#: Below the state directory: ``<prefix>.json`` for each environment that has a file.
FOLDER = "metrics"

_INFO = "bulkhead_environment_info"

#: Each metric with its help. All environments' files say the same, as the collector demands.
HELP = {
    _INFO: "What is deployed; always 1.",
    "bulkhead_release_timestamp_seconds": "When the release in force was deployed.",
    "bulkhead_healthy": "Whether every service was well when it was last looked at.",
    "bulkhead_drift": "How many things differed from the last deployment when it was last looked at.",
    "bulkhead_observed_timestamp_seconds": "When health and drift were last looked at.",
    "bulkhead_backup_timestamp_seconds": "When the newest complete backup was made.",
    "bulkhead_certificate_expiry_timestamp_seconds": "When the certificate ends.",
}

#: What labels of the info metric say.
LABELS = ("project", "environment", "release", "commit")


def file_name(prefix: str) -> str:
    """The name of an environment's file in the collector's directory."""
    return "bulkhead_%s.prom" % prefix


def exposition(prefix: str, known: Mapping[str, Any]) -> str:
    """The file's text: each metric of which something is known, in Prometheus's text format."""
    lines = []
    for name, text in HELP.items():
        value = 1 if name == _INFO else known.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        labels = {"prefix": prefix}
        if name == _INFO:
            labels.update((label, str(known.get(label) or "")) for label in LABELS)
        pairs = ",".join('%s="%s"' % (label, _escaped(said)) for label, said in labels.items())
        lines += ["# HELP %s %s" % (name, text), "# TYPE %s gauge" % name, "%s{%s} %s" % (name, pairs, _number(value))]
    return "".join("%s\n" % line for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return "%d" % value if value == int(value) else repr(float(value))


class Metrics:
    """The file of one environment."""

    def __init__(self, prefix: str, state: str = "") -> None:
        self.prefix = prefix
        self._kept = Tree(os.path.join(state_directory(state), FOLDER), private=True, inner=0o700)
        self._json = "%s.json" % prefix

    @property
    def exists(self) -> bool:
        """Whether a deployment asked for a file."""
        try:
            return bool(self._read())
        except Failure:
            return False

    def bring(self, directory: str, known: Mapping[str, Any]) -> str:
        """Write the file in a directory, or have none where that is empty. Returns why it failed, if it did."""
        try:
            before = self._read()
            if before and before["directory"] != directory:
                self._remove(before)
            if directory:
                self._write({**(before.get("known") or {}), **known}, directory)
        except Failure as error:
            return "the metrics of %s cannot be written: %s" % (self.prefix, error.message)
        return ""

    def note(self, **known: float) -> str:
        """Bring single values up to date, if the environment has a file. Returns why it failed, if it did."""
        try:
            before = self._read()
        except Failure as error:
            return error.message
        return self.bring(before["directory"], known) if before else ""

    def remove(self) -> str:
        """Remove the file, and what is kept of it."""
        return self.bring("", {})

    def _write(self, known: Mapping[str, Any], directory: str) -> None:
        with self._kept.locked("%s.lock" % self.prefix):
            self._kept.write(DesiredFile(self._json, dump({"directory": directory, "known": dict(known)}), 0o600))
            # The collector runs as another user.
            text = exposition(self.prefix, known).encode("utf-8", "replace")
            Tree(directory).write(DesiredFile(file_name(self.prefix), text, 0o644))

    def _remove(self, before: Mapping[str, Any]) -> None:
        Tree(before["directory"]).unlink(file_name(self.prefix))
        self._kept.unlink(self._json)
        self._kept.unlink("%s.lock" % self.prefix)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads((self._kept.read(self._json) or b"{}").decode())
        except ValueError:
            return {}
        usable = isinstance(found, dict) and isinstance(found.get("directory"), str) and found["directory"]
        return found if usable else {}
