# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the documentation as a site: the README, the pages of docs, and the reference that antsibull-docs makes.

A link that leads nowhere, a page in no table of contents, and a plugin without documentation end it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import venv
from pathlib import Path

from steps import REPOSITORY, StepFailed, Steps, call_quietly

CACHE = REPOSITORY / ".cache/docs"
SITE = CACHE / "html"
BIN = CACHE / "venv/bin"
SOURCE = CACHE / "source"
HERE = Path(__file__).resolve().parent / "site"
FILES = "https://github.com/aiia/bulkhead/blob/main"

_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
#: What a playbook's first comment says that one types, which may go on in the next line, and the name of its play.
_PLAYBOOK = re.compile(r"^# +(ansible-playbook .*(?:\n#   \[.*)*)(?:\n#.*)*\n- name: (.*)$", re.MULTILINE)


def linked(text: str, folder: Path) -> str:
    """A page of Markdown whose links to files that are no pages lead to the repository."""

    def target(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(folder / match[1]))
        if path.suffix == ".md" and path.parts[:1] == ("docs",):
            return os.path.relpath(path, folder if folder.parts else "docs")
        if not (REPOSITORY / path).exists():
            raise StepFailed(f"{folder}: the link to {match[1]} leads nowhere.")
        return f"{FILES}/{path}"

    return _LINK.sub(target, text)


def playbooks() -> str:
    """A page with every playbook: what it does, and what to type."""
    rows = []
    for path in sorted((REPOSITORY / "playbooks").glob("*.yml")):
        found = _PLAYBOOK.search(path.read_text(encoding="utf-8"))
        if not found:
            raise StepFailed(f"{path.name} does not say above its play what to type.")
        command, name = (" ".join(text.replace("\n#", " ").split()).replace("|", "\\|") for text in found.groups())
        rows.append(f"| {name} | `{command}` |\n")
    return "# Playbooks\n\n| what it does | what to type |\n|---|---|\n" + "".join(rows)


def gather() -> None:
    """Everything that the site is made of, in one directory."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(HERE, SOURCE)
    for page in (REPOSITORY / "docs").rglob("*.md"):
        target = SOURCE / page.relative_to(REPOSITORY / "docs")
        target.parent.mkdir(exist_ok=True)
        folder = page.parent.relative_to(REPOSITORY)
        # The table of rules leads to their pages. Side bars with all of them would take most of the time.
        head = "---\norphan: true\n---\n\n" if folder.name == "rules" and page.name != "README.md" else ""
        target.write_text(head + linked(page.read_text(encoding="utf-8"), folder), encoding="utf-8")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (SOURCE / "start.md").write_text(linked(readme, Path()), encoding="utf-8")
    (SOURCE / "playbooks.md").write_text(playbooks(), encoding="utf-8")
    (CACHE / "ansible.cfg").touch()
    reference = SOURCE / "reference"
    reference.mkdir()
    # What this checkout is, and nothing that else is installed; the tool calls the `ansible` that it finds first.
    surroundings = {
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".ansible/collections"),
        "ANSIBLE_CONFIG": str(CACHE / "ansible.cfg"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",
    }
    options = ["--use-current", "--no-indexes", "--squash-hierarchy", "--fail-on-error", "--dest-dir", str(reference)]
    call_quietly([str(BIN / "antsibull-docs"), "collection", *options, "aiia.bulkhead"], surroundings)


def build() -> None:
    """The site, from scratch."""
    shutil.rmtree(SITE, ignore_errors=True)
    options = ["-b", "html", "-q", "--fail-on-warning", "--keep-going"]
    call_quietly([str(BIN / "sphinx-build"), *options, str(SOURCE), str(SITE)], {"PYTHONPATH": ""})


def packages() -> None:
    """The tools, made once for each list of them."""
    wanted = (REPOSITORY / "requirements-docs.txt").read_text(encoding="utf-8")
    stamp = CACHE / "packages"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    venv.create(BIN.parent, clear=True, with_pip=True)
    call_quietly([str(BIN / "python"), "-m", "pip", "install", "-qq", "-r", "requirements-docs.txt"])
    stamp.write_text(wanted, encoding="utf-8")


def main() -> int:
    """Build the site."""
    steps = Steps(3)
    try:
        for title, work in (("Packages", packages), ("Pages and reference", gather), ("Site", build)):
            steps.begin(title)
            work()
            steps.end()
    except StepFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    print(f"The documentation is in {SITE / 'index.html'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
