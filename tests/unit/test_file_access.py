# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root reaches files through ``core/handles.py`` alone: it follows no link that another user can exchange.

Every call of a module that touches files is found in the source. What is not listed here, with the reason why no other
user can lead it elsewhere, is forbidden.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"

#: Modules whose functions touch files.
TOUCHING = {"os", "os.path", "shutil", "tempfile", "glob", "tarfile", "io", "pathlib", "zipfile", "gzip", "bz2", "lzma"}

#: Of these, what only computes, or asks about this process.
_PATHS = "abspath basename commonpath dirname isabs join normpath relpath split"
_PROCESS = (
    "close dup fchmod fdopen fsdecode fsencode fstat getegid geteuid getgid getgrouplist getpid getuid killpg lseek "
    "strerror sysconf urandom"
)
HARMLESS = {
    *(f"os.path.{name}" for name in _PATHS.split()),
    *(f"os.{name}" for name in _PROCESS.split()),
    *("io.BytesIO", "io.StringIO", "tarfile.TarInfo", "zipfile.ZipFile", "zipfile.ZipInfo", "shutil.which"),
}

#: The files that work with handles.
BY_HANDLE = {"module_utils/core/handles.py", "module_utils/core/left_behind.py"}

HANDLE = "by a handle, or in the build's own copy"
KERNEL = "the kernel's own files"
STATE = "the state directory, which only root can write: Tree(private=True) or require_ours checks it"
OURS = "a directory that require_ours checked: only root can write on the way to it"
NO_CONTENT = "says whether or where something is, to be judged: nothing is opened"
ROOTS = "root's own places: /etc, /run, /usr"
ENGINE = "files of the build's engine, which only root can write"
BUILD = "the build's own copy of the commit, which only root can write"
TEMPORARY = "a file or directory of a random name, made by this process for itself in a sticky directory"
MEMORY = "no file: a stream or memory"

