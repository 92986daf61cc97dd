# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may import whom. Every import of ``plugins/`` is read from the source; nothing of it is run.

A package is a folder below ``plugins/``, named by its path. What is not allowed here is forbidden.
"""

from __future__ import annotations

import ast
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

HEART = "plugin_utils/isolation"


def _below(folder: str, rows: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Rows whose names lie below a folder; a word that names nothing there stays as it is."""
    packages = {posixpath.normpath(posixpath.join(folder, name)) for name in rows} | {*known}

    def full(word: str) -> str:
        path = posixpath.normpath(posixpath.join(folder, word))
        return path if path in packages or posixpath.dirname(path) in packages - {folder} else word

    return {full(name): " ".join(map(full, allowed.split())) for name, allowed in rows.items()}


#: What each package may import beside Python's library and its own files: packages, single files, and libraries. A row
#: names only what stands above it.
MAY_IMPORT: dict[str, str] = {}

# On the machine, with Python 3.8.
MAY_IMPORT |= _below(
    "module_utils",
    {
        "core": "ansible.module_utils",
        "docker": "core ansible.module_utils",
        "source": "core ansible.module_utils",
        "state": "core ansible.module_utils",
        "probe": "core docker",
        "host": "core docker state",
        "edge": "core docker host state",
        "swarm": "core docker host",
        "image": "core docker host source state",
        "backup": "core docker state",
        "certificates": "backup core docker image state",
        "release": "certificates core docker edge host source state ansible.module_utils",
        "stack": "core docker edge release state swarm",
        "operations": "backup certificates core docker edge host image probe release source state",
        ".": "core state ansible.module_utils",
        "../modules": ". backup certificates core docker edge host image operations probe release source stack state "
        "swarm ansible.module_utils",
    },
    MAY_IMPORT,
)

# The heart: texts and data in, findings out. All its packages stand on the files of its own folder.
MAY_IMPORT |= _below(
    HEART,
    {
        ".": "module_utils/core/words module_utils/docker/labels",
        "readers/compose": ". module_utils/docker/labels yaml",
        "readers/nginx": ".",
        "readers/shell": ".",
        "readers/ansible": ". readers/compose readers/shell",
        "readers": ". readers/ansible readers/compose readers/nginx readers/shell",
        "facts": ". readers readers/ansible readers/compose readers/nginx readers/shell module_utils/core/addresses",
        "containment": ". facts readers/compose",
        "rules": ". containment facts readers readers/ansible readers/nginx readers/shell module_utils/core/addresses",
        "live": ". facts rules module_utils/core/addresses module_utils/core/steps module_utils/docker/labels",
        "report": ". live rules",
    },
    MAY_IMPORT,
)

