# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package of an earlier run is used while everything in it is as it was, and never otherwise."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ansible.plugins.loader import module_utils_loader
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import kept_package, package
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.kept_package import KeptPackage

NAME = "ansible_collections.aiia.bulkhead.plugins.modules.verify-ZIP_DEFLATED-none"
OURS = "ansible_collections/aiia/bulkhead/plugins/modules/verify.py"
ANSIBLES = "ansible/module_utils/basic.py"
#: Ansible writes it; there is no such file.
WRITTEN = "ansible_collections/__init__.py"


@pytest.fixture(autouse=True)
def kept_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bytecode is kept in a directory of the test."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A package that Ansible has made."""
    path = tmp_path / NAME
    path.write_bytes(b"a package\nof two lines")
    return path


def keep(made: Path, **more: bytes) -> None:
    """Keep the package, made of the files that are here, of one that Ansible writes, and of more."""
    sources = {name: package.content(name) or b"" for name in (OURS, ANSIBLES, WRITTEN)}
    KeptPackage("verify", "sources").keep(made, {**sources, **more})


def restored(directory: Path, kind: str = "sources") -> bytes | None:
    """The package that Ansible finds."""
    found = KeptPackage("verify", kind).restore(directory)
    path = directory / NAME
    assert found is path.exists()
    return path.read_bytes() if found else None


def kept_files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


def test_a_package_is_kept(made: Path, tmp_path: Path) -> None:
    assert restored(tmp_path / "first") is None
    keep(made)
    assert restored(tmp_path / "second") == made.read_bytes()
    assert restored(tmp_path / "third", "bytecode") is None
    [path] = kept_files(tmp_path)
    assert path.parent.name == "modules" and path.name.startswith("verify.")


@pytest.mark.parametrize("name", [OURS, ANSIBLES])
@pytest.mark.parametrize("now", [b"changed", None])
def test_a_source_that_has_changed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, now: bytes | None
) -> None:
    keep(made)
    monkeypatch.setattr(kept_package, "content", lambda asked: now if asked == name else package.content(asked))
    assert restored(tmp_path / "run") is None


def test_what_ansible_writes_is_of_its_version(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are in no directory, and a file that Ansible writes in another way than it lies here."""
    keep(made, **{"ansible/__init__.py": b"written by Ansible"})
    assert restored(tmp_path / "same") == made.read_bytes()
    monkeypatch.setattr(kept_package, "__version__", "2.99.0")
    assert restored(tmp_path / "other") is None


def test_a_directory_that_replaces_sources(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible takes ``module_utils`` files from such a directory first. It need not have one yet."""
    keep(made)
    own = tmp_path / "module_utils"
    known = module_utils_loader._get_paths(subdirs=False)
    monkeypatch.setattr(module_utils_loader, "_get_paths", lambda **_options: [*known, str(own)])
    assert restored(tmp_path / "without") == made.read_bytes()
    own.mkdir()
    assert restored(tmp_path / "with") is None
    kept_files(tmp_path)[0].unlink()
    keep(made)
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize("damage", ["cut", "zeros", "head", "words", "empty"])
def test_a_damaged_package(made: Path, tmp_path: Path, damage: str) -> None:
    """What is left after a crash or on a full disk."""
    keep(made)
    [path] = kept_files(tmp_path)
    content = path.read_bytes()
    assert json.loads(content.partition(b"\n")[0])["name"] == NAME
    damaged = {
        "cut": content[:-3],
        "zeros": content[:-3] + b"\0\0\0",
        "head": content[5:],
        "words": b'["a", "list"]\n' + content,
        "empty": b"",
    }
    path.write_bytes(damaged[damage])
    assert restored(tmp_path / "run") is None


def test_nothing_is_kept_where_python_keeps_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    keep(made)
    assert kept_files(tmp_path) == []


def test_a_directory_that_cannot_be_written(made: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no directory")
    keep(made)
    assert restored(tmp_path / "run") is None