ALLOWED: dict[str, dict[str, str]] = {
    "module_utils/docker/compose_plugin.py": {
        "open": f"{ROOTS}, and the home directory of whoever this runs as", "os.access": NO_CONTENT,
        "os.path.lexists": NO_CONTENT,
    },
    "module_utils/operations/examine.py": {"open": KERNEL},
    "module_utils/core/meanwhile.py": {"tempfile.TemporaryFile": TEMPORARY, "os.pread": TEMPORARY},
    "module_utils/core/notice.py": {
        "os.open": "on the controller: a new file in the run's own private directory",
        "os.rename": "on the controller: in the run's own private directory",
    },
    "module_utils/release/validation.py": {
        "tempfile.TemporaryDirectory": TEMPORARY, "os.path.isfile": TEMPORARY, "open": TEMPORARY,
    },
    "module_utils/backup/copy_off.py": {
        "os.stat": NO_CONTENT, "os.listdir": OURS, "os.path.isfile": OURS, "os.listxattr": OURS, "os.removexattr": OURS,
        "os.setxattr": OURS, "os.chmod": OURS,
    },
    "module_utils/backup/create.py": {
        "os.makedirs": OURS, "os.chmod": OURS, "os.open": OURS, "os.statvfs": OURS, "os.listdir": OURS,
        "os.mkdir": OURS, "os.rename": OURS, "shutil.rmtree": OURS, "os.path.getsize": OURS, "os.fsync": OURS,
    },
    "module_utils/backup/decryption.py": {"open": OURS, "os.path.getsize": OURS, "os.path.isfile": OURS},
    "module_utils/backup/encryption.py": {
        "os.makedirs": OURS, "os.listdir": OURS, "os.open": OURS, "open": OURS, "tempfile.TemporaryFile": TEMPORARY,
    },
    "module_utils/backup/files.py": {"tarfile.open": OURS},
    "module_utils/release/front_door.py": {
        "os.path.isdir": NO_CONTENT, "os.listdir": ROOTS, "shutil.rmtree": ROOTS,
    },
    "module_utils/backup/manifest.py": {
        "os.open": OURS, "os.fsync": OURS, "os.path.isdir": OURS, "os.listdir": OURS, "os.rename": OURS,
        "shutil.rmtree": OURS,
    },
    "module_utils/backup/recovery.py": {"os.path.lexists": OURS, "os.unlink": OURS},
    "module_utils/backup/restore.py": {"os.path.isdir": OURS},
    "module_utils/backup/schedule.py": {
        "os.path.lexists": ROOTS, "os.unlink": ROOTS, "os.path.exists": ROOTS, "os.path.isdir": ROOTS,
        "os.access": ROOTS,
    },
    "module_utils/stack/doors.py": {"shutil.rmtree": ROOTS},
    "module_utils/stack/rollout.py": {"os.path.isdir": NO_CONTENT, "tempfile.TemporaryDirectory": TEMPORARY},
    "module_utils/certificates/challenge.py": {"os.path.isdir": NO_CONTENT},
    "module_utils/certificates/pem.py": {"os.memfd_create": MEMORY},
    "module_utils/core/directory.py": {
        "os.rmdir": HANDLE, "os.symlink": HANDLE, "os.readlink": HANDLE,
    },
    "module_utils/core/places.py": {"os.lstat": NO_CONTENT},
    "module_utils/core/process.py": {
        "tempfile.TemporaryFile": TEMPORARY, "open": KERNEL, "os.listdir": KERNEL, "os.path.samefile": NO_CONTENT,
    },
    "module_utils/docker/containers.py": {"os.path.realpath": NO_CONTENT},
    "module_utils/edge/machine.py": {"os.path.exists": KERNEL},
    "module_utils/edge/moving.py": {"os.path.exists": KERNEL},
    "module_utils/edge/no_links.py": {
        "os.path.isdir": ROOTS, "os.makedirs": ROOTS, "os.lstat": NO_CONTENT, "os.chmod": ROOTS,
    },
    "module_utils/host/capacity.py": {
        "os.path.isdir": NO_CONTENT, "os.stat": NO_CONTENT, "os.statvfs": NO_CONTENT, "open": KERNEL,
        "os.path.isfile": KERNEL, "glob.iglob": NO_CONTENT, "glob.escape": NO_CONTENT,
    },
    "module_utils/host/facts.py": {
        "os.stat": NO_CONTENT, "os.path.isdir": NO_CONTENT, "os.path.isfile": NO_CONTENT,
        "os.path.realpath": NO_CONTENT,
        "glob.glob": NO_CONTENT, "glob.escape": NO_CONTENT, "open": ROOTS,
    },
    "module_utils/host/firewall.py": {"os.path.isdir": KERNEL, "open": KERNEL},
    "module_utils/host/firewall_boot.py": {"os.path.isdir": ROOTS, "os.path.lexists": ROOTS, "os.unlink": ROOTS},
    "module_utils/host/mounts.py": {"open": KERNEL, "os.readlink": KERNEL},
    "module_utils/host/observation.py": {"os.path.realpath": NO_CONTENT},
    "module_utils/host/sockets.py": {"open": KERNEL, "glob.iglob": KERNEL, "os.readlink": KERNEL},
    "module_utils/image/build.py": {"open": BUILD},
    "module_utils/image/build_files.py": {
        "os.makedirs": OURS, "os.listdir": OURS, "tempfile.mkdtemp": OURS, "shutil.rmtree": OURS, "open": OURS,
        "os.mkdir": OURS, "os.path.isdir": BUILD, "os.path.isfile": BUILD, "os.scandir": BUILD,
    },
    "module_utils/image/builder.py": {
        "os.makedirs": OURS, "os.open": OURS, "open": OURS, "os.stat": OURS, "os.statvfs": OURS, "os.scandir": OURS,
        "os.rename": OURS, "os.unlink": OURS, "os.path.exists": OURS, "os.path.getsize": OURS, "os.path.isdir": OURS,
        "os.path.realpath": OURS, "shutil.rmtree": OURS, "os.mkdir": ROOTS, "os.readlink": KERNEL,
    },
    "module_utils/image/ca_bundle.py": {"os.path.realpath": NO_CONTENT},
    "module_utils/image/cgroup.py": {
        "os.path.exists": KERNEL, "os.path.isdir": KERNEL, "os.makedirs": KERNEL, "os.scandir": KERNEL,
        "os.walk": KERNEL, "os.rmdir": KERNEL, "open": KERNEL,
    },
    "module_utils/image/layers.py": {
        "open": ENGINE, "gzip.open": ENGINE, "os.open": HANDLE, "tarfile.open": MEMORY,
    },
    "module_utils/image/transfer.py": {"tarfile.open": MEMORY},
    "module_utils/image/uplink.py": {"os.path.exists": KERNEL, "open": KERNEL + ", and /etc/resolv.conf"},
    "module_utils/operations/destroy.py": {
        "os.path.isdir": STATE, "os.path.isfile": STATE, "os.listdir": STATE, "shutil.rmtree": STATE, "os.unlink": OURS,
    },
    "module_utils/operations/services.py": {"os.memfd_create": MEMORY},
    "module_utils/probe/layer.py": {
        "os.path.isdir": NO_CONTENT, "os.fwalk": HANDLE, "os.lstat": HANDLE,
    },
    "module_utils/probe/prober.py": {
        "os.path.exists": KERNEL, "tarfile.open": MEMORY, "os.path.isdir": ROOTS, "os.path.realpath": ROOTS,
    },
    "module_utils/release/adoption.py": {"tempfile.mkdtemp": TEMPORARY},
    "module_utils/release/copied.py": {"os.path.realpath": NO_CONTENT},
    "module_utils/release/keys.py": {"os.path.realpath": NO_CONTENT},
    "module_utils/release/preconditions.py": {"os.path.realpath": NO_CONTENT},
    "module_utils/source/access.py": {"os.memfd_create": MEMORY, "os.fchown": MEMORY},
    "module_utils/source/checkout.py": {
        "tempfile.mkdtemp": TEMPORARY, "os.chown": TEMPORARY, "shutil.rmtree": TEMPORARY, "os.path.isfile": NO_CONTENT,
    },
    "module_utils/source/context.py": {
        "os.open": HANDLE, "os.listdir": HANDLE, "os.mkdir": HANDLE, "os.readlink": HANDLE, "os.stat": HANDLE,
        "os.symlink": HANDLE, "os.path.islink": BUILD,
    },
    "module_utils/state/directories.py": {"os.path.realpath": NO_CONTENT, "os.path.isdir": NO_CONTENT},
    "module_utils/state/format.py": {"os.path.isdir": STATE, "os.rename": STATE, "os.unlink": STATE},
    "module_utils/state/registry.py": {"os.path.realpath": NO_CONTENT},
    "module_utils/swarm/look.py": {"glob.glob": KERNEL, "open": KERNEL},
    "module_utils/swarm/reach.py": {
        "os.open": KERNEL, "os.chdir": ROOTS, "os.dup2": MEMORY, "os.fork": MEMORY, "os.setsid": MEMORY,
        "os.wait": MEMORY, "os._exit": MEMORY,
    },
}  # fmt: skip


