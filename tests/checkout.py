# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make ``ansible_collections.aiia.bulkhead`` importable from a checkout, wherever the checkout is.

Ansible itself needs a directory called ``ansible_collections/aiia/bulkhead``; plain Python does not, so neither do
the tests: the package's path is simply the root of the checkout. Collections of others stay importable.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = "ansible_collections.aiia.bulkhead"

#: Tests read Ansible's own display. Those of the display that the checkout's ansible.cfg turns on name that one.
PLAIN_DISPLAY = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}


def _package(name: str, path: list[str]) -> ModuleType:
    """The package of that name with exactly that path, made where there is none."""
    module = sys.modules.get(name)
    if module is None:
        module = sys.modules[name] = ModuleType(name)
    module.__path__ = path
    return module


def install() -> None:
    """Let the checkout be the collection, before any installed one. May be called more than once."""
    loaded = sys.modules.get(COLLECTION)
    if loaded is not None and str(ROOT) in map(str, loaded.__path__):
        return
    try:
        top = importlib.import_module("ansible_collections")
    except ModuleNotFoundError:
        top = _package("ansible_collections", [])
    namespace = _package("ansible_collections.aiia", [])
    collection = _package(COLLECTION, [str(ROOT)])
    # What Ansible's own importer and plugin loaders ask of a collection, in tests that start them.
    collection._collection_meta = {}  # type: ignore[attr-defined]
    for name in ("", ".plugins", *(f".plugins.{kind}" for kind in ("action", "filter", "modules", "test"))):
        folder = ROOT.joinpath(*name.split("."))
        _package(COLLECTION + name, [str(folder)]).__file__ = str(folder / "__synthetic__")
    top.aiia = namespace  # type: ignore[attr-defined]
    namespace.bulkhead = collection  # type: ignore[attr-defined]
