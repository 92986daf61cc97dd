# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README's way from an empty directory to a deployed application: every command of it, as it is written.

The collection is the installed archive, the application a small one of its own. What a reader must have is replaced:
the server is this machine, the repository and Galaxy are local, and ports and certificates are the test's.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from every_day import every_day
from guide_stack import IMAGES, self_signed
from make_repository import commit
from observe import running
from support import ROOT, SERVER, free_port, remove_project, without_terminal

DOCKERFILE = """\
FROM bulkhead-demo/python:3.13
COPY server.py /srv/
CMD ["python3", "-u", "/srv/server.py"]
"""

#: Needs a server that it may change, and is tested on such ones by the role's own scenario. Typed in its place.
ELSEWHERE = {
    "ansible-playbook aiia.bulkhead.provision": "ansible all -m ansible.builtin.debug -a var=bulkhead_environment",
}


def commands() -> list[str]:
    """The commands of the section, in order; continued lines are one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Your application\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    assert lines and all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def page(name: str) -> str:
    """A page of the documentation."""
    return (ROOT / name).read_text(encoding="utf-8")


#: What differs from run to run in what a deployment shows, and what stands for it.
DIFFERENT = (
    # What tests beside this one run on the same engine is a note.
    (r"▸ (Take the lock [^\n]*)\n(?:(?![▸✓✗]).*\n)*✓ ", r"✓ \1  "),
    (r"\n  note      .*(?:\n {12}.*)*", ""),
    (r"\d+(?:\.\d)? s\b", "1.0 s"),
    (r"\d{4}-\d\d-\d\dT[\d:]+Z", "2026-01-01T00:00:00Z"),
    (r"\d{8}T\d{6}Z", "20260101T000000Z"),
    (r"(?<=Z-)[0-9a-f]{8}\b", "0" * 8),
    (r"\b[0-9a-f]{40}\b", "0" * 40),
    (r"\d+ (claim|name|address|request|container)(?:e?s)?\b", r"1 \1"),
    (r"(?<=kept in   ).*/(?=environments/)", "/var/lib/bulkhead/"),
    (r"(?<=staging@)\S+", "~/.vault/staging"),
)


class Reader:
    """Somebody who types what the README says."""

    def __init__(self, directory: Path, project: str, archive: Path) -> None:
        self.directory = directory / "empty"
        self.directory.mkdir()
        self.project = project
        repository = directory / "shop.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(repository)], check=True)
        commit(repository, "staging", {"Dockerfile": DOCKERFILE, "server.py": SERVER}, "First")
        self.replaced = {
            "collection install aiia.bulkhead": f"collection install --offline {shlex.quote(str(archive))}",
            "bulkhead_project=shop": f"bulkhead_project={project}",
            "git@github.com:example/shop.git": f"file://{repository}",
            "203.0.113.5": "localhost",
        }
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(directory / "home"),
            "LANG": "C.UTF-8",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }
        (directory / "home").mkdir()

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type a command of the README."""
        for old, new in self.replaced.items():
            command = command.replace(old, new)
        return without_terminal(["bash", "-c", command], self.directory, self.environment)

    def as_in_the_docs(self, screen: str) -> str:
        """A screen without what differs from run to run, in words: where lines end depends on that."""
        screen = screen.replace(self.project, "shop")
        for pattern, same in DIFFERENT:
            screen = re.sub(pattern, same, screen)
        return " ".join(screen.split())

    def adapts(self) -> None:
        """Write what is this machine's: free ports, certificates, and where files may lie."""
        for group, domain in (("production", "shop.example.com"), ("staging", "staging.shop.example.com")):
            path = self.directory / f"inventory/group_vars/{group}/main.yml"
            certificate, key = self_signed([domain])
            tls = self.directory.parent / "tls" / group
            tls.mkdir(parents=True)
            (tls / "cert.pem").write_text(certificate)
            (tls / "key.pem").write_text(key)
            text = path.read_text()
            text = re.sub(r"(?<=_port: )\d+", lambda _: str(free_port()), text)
            text = re.sub(r"(?<=certificate_path: ).*", str(tls / "cert.pem"), text)
            text = re.sub(r"(?<=key_path: ).*", str(tls / "key.pem"), text)
            text = re.sub(r"(?<=directory: ).*", str(self.directory.parent / "machine" / group), text)
            path.write_text(text)
        everyone = self.directory / "inventory/group_vars/all/main.yml"
        state = self.directory.parent / "machine-state"
        text = everyone.read_text().replace("\n  web:\n", f"\n  nginx: {IMAGES['nginx']}\n  web:\n")
        everyone.write_text(f"{text}\nbulkhead_state_directory: {state}\n")


@pytest.fixture
def reader(tmp_path: Path, projects: Callable[[], str], archive: Path) -> Iterator[Reader]:
    project = projects()
    yield Reader(tmp_path, project, archive)
    remove_project(project)


def test_every_command_of_the_readme(reader: Reader) -> None:
    """From an empty directory to staging that serves, a page to look at, and one more environment."""
    typed = []
    for command in commands():
        for name, instead in ELSEWHERE.items():
            command = command.replace(name, instead)
        done = reader.types(command)
        typed.append(command)
        if command == "ansible-playbook aiia.bulkhead.new":
            # Without a terminal nobody can be asked: the questions are named, and the next command answers them.
            assert done.returncode != 0 and "bulkhead_domain is not set" in done.stdout, done.stdout
            continue
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        if "bulkhead_domain=" in command:
            reader.adapts()
    assert len(typed) > 9
    assert f"{reader.project}_staging_web" in running(f"{reader.project}_staging")
    assert "Nothing crosses" in (reader.directory / "bulkhead.html").read_text()
    reader.environment.update(ANSIBLE_STDOUT_CALLBACK="aiia.bulkhead.story", COLUMNS="80")
    again = reader.types(next(command for command in typed if "deploy" in command and "--check" not in command))
    assert "7 steps, nothing changed" in again.stdout, again.stdout
    [screen] = [
        block
        for block in re.findall(r"```text\n(.*?)```", page("docs/operations.md"), re.DOTALL)
        if "receipt of shop_staging" in block
    ]
    assert reader.as_in_the_docs(again.stdout) == reader.as_in_the_docs(screen), again.stdout
    given = next(command for command in typed if "deploy" in command and "--check" not in command)
    destroyed = reader.types(f"{every_day()['destroy']} {given.partition('-l staging')[2]} -i inventory")
    assert destroyed.returncode == 0, destroyed.stdout
    assert running(f"{reader.project}_staging") == {}


def test_the_readme_shows_the_inventory_that_is_written(reader: Reader) -> None:
    """The lines of staging's variables are those that the playbook writes."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"# inventory/group_vars/staging/main.yml\n(.*?)```", text, re.DOTALL)
    assert shown
    typed = commands()
    reader.replaced["bulkhead_project=shop"] = "bulkhead_project=shop"
    for command in (typed[0], next(command for command in typed if "bulkhead_domain=" in command)):
        assert reader.types(command).returncode == 0
    written = (reader.directory / "inventory/group_vars/staging/main.yml").read_text()
    assert shown[1].strip() in written
