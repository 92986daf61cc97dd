# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next command to type: what a run leads to when it ended well, was refused, failed, or was a check only."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .lines import paragraph

#: Of each job that ended well, the playbooks that come next, and what for.
_AFTER = {
    "plan": (("deploy", "", "deploys what was proved"),),
    "deploy": (
        ("verify", "", "probes it again, at any time"),
        ("releases", "", "lists the releases to go back to"),
        ("rollback", "", "goes back to the one before"),
    ),
    "rollback": (("verify", "", "probes it again"), ("releases", "", "lists the releases that are kept")),
    "releases": (("rollback", "-e bulkhead_release=<name>", "goes back to one of them"),),
    "backup": (("backups", "", "lists the backups that are kept"),),
    "backups": (("restore", "-e bulkhead_restore=<name>", "goes back to one of them"),),
    "restore": (("verify", "", "probes it"),),
}

#: What the shell made of ``<(command)``: it is gone with the run, so the password is asked for.
_PIPE = re.compile(r"/(?:dev|proc/self)/fd/|/dev/stdin\Z")
_PIPE_OF_ID = re.compile(rf"(?:^|@)(?:{_PIPE.pattern}).*")

_HOME = re.compile(r"[\w.-]+@~/[\w./-]+")

#: What changes what runs: where one of these fails, what runs now is to be looked at.
_CHANGING = ("converge", "certificates", "rollback", "restore", "service", "maintenance")

#: Actions by which a job is known whose playbook has another name.
_TELLING = {"converge": "deploy", "rollback": "rollback", "restore": "restore", "releases": "releases"}


@dataclass(frozen=True)
class Typed:
    """What was typed: playbooks, inventories, ``-l``, and the options of vaults, each as Ansible has it.

    ``extra`` says that there were variables (``-e``). They may hold what nobody should see, so they are not repeated.
    """

    playbooks: tuple[str, ...] = ()
    inventories: tuple[str, ...] = ()
    limit: str = ""
    vault_ids: tuple[str, ...] = ()
    password_files: tuple[str, ...] = ()
    asks_password: bool = False
    check: bool = False
    extra: bool = False

    @property
    def options(self) -> str:
        """The options that lead to the same environment."""
        words: list[str] = []
        files = tuple(file for file in self.password_files if not _PIPE.match(file))
        for option, values in (
            ("-i", self.inventories),
            ("-l", (self.limit,) if self.limit else ()),
            ("--vault-id", tuple(_PIPE_OF_ID.sub("@prompt", value) for value in self.vault_ids)),
            ("--vault-password-file", files),
        ):
            words += [word for value in values for word in (option, value)]
        return _joined(words + ["-J"] * (self.asks_password or files != self.password_files))

    def command(self, playbook: str, more: str = "") -> str:
        """The command that runs a playbook for the same environment."""
        return " ".join(filter(None, ("ansible-playbook", _joined([playbook]), self.options, more)))

    def job(self, actions: Sequence[str]) -> str:
        """Which job this was, by its actions and the name of its playbook."""
        for action, job in _TELLING.items():
            if action in actions:
                return job
        name = posixpath.basename(self.playbooks[-1]) if self.playbooks else ""
        return name.removesuffix(".yml").removesuffix(".yaml").rpartition(".")[2]

    def again(self, why: str) -> tuple[str, str]:
        """The same command without ``--check``."""
        if self.extra or not self.playbooks:
            return "the same command", f"{why}{', without --check' if self.check else ''}"
        return " ".join(filter(None, ("ansible-playbook", _joined(self.playbooks), self.options))), why


def _joined(words: Iterable[str]) -> str:
    """The words for a shell. A vault's ``@~/`` stays as it was typed: no shell expands it there."""
    return " ".join(word if _HOME.fullmatch(word) else shlex.quote(word) for word in words)


def following(
    typed: Typed, actions: Sequence[str], failed: str = "", unreachable: bool = False
) -> list[tuple[str, str]]:
    """The next commands, each with what it is for. ``actions`` of ours ran; one of them ``failed``."""
    job = typed.job(actions)
    if unreachable:
        where = _joined([typed.limit or "all"])
        inventories = _joined(word for name in typed.inventories for word in ("-i", name))
        ping = " ".join(filter(None, ("ansible", where, inventories, "-m ansible.builtin.ping")))
        return [(ping, "says whether Ansible reaches the machine"), typed.again("once it does")]
    if failed:
        looks = [(typed.command("aiia.bulkhead.services"), "shows what runs now")] if failed in _CHANGING else []
        return [*looks, typed.again("once that is mended")]
    if typed.check:
        return [typed.again("does it for real")]
    unnamed = "" if typed.limit else "-l <environment>"
    return [
        (typed.command(f"aiia.bulkhead.{playbook}", " ".join(filter(None, (unnamed, more)))), why)
        for playbook, more, why in _AFTER.get(job, ())
    ]


def wording(commands: Sequence[tuple[str, str]], width: int) -> str:
    """The next commands for the screen. Those are whole lines, so that they can be copied."""
    lines = ["", "Next:"]
    for command, why in commands:
        beside = f"  {command}  # {why}"
        lines += [beside] if len(beside) <= width else [paragraph(why, width, "  # "), f"  {command}"]
    return "\n".join(lines)
