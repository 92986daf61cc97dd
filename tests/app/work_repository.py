# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository with a work tree, for commits with links, which the demo's repository does not need."""

from __future__ import annotations

import subprocess
from pathlib import Path

DOCKERFILE = 'FROM bulkhead-demo/python:3.13\nCOPY . /context\nCMD ["sleep", "infinity"]\n'


class Repository:
    """A repository whose only branch is main."""

    def __init__(self, path: Path) -> None:
        self.path = path
        subprocess.run(["git", "init", "--quiet", "-b", "main", str(path)], check=True)

    def __str__(self) -> str:
        return str(self.path)

    def commit(self, files: dict[str, str], links: dict[str, str] | None = None, message: str = "More") -> str:
        """Commit files and links (where they lead, by path), in place of what is there. Returns the commit."""
        for name, content in {**files, **(links or {})}.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or path.is_file():
                path.unlink()
            if links and name in links:
                path.symlink_to(content)
            else:
                path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Run git in the work tree."""
        who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
        done = subprocess.run(["git", *who, *arguments], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()