# On the controller, with Ansible. Of module_utils: single files with what both sides must say alike.
MAY_IMPORT |= _below(
    "plugin_utils",
    {
        "declaration": "isolation isolation/readers/nginx module_utils/docker/reference module_utils/host/guarded "
        "module_utils/source/values ansible jinja2 yaml",
        "release": "declaration isolation isolation/containment isolation/facts isolation/readers/compose "
        "module_utils/core/env_file module_utils/core/masking module_utils/docker/containers "
        "module_utils/docker/labels module_utils/docker/reference module_utils/image/tag "
        "module_utils/release/paths module_utils/release/service "
        "module_utils/source/values module_utils/stack/versions ansible yaml",
        "secrets": "declaration isolation isolation/readers ansible cryptography yaml",
        "gate": "declaration isolation isolation/live isolation/readers isolation/report isolation/rules release "
        "secrets module_utils/core/errors module_utils/core/json_with_digest module_utils/core/masking "
        "module_utils/core/meanwhile module_utils/core/notice module_utils/core/permit module_utils/core/steps "
        "module_utils/core/timestamps "
        "module_utils/docker/labels module_utils/edge/routes module_utils/source/values module_utils/stack/deciding "
        "module_utils/state/locks "
        "ansible cryptography yaml",
        "jobs": "declaration gate isolation isolation/facts isolation/live isolation/report release "
        "module_utils/backup/job module_utils/backup/postgresql module_utils/core/layout module_utils/core/masking "
        "module_utils/core/permit module_utils/core/steps module_utils/docker/labels module_utils/docker/reference "
        "module_utils/edge/routes "
        "module_utils/source/values ansible",
        "isolation_check": "isolation isolation/readers isolation/readers/compose isolation/report isolation/rules "
        "yaml",
        "scaffold": "declaration yaml",
        "adoption": "declaration isolation isolation/facts isolation/readers isolation/readers/nginx isolation/report "
        "isolation/rules isolation_check secrets module_utils/docker/labels module_utils/source/values yaml",
        "swarm": "gate secrets module_utils/core/steps module_utils/docker/engine module_utils/swarm/amend "
        "module_utils/swarm/ports ansible",
        "story": "isolation ansible",
        ".": "",
        "../action": "adoption declaration gate isolation isolation/live isolation/report "
        "isolation_check jobs release scaffold secrets swarm module_utils/backup/job module_utils/core/masking "
        "module_utils/core/steps ansible",
        "../callback": "gate/kept gate/meanwhile isolation secrets/opening story module_utils/core/steps ansible",
        "../filter": "isolation ansible",
        "../test": "isolation ansible",
        "../doc_fragments": "",
    },
    MAY_IMPORT,
)

#: What the heart shares with the code on the machine: constants and plain data, without any I/O.
SHARED_DATA = (
    "module_utils/core/addresses.py",
    "module_utils/core/steps.py",
    "module_utils/core/words.py",
    "module_utils/docker/labels.py",
)

#: Python's modules that the heart may use: each gives the same answer to the same question, and touches nothing.
PURE = frozenset(
    """__future__ bisect collections collections.abc configparser contextlib dataclasses datetime decimal difflib enum
    fnmatch functools hashlib html ipaddress itertools json math operator posixpath re shlex textwrap typing
    unicodedata urllib.parse xml.etree""".split()  # noqa: SIM905 - as a list it would be 25 lines
)
#: What else single files of the heart use of Python.
IMPURE = {
    "plugin_utils/isolation/gc_pause.py": {"gc"},  # keeps the collector out of the way while a fleet is judged
    "plugin_utils/isolation/readers/fingerprints.py": {"secrets"},  # the key of a run's fingerprints
    "plugin_utils/isolation/rules/__init__.py": {"importlib", "pkgutil"},  # every file of the package is a rule's
}
#: Calls by which a program reaches outside of itself, or asks what time it is, without an import.
REACHING = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}
CLOCKS = {"now", "today", "utcnow"}

#: Modules that Python has now and 3.8, on a machine, has not.
NEWER_THAN_3_8 = {"graphlib", "tomllib", "zoneinfo"}

#: What unit tests mirror beside plugins.
BESIDE_PLUGINS = {"app", "roles", "setup", "stages"}


@dataclass(frozen=True)
class Import:
    """One name that a file imports. ``target`` is a file of ours, or the module of a library."""

    file: str
    line: int
    target: str
    name: str
    ours: bool
    for_types: bool = False

    def __str__(self) -> str:
        name = f" ({self.name})" if self.name else ""
        return f"{self.file}:{self.line} imports {self.target}{name}{' for types only' * self.for_types}"


@cache
def imports_of(plugins: Path) -> tuple[Import, ...]:
    """Every import of every file: of modules, inside functions, and under ``TYPE_CHECKING``."""
    return tuple(imported for path in sorted(plugins.rglob("*.py")) for imported in _imports(plugins, path))


def _imports(plugins: Path, path: Path) -> Iterator[Import]:
    file = path.relative_to(plugins).as_posix()
    guarded = {
        inner
        for node in _nodes(path)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, "", False, node in guarded)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                target, name = _target(plugins, path, node, alias.name)
                yield Import(file, node.lineno, target, name, bool(node.level), node in guarded)


