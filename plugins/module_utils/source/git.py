# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""git as the owner of an environment runs it: hermetically, without prompts, with the repository's credentials. Runs on
the targets."""

from __future__ import annotations

import os
import pwd
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..core.errors import Failure, last_lines
from ..core.handles import user_name
from ..core.process import home_directory, run_command
from .access import SSH, DeployKey, nameless
from .remedies import remedy
from .values import split_credentials, without_credentials

#: What git may speak, whatever the configuration says. Submodules, which commits name, may speak https and ssh only.
_PROTOCOLS = [
    word
    for name, policy in (("allow", "never"), ("https.allow", "always"), ("ssh.allow", "always"))
    + (("http.allow", "user"), ("file.allow", "user"))
    for word in ("-c", "protocol.%s=%s" % (name, policy))
]

#: A network that swallows everything would else hold the environment's lock for ever; see also SSH.
_NO_STALLS = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=120")


class GitError(Failure):
    """The user has to fix something about the repository or the checkout."""


class Git:
    """git for one repository, run as ``owner``."""

    def __init__(
        self, module: AnsibleModule, repository: str, owner: str = "", credentials: str | DeployKey = ""
    ) -> None:
        self.module = module
        self.repository, from_url = split_credentials(repository)
        self.owner = owner if owner and os.getuid() == 0 and pwd.getpwnam(owner).pw_uid != 0 else ""
        self._credentials = credentials or from_url

    def _as_owner(self) -> list[str]:
        """What begins a command so that it runs as the owner."""
        return ["runuser", "-u", self.owner, "--"] if self.owner else []

    def _home(self) -> str:
        """The home directory of the user who runs git."""
        return pwd.getpwnam(self.owner).pw_dir if self.owner else home_directory()

    def _reason(self, errors: str, count: int = 3) -> str:
        """Why git could not read a repository, and what to do about it on this machine, without credentials."""
        who = self.owner or user_name(os.getuid())
        key = self._credentials if isinstance(self._credentials, DeployKey) else None
        hosts = bool(key and key.known_hosts)
        advice = remedy(errors, self.repository, who, self._home(), bool(key), hosts)
        said = without_credentials(last_lines(errors, count))
        return "%s\n%s" % (said, advice[:1].upper() + advice[1:]) if advice else said

    def run(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run git, in the directory ``cwd`` if given, with the open files ``pass_fds`` and the command ``ssh``. Returns
        (exit code, output, errors)."""
        variables = {
            "HOME": self._home(),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": options.get("ssh") or SSH,
            "GIT_ADVICE": "0",
        }
        command = ["/usr/bin/env", "-i"] + ["%s=%s" % item for item in sorted(variables.items())]
        command = [*self._as_owner(), *command]
        directory = ["-C", options["cwd"]] if options.get("cwd") else []
        command += ["git", *_PROTOCOLS, *_NO_STALLS, *directory, *args]
        return run_command(self.module, "git", command, GitError, pass_fds=options.get("pass_fds", ()))

    def run_remote(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run git with the repository's credentials in a file without a name, of which a killed run leaves nothing."""
        if not self._credentials:
            return self.run(*args, **options)
        uid = pwd.getpwnam(self.owner).pw_uid if self.owner else os.getuid()
        if isinstance(self._credentials, DeployKey):
            with self._credentials.opened(uid) as (ssh, descriptors):
                return self.run(*args, ssh=ssh, pass_fds=descriptors, **options)
        with nameless(self._credentials, uid) as descriptor:
            store = "credential.helper=store --file=/proc/self/fd/%d" % descriptor
            return self.run("-c", "credential.helper=", "-c", store, *args, pass_fds=(descriptor,), **options)
