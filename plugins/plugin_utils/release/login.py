# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""By which role the application logs in to its database, and who logs in as another.

Each password has a role of its own: while containers are replaced, those with the old password and those with the new
one are both let in. Its name follows from the password alone, so that no run has to remember whose turn it was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from ..declaration.model import Declaration
from ..isolation.model import SEAL
from .definitions import Definition

#: The beginning of a database's URL, behind which a user may stand; what follows that, unless the host has a dot and so
#: is a server elsewhere, which has its own roles; and names of settings that hold a user.
_URL = re.compile(r"postgres[a-z0-9+]*://")
_ON_OWN_SERVER = re.compile(r"(?::[^@/]*)?@(?![^/:?]*\.)")
_NAMED = re.compile(r"(?:DB|PG|DATABASE|POSTGRES|POSTGRESQL)_?USER(?:NAME)?")

#: Hexadecimal digits of a login. They tell 16 bits of a password to whoever can read the names of roles.
_DIGITS = 4


def login_role(wanted: str, user: str, password: str) -> str:
    """The role by which the application logs in: the ``wanted`` one, or the ``user``'s for this password."""
    if wanted:
        return wanted
    if not password or SEAL in password:
        return f"{user}_{'0' * _DIGITS}"  # it is of this form; which one it is cannot be known here
    return f"{user}_{hashlib.sha256(f'{user} {password}'.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGITS]}"


def check_logins(
    declaration: Declaration, definitions: Sequence[Definition], login: str, settings: Mapping[tuple[str, str], str]
) -> None:
    """Note what would log in as the owner of the database, which cannot log in itself.

    ``settings`` are the values of ``.env``, each by where it is set and its name.
    """
    user = declaration.values["bulkhead_database_user"]
    clients = [definition for definition in definitions if "DB_USER" not in definition.settings]
    if login == user or SEAL in user or clients == [*definitions]:
        return  # one login is wanted, nothing is known of it, or the server is not ours
    for where in _as_owner(user, clients, settings):
        declaration.problem(
            "owner-login",
            where.partition(".")[0],
            f"{where} logs in to the database as {user}. That is its owner, which cannot log in: each password has a "
            "login of its own, so that it can be replaced without a refused connection",
            "let the application take DB_USER from its settings (in the environment of a service: ${DB_USER}), or set "
            'bulkhead_database_login: "{{ bulkhead_database_user }}"',
            resource=where,
        )


def _as_owner(user: str, definitions: Sequence[Definition], settings: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Where a setting names the owner as a user."""
    places = [(*place, value) for place, value in settings.items()]
    for definition in definitions:
        given = definition.compose.get("environment")
        if isinstance(given, Mapping):
            name = f"bulkhead_services.{definition.name}.environment"
            places += [(f"{name}.{key}", str(key), str(value)) for key, value in given.items()]
    for where, key, value in places:
        in_url = any(
            value.startswith(user, url.end()) and _ON_OWN_SERVER.match(value, url.end() + len(user))
            for url in _URL.finditer(value)
        )
        if in_url or (value == user and _NAMED.fullmatch(key)):
            yield where