def _target(plugins: Path, path: Path, node: ast.ImportFrom, name: str) -> tuple[str, str]:
    """The file or library that ``from … import name`` reads, and the name if it is not the file itself."""
    if not node.level:
        return node.module or "", name
    base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
    inside = None if base.with_suffix(".py").is_file() else _file(base / name)
    target = inside or _file(base) or base
    shown = target.relative_to(plugins) if target.is_relative_to(plugins) else target
    return shown.as_posix(), "" if inside else name


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _file(module: Path) -> Path | None:
    for path in (module.with_suffix(".py"), module / "__init__.py"):
        if path.is_file():
            return path
    return None


def package_of(file: str) -> str:
    """The package in which a file lies."""
    return file.rpartition("/")[0]


# The rules. Each takes the folder of the plugins and yields what is wrong.


def circles_of_files(plugins: Path) -> Iterator[str]:
    """No file is imported by what it imports."""
    ours = [imported for imported in imports_of(plugins) if imported.ours and imported.target != imported.file]
    yield from _circle((imported.file, imported.target, str(imported)) for imported in ours)


def circles_of_packages(plugins: Path) -> Iterator[str]:
    """No package is imported by what it imports."""
    ours = [
        (package_of(imported.file), package_of(imported.target), str(imported))
        for imported in imports_of(plugins)
        if imported.ours
    ]
    yield from _circle(arrow for arrow in ours if arrow[0] != arrow[1])


def circles_of_the_table(_plugins: Path, table: Mapping[str, str] = MAY_IMPORT) -> Iterator[str]:
    """A package may import only what stands above it in the table, so that no circle can be allowed."""
    above: set[str] = set()
    for package, allowed in table.items():
        for name in allowed.split():
            if "/" in name and name not in above and package_of(name) not in above:
                yield f"{package} may import {name}, which does not stand above it"
        above.add(package)


