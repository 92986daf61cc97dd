# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of ``.env`` under the names by which an application calls them (``bulkhead_env_names``)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from ..declaration.checks import check_setting
from ..declaration.model import Declaration
from ..isolation.model import SEAL
from .writers import DotenvLine

#: A setting that is put together for applications that want it, and the settings that it is made of.
DATABASE_URL = "DATABASE_URL"
_PARTS = ("DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT", "DB_NAME")


def with_own_names(declaration: Declaration, lines: Sequence[DotenvLine]) -> list[DotenvLine]:
    """The lines of ``.env`` with the names of the application, and problems for names that cannot be.

    A setting has one name: the new one takes the place of ours.
    """
    wanted: Mapping[str, str] = {
        str(ours): str(theirs) for ours, theirs in declaration.values["bulkhead_env_names"].items()
    }
    known = {line.key: line for line in lines}
    if DATABASE_URL in wanted and DATABASE_URL not in known and set(_PARTS) <= set(known):
        known[DATABASE_URL] = _database_url(known)
    found: dict[str, DotenvLine] = {}
    for line in known.values():
        name = wanted.get(line.key, line.key)
        if name != line.key:
            check_setting(declaration, "bulkhead_env_names", name, line.value)
        if name in found:
            other = next((ours for ours, theirs in wanted.items() if theirs == name and ours != line.key), name)
            declaration.problem(
                "setting-twice",
                "bulkhead_env_names",
                f"with bulkhead_env_names both {other} and {line.key} are called {name}; which one counts is a guess",
                "choose another name for one of the two",
            )
        found[name] = DotenvLine(name, line.value, line.secret, line.variable)
    for ours in wanted:
        if ours not in known:
            close = difflib.get_close_matches(ours, known, 1)
            hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(sorted(known))}."
            declaration.problem(
                "unknown-setting",
                "bulkhead_env_names",
                f"bulkhead_env_names gives {ours} another name, and .env has no {ours}.{hint}",
                "name a setting that is in .env, or take the line away",
                resource=f"bulkhead_env_names.{ours}",
            )
    return list(found.values())


def _database_url(known: Mapping[str, DotenvLine]) -> DotenvLine:
    """The database as one URL (RFC 3986), as libpq and most libraries read it."""
    values = [known[part].value for part in _PARTS]
    user, password, host, port, name = (quote(value, safe="") for value in values)
    # A seal stays whole, so that it is known as one.
    sealed = any(SEAL in value for value in values)
    url = SEAL if sealed else f"postgresql://{user}:{password}@{host}:{port}/{name}"
    return DotenvLine(DATABASE_URL, url, True, "bulkhead_services")
