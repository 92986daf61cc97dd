# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the lock of a stack's environment on all nodes while one of them works.

A module renews the lease on its own machine, where it would end two minutes after the last call on all others: a second
run could take the lock there during a long backup, and the first one would fail halfway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ...module_utils.state.locks import RENEWAL
from .forks import beside
from .kept import keep, kept


class StackLease:
    """The leases of one run. ``renew`` renews the one of a host, and returns the module's answer."""

    def __init__(self, prefix: str, renew: Callable[[str], Mapping[str, Any]]) -> None:
        self._prefix = prefix
        self._renew = renew

    def begin(self, moment: float) -> None:
        """Note that every node has given its lock since a moment of :func:`time.monotonic`."""
        keep(self._name, moment)

    @contextmanager
    def kept_on(self, others: Sequence[str]) -> Iterator[None]:
        """Renew the leases of the nodes beside the one that works: before, where that is due, and meanwhile.

        Raises AnsibleActionFail where one of them was lost.
        """
        began = time.monotonic()
        if began - float(kept(self._name) or 0.0) >= RENEWAL:
            lost = self._renewed(others)
            if lost:
                raise AnsibleActionFail(lost)
            self.begin(began)
        # What is lost meanwhile is found by the next call, which is due.
        with beside(lambda: self._renewed(others), RENEWAL):
            yield

    def _renewed(self, others: Sequence[str]) -> str:
        """Renew all leases that can be. Returns what a host says whose lease was lost; empty where all are held."""
        said = ""
        for host in others:
            try:
                answer = self._renew(host)
            except AnsibleError:  # a node that is away gives its lock to nobody else
                continue
            if answer.get("busy"):
                said = said or f"{host}: {answer.get('msg')}"
        return said

    @property
    def _name(self) -> str:
        return f"lease-{self._prefix}"