def _circle(arrows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The first circle that arrows make, with an import for each of them."""
    graph: dict[str, set[str]] = {}
    reasons: dict[tuple[str, str], str] = {}
    for start, end, reason in arrows:
        graph.setdefault(start, set()).add(end)
        reasons.setdefault((start, end), reason)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path = error.args[1]  # each is imported by the next
        yield "a circle: " + "; ".join(reasons[later, earlier] for earlier, later in pairwise(path))


def outside_of_the_table(plugins: Path) -> Iterator[str]:
    """Each package imports what the table allows it."""
    files = [path.relative_to(plugins).as_posix() for path in sorted(plugins.rglob("*.py"))]
    for package in sorted({package_of(file) for file in files} - set(MAY_IMPORT)):
        yield f"{package} is not in the table"
    for imported in imports_of(plugins):
        allowed = MAY_IMPORT.get(package_of(imported.file), "").split()
        if imported.ours and imported.target not in files:
            yield f"{imported}, which is no file of ours"
        elif imported.ours and package_of(imported.target) != package_of(imported.file):
            if not {package_of(imported.target), imported.target.removesuffix(".py")}.intersection(allowed):
                yield f"{imported}, which {package_of(imported.file)} may not"
        elif not imported.ours and not _is_python(imported.target):
            if imported.target.startswith("ansible_collections."):
                yield f"{imported}: imports inside the collection are relative"
            elif not any(imported.target == name or imported.target.startswith(f"{name}.") for name in allowed):
                yield f"{imported}, which {package_of(imported.file)} may not"


def _is_python(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def unused_permissions(plugins: Path) -> Iterator[str]:
    """What nobody uses of the table is taken out of it."""
    used: dict[str, set[str]] = {
        package_of(path.relative_to(plugins).as_posix()): set() for path in plugins.rglob("*.py")
    }
    for imported in imports_of(plugins):
        names = used[package_of(imported.file)]
        if imported.ours:
            names |= {package_of(imported.target), imported.target.removesuffix(".py")}
        else:
            names |= {imported.target, imported.target.partition(".")[0], ".".join(imported.target.split(".")[:2])}
    for package in sorted(set(MAY_IMPORT) - set(used)):
        yield f"{package} is in the table, and there is no such package"
    for package, names in used.items():
        for name in MAY_IMPORT.get(package, "").split():
            if name not in names:
                yield f"{package} may import {name}, and does not"


def impure_heart(plugins: Path) -> Iterator[str]:
    """The heart gives the same answer to the same question: no Ansible, no Docker, no file, no clock."""
    for imported in imports_of(plugins):
        if not f"{imported.file}/".startswith(f"{HEART}/"):
            continue
        if imported.ours:
            if not imported.target.startswith((f"{HEART}/", *SHARED_DATA)):
                yield f"{imported}, which is outside of the heart"
        elif imported.target.partition(".")[0] in ("ansible", "ansible_collections"):
            yield f"{imported}, and the heart knows no Ansible"
        elif _is_python(imported.target) and imported.target not in PURE | IMPURE.get(imported.file, set()):
            yield f"{imported}, and the heart may not use that"
    for path in sorted((plugins / HEART).rglob("*.py")):
        file = path.relative_to(plugins).as_posix()
        for node in _nodes(path):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id in REACHING:
                yield f"{file}:{node.lineno} calls {node.func.id}"
            elif isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
                yield f"{file}:{node.lineno} asks a clock ({node.func.attr})"


def missing_on_the_machine(plugins: Path) -> Iterator[str]:
    """What runs on a machine imports Python's library of 3.8, ``ansible.module_utils`` and ``module_utils``."""
    for imported in imports_of(plugins):
        if imported.file.partition("/")[0] not in ("modules", "module_utils"):
            continue
        if imported.ours:
            known = imported.target.startswith("module_utils/")
        elif imported.target.startswith("ansible."):
            known = f"{imported.target}.".startswith("ansible.module_utils.")
        else:
            known = _is_python(imported.target) and imported.target.partition(".")[0] not in NEWER_THAN_3_8
        if not known:
            yield f"{imported}, which a machine does not have"


def newer_syntax(plugins: Path) -> Iterator[str]:
    """What runs on a machine is written in the Python of 3.8."""
    for folder in ("modules", "module_utils"):
        for path in sorted((plugins / folder).rglob("*.py")):
            try:
                ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
            except SyntaxError as error:
                yield f"{path.relative_to(plugins).as_posix()}:{error.lineno}: {error.msg}"


def private_names(plugins: Path) -> Iterator[str]:
    """What begins with an underscore is used in its own file only."""
    for imported in imports_of(plugins):
        name = imported.name or Path(imported.target).stem
        if imported.ours and imported.target != imported.file and _is_private(name):
            yield f"{imported}, which is private"
    for path in sorted(plugins.rglob("*.py")):
        file = path.relative_to(plugins).as_posix()
        modules = {
            alias.asname or alias.name
            for node in _nodes(path)
            if isinstance(node, ast.ImportFrom) and node.level
            for alias in node.names
        }
        for node in _nodes(path):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            if node.value.id in modules and _is_private(node.attr):
                yield f"{file}:{node.lineno} uses {node.value.id}.{node.attr}, which is private"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def stray_tests(plugins: Path) -> Iterator[str]:
    """Unit tests lie where what they test lies."""
    unit = plugins.parent / "tests" / "unit"
    for folder in sorted({path.parent for path in unit.rglob("test_*.py")}):
        place = folder.relative_to(unit)
        if place.parts and place.parts[0] not in BESIDE_PLUGINS and not (plugins / place).is_dir():
            yield f"tests/unit/{place.as_posix()} tests nothing: there is no plugins/{place.as_posix()}"


Rule = Callable[[Path], Iterator[str]]
RULES: tuple[Rule, ...] = (
    circles_of_files,
    circles_of_packages,
    circles_of_the_table,
    outside_of_the_table,
    unused_permissions,
    impure_heart,
    missing_on_the_machine,
    newer_syntax,
    private_names,
    stray_tests,
)
