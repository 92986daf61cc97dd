# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong on a machine, in words for the user, when programs run too. Runs on the targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a scheduled backup runs this without Ansible
    from ansible.module_utils.basic import AnsibleModule


class Failure(Exception):
    """One thing that the user has to mend. ``detail`` holds the last lines of what a tool said about it.

    ``steps`` are what was begun, and ``put_back`` what became of it, where anything was.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.steps: list[str] = []
        self.put_back = ""

    def facts(self) -> dict[str, Any]:
        """What a module's answer says beside message and detail."""
        return {"steps": self.steps, "put_back": self.put_back} if self.steps or self.put_back else {}

    def __str__(self) -> str:
        """The message as it is now: who passes a failure on adds what became of it."""
        return self.message


def last_lines(text: str, count: int = 15) -> str:
    """The last lines of a tool's output, for an error message."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()[-count:])


def run_command(
    module: AnsibleModule, what: str, command: list[str], kind: type[Failure], **options: Any
) -> tuple[int, str, str]:
    """Run a program. Returns (exit code, output, errors).

    Raises a Failure of a kind where the machine cannot run one more (memory, processes, open files): a module would end
    there and then, and whoever began something could not undo it.
    """
    try:
        done: tuple[int, str, str] = module.run_command(
            command, handle_exceptions=False, expand_user_and_vars=False, **options
        )
    except OSError as error:
        raise kind("%s cannot be run on this machine: %s" % (what, error.strerror or error)) from error
    return done