def calls(text: str) -> Iterator[str]:
    """The calls of a source that touch files: ``open``, and functions of the modules above under any name."""
    tree = ast.parse(text)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        first, dot, rest = called.partition(".")
        full = names.get(first, first) + dot + rest
        if full in ("open", "io.open") or (full.rpartition(".")[0] in TOUCHING and full not in HARMLESS):
            yield full


def forbidden(file: str, text: str) -> list[str]:
    """The calls of a file that nobody allowed."""
    return [] if file in BY_HANDLE else sorted({*calls(text)} - {*ALLOWED.get(file, {})})


def sources() -> list[Path]:
    return [path for part in ("module_utils", "modules") for path in sorted((PLUGINS / part).rglob("*.py"))]


def test_files_are_reached_by_handles() -> None:
    found = {}
    for path in sources():
        file = path.relative_to(PLUGINS).as_posix()
        found[file] = forbidden(file, path.read_text(encoding="utf-8"))
    assert {file: names for file, names in found.items() if names} == {}


def test_the_list_has_nothing_that_is_gone() -> None:
    for file, allowed in ALLOWED.items():
        assert {*allowed} <= {*calls((PLUGINS / file).read_text(encoding="utf-8"))}, file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open('x')", ["open"]),
        ("import os\nos.chmod('x', 1)", ["os.chmod"]),
        ("import os as o\no.path.exists('x')", ["os.path.exists"]),
        ("from os import chown\nchown('x', 1, 1)", ["os.chown"]),
        ("from os.path import isfile as there\nthere('x')", ["os.path.isfile"]),
        ("import shutil\nshutil.move('a', 'b')", ["shutil.move"]),
        ("from pathlib import Path\nPath('x')", ["pathlib.Path"]),
        ("import os\nos.path.join('a', 'b')", []),
    ],
)
def test_every_way_to_a_file_is_seen(text: str, expected: list[str]) -> None:
    assert forbidden("module_utils/new.py", text) == expected
