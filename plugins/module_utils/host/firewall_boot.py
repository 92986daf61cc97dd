# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep a guard over a reboot: a unit of systemd puts it up before the engine starts, else cron does.

The kernel forgets its rules, while networks, bridges' names and containers come back. What runs is a shell script with
the rules as they are, so that nothing but iptables has to work that early. Runs on the targets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..core.directory import DesiredFile, Tree
from ..core.errors import last_lines
from ..docker.engine import Engine
from .firewall_rules import DOCKER_USER, FILTER, FirewallError

#: Where systemd says that it runs, where its units are, and where cron's files are.
SYSTEMD = "/run/systemd/system"
UNITS = "/etc/systemd/system"
CRON = "/etc/cron.d"
#: Where the scripts are. Not in the state directory, which may be configured: whoever owns it would own root's boot.
SCRIPTS = "/etc/bulkhead/guards"
#: One of these exists while a cron daemon runs that knows ``@reboot``.
CRON_RUNS = ("/run/crond.pid", "/run/crond.reboot", "/run/cron.reboot")

_SCRIPT = """#!/bin/sh
# %(prefix)s: written by Bulkhead; changes made here are lost with the next deployment.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# Put up the rules in one table with one family's command, as one transaction, whether or not they are up.
put_up() {
    if [ "$3" = %(docker_user)s ]; then "$1" -w 30 -N %(docker_user)s 2>/dev/null; fi
    {
        echo "*$2"
        echo ":%(chain)s - [0:0]"
        "$1-save" -t "$2" | sed -n '/ -j %(chain)s$/s/^-A/-D/p'
        cat
        echo COMMIT
    } | "$1-restore" -w 30 --noflush || failed=1
}

failed=0
%(calls)sexit "$failed"
"""

_CALL = """put_up %(command)s %(table)s %(parent)s <<'RULES'
%(rules)s
RULES
"""

# firewalld, ufw and others replace the table when they start: the guard comes after them.
_UNIT = """# %(prefix)s: written by Bulkhead; changes made here are lost with the next deployment.
[Unit]
Description=Firewall rules of %(prefix)s
After=local-fs.target firewalld.service ufw.service nftables.service iptables.service netfilter-persistent.service
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh "%(script)s"

[Install]
WantedBy=multi-user.target docker.service
"""

_CRON = """# %(prefix)s: written by Bulkhead; changes made here are lost with the next deployment.
SHELL=/bin/sh
@reboot root /bin/sh '%(script)s'
"""


class RuleSet(NamedTuple):
    """One family's part of a guard: the command, the chain of forwarded traffic that jumps to it, and all lines."""

    command: str
    parent: str
    lines: Sequence[str]
    table: str = FILTER


class BootGuard:
    """What puts up one environment's guard when its machine starts, or what else has a chain (``prefix`` names it)."""

    def __init__(self, engine: Engine, prefix: str, chain: str) -> None:
        self.engine = engine
        self.prefix = prefix
        self.chain = chain
        self.name = "bulkhead-%s-guard" % prefix
        self.unit = os.path.join(UNITS, "%s.service" % self.name)
        self.job = os.path.join(CRON, self.name)
        self.script = os.path.join(SCRIPTS, "%s.sh" % prefix)

    def differs(self, sets: Sequence[RuleSet]) -> bool:
        """Whether these rules would not be put up as they are. Without rules: whether anything is left."""
        wanted = self._files(sets)
        return bool(self._stale(wanted)) or any(_differs(path, file) for path, file in wanted.items())

    def bring(self, sets: Sequence[RuleSet]) -> None:
        """Have the machine put up these rules when it starts; nothing of it is left where there are none."""
        wanted = self._files(sets)
        stale = self._stale(wanted)
        different = [(path, file) for path, file in wanted.items() if _differs(path, file)]
        if not (stale or different):
            return
        if self.unit in stale:
            self._systemctl("disable", os.path.basename(self.unit))
        for path in stale:
            os.unlink(path)
        for path, file in different:
            Tree(os.path.dirname(path)).write(file)
        if self.unit in stale or self.unit in dict(different):
            self._systemctl("daemon-reload")
        if self.unit in dict(different):
            self._systemctl("enable", os.path.basename(self.unit))

    def _stale(self, wanted: Mapping[str, DesiredFile]) -> list[str]:
        return [path for path in (self.unit, self.job, self.script) if path not in wanted and os.path.lexists(path)]

    def _files(self, sets: Sequence[RuleSet]) -> dict[str, DesiredFile]:
        """What is wanted, by path; nothing on a machine that has neither systemd nor a running cron."""
        texts = {"prefix": self.prefix, "script": self.script}
        if not any(part.lines for part in sets):
            return {}
        if os.path.isdir(SYSTEMD):
            starts, text = self.unit, _UNIT % dict(texts, script=self.script.replace("%", "%%"))
        elif os.path.isdir(CRON) and any(map(os.path.exists, CRON_RUNS)):
            starts, text = self.job, _CRON % dict(texts, script=self.script.replace("%", "\\%"))
        else:
            return {}
        return {
            self.script: DesiredFile(
                os.path.basename(self.script), script(self.prefix, self.chain, sets).encode(), 0o700
            ),
            starts: DesiredFile(os.path.basename(starts), text.encode(), 0o644),
        }

    def _systemctl(self, *args: str) -> None:
        code, output, errors = self.engine.tool("systemctl", *args)
        if code != 0 and os.path.isdir(SYSTEMD):
            raise FirewallError("systemctl %s failed" % " ".join(args), last_lines(errors or output))


def script(prefix: str, chain: str, sets: Sequence[RuleSet]) -> str:
    """The shell script that puts up a guard."""
    calls = [
        _CALL
        % {
            "command": part.command,
            "table": part.table,
            "parent": part.parent,
            "rules": "\n".join(part.lines),
        }
        for part in sets
        if part.lines
    ]
    return _SCRIPT % {"prefix": prefix, "chain": chain, "docker_user": DOCKER_USER, "calls": "".join(calls)}


def _differs(path: str, file: DesiredFile) -> bool:
    return Tree(os.path.dirname(path)).differs(file)
