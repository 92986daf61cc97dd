# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive that Galaxy would get: what is in it, what Galaxy's importer says, and that it works once installed.

No network is used.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tarfile
from pathlib import Path

import pytest
from hazards.mutants import NOBODY, Mutant, write
from stages.tools import REPOSITORY, build_archive, copy_collection, run_tool

TOP_LEVEL = {
    *("FILES.json", "LICENSE", "MANIFEST.json", "README.md"),
    *("changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles"),
}
# The importer ends well in spite of warnings, and when its ansible-lint crashes.
COMPLAINT = "^(WARNING|ERROR|CRITICAL): "


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an empty Ansible configuration, so that nothing of this checkout is found by chance."""
    directory = tmp_path_factory.mktemp("galaxy")
    (directory / "ansible.cfg").touch()
    return directory


@pytest.fixture(scope="module")
def environment(scratch: Path) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(scratch / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(scratch / "installed"),
        "ANSIBLE_HOME": str(scratch / "home"),
        "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": str(scratch / "importer"),
        "GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "true",
        # The importer runs the ansible-doc and ansible-lint that it finds first.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",
    }


@pytest.fixture(scope="module")
def archive(scratch: Path, environment: dict[str, str]) -> Path:
    tree = copy_collection(scratch / "source")
    # Secrets that a checkout in use contains must not be published.
    for stray in (".demo-secrets/staging.vault-password", "inventories/eduaiia/group_vars/staging/vault.yml"):
        (tree / stray).parent.mkdir(parents=True, exist_ok=True)
        (tree / stray).write_text("a secret\n", encoding="utf-8")
    return build_archive(tree, scratch, environment)


@pytest.fixture(scope="module")
def installed(archive: Path, scratch: Path, environment: dict[str, str]) -> Path:
    install = [tool("ansible-galaxy"), "collection", "install", str(archive), "-p", str(scratch / "installed")]
    run_tool("galaxy-install", [*install, "--offline"], environment, scratch)
    return scratch / "installed/ansible_collections/aiia/bulkhead"


def test_contents(archive: Path) -> None:
    """What users need, and nothing else."""
    with tarfile.open(archive) as opened:
        paths = {member.name for member in opened.getmembers() if member.isfile()}
    assert {path.partition("/")[0] for path in paths} == TOP_LEVEL
    assert {path for path in paths if path.startswith("changelogs/")} == {"changelogs/changelog.yaml"}
    inventories = {path.split("/")[1] for path in paths if path.startswith("inventories/")}
    assert inventories == {"eduaiia"}
    assert not [path for path in paths if Path(path).name in ("vault.yml", "staging.vault-password")]


def test_importer(archive: Path, scratch: Path, environment: dict[str, str]) -> None:
    """Galaxy takes it, and neither its own checks nor its ansible-lint complain."""
    output = run_tool(
        "galaxy-importer", [sys.executable, "-m", "galaxy_importer.main", str(archive)], environment, scratch
    )
    assert not re.findall(f"{COMPLAINT}.*", output, re.MULTILINE), output
    assert "Traceback" not in output, output
    assert re.search(r"^Linting collection via ansible-lint \d", output, re.MULTILINE), output
    assert "Importer processing completed successfully" in output


def test_documentation(installed: Path, scratch: Path, environment: dict[str, str]) -> None:
    """ansible-doc finds every module, the roles and the callback."""
    for kind, path, pattern in (
        ("module", "plugins/modules", "[a-z]*.py"),
        ("role", "roles", "[a-z]*"),
        ("callback", "plugins/callback", "[a-z]*.py"),
    ):
        command = [tool("ansible-doc"), "--list", "--type", kind, "--json", "aiia.bulkhead"]
        listed = json.loads(run_tool(f"galaxy-doc-{kind}", command, environment, scratch))
        assert set(listed) == {f"aiia.bulkhead.{source.stem}" for source in (REPOSITORY / path).glob(pattern)}


def test_plan(installed: Path, scratch: Path, environment: dict[str, str]) -> None:
    """Once installed, it judges a fleet without the checkout."""
    inventory = write(Mutant("clean", NOBODY), scratch)
    command = [tool("ansible-playbook"), "aiia.bulkhead.plan", "-i", str(inventory)]
    output = run_tool("galaxy-plan", command, environment, scratch)
    assert re.search(r"failed=0 ", output), output


def test_one_line_turns_the_story_on(installed: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """In a directory that holds an inventory and nothing else but that line; every playbook is found from there."""
    inventory = write(Mutant("clean", NOBODY), tmp_path)
    configuration = tmp_path / "ansible.cfg"
    configuration.write_text("[defaults]\nstdout_callback = aiia.bulkhead.story\n", encoding="utf-8")
    variables = {**environment, "ANSIBLE_CONFIG": str(configuration), "LANG": "C.UTF-8"}
    # The tests name Ansible's own display in a variable, which goes before a configuration.
    playbook = ["env", "-u", "ANSIBLE_STDOUT_CALLBACK", tool("ansible-playbook"), "-i", str(inventory)]
    output = run_tool("galaxy-story", [*playbook, "aiia.bulkhead.plan"], variables, tmp_path)
    assert re.search(r"^✓ localhost: .*, 1 step, nothing changed$", output, re.MULTILINE), output
    assert "ansible-playbook aiia.bulkhead.deploy" in output
    names = sorted(f"aiia.bulkhead.{path.stem}" for path in (REPOSITORY / "playbooks").glob("*.yml"))
    run_tool("galaxy-playbooks", [*playbook, "--syntax-check", *names], variables, tmp_path)
