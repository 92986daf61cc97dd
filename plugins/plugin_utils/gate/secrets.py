# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gate says of secrets: whose password opens whose vault, and which are weak.

No secret of an environment that is not selected is decrypted. That a password opens a file shows in the file's own
checksum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.parsing.vault import EncryptedString, VaultHelper

from ..declaration.inventory import GROUPS, Inventory, holds_seal, place
from ..declaration.model import Declaration
from ..declaration.settings import texts
from ..declaration.templates import is_template
from ..isolation.model import Finding, Severity, Where
from ..isolation.readers.fingerprints import RECORD, salt_of
from ..secrets.audit import weaknesses
from ..secrets.editing import SecretsProblem
from ..secrets.fingerprints import is_salt
from ..secrets.vault import label_of, openers, opens, whole

#: How many vault files of others a password is tried on in one run: 7 ms each. ``audit`` tries all.
TRIED = 25


#: The variables that say what an environment is called, beside its prefix.
_CALLED = ("bulkhead_project", "bulkhead_environment", "bulkhead_database_user", "bulkhead_database_name")


class Vaults:
    """The encrypted texts of every environment of an inventory, unopened, each with where it stands."""

    def __init__(self, inventory: Inventory, declarations: Sequence[Declaration]) -> None:
        self.prefixes = {declaration.group: declaration.prefix for declaration in declarations}
        found = {group: dict(_encrypted(inventory, group)) for group in self.prefixes}
        owners: dict[str, int] = {}
        for texts_of_one in found.values():
            for where in texts_of_one:
                owners[where] = owners.get(where, 0) + 1
        # A file of several environments, such as one of group_vars/all, is none's own.
        self.of = {
            group: {where: text for where, text in own.items() if owners[where] == 1} for group, own in found.items()
        }

    def findings(self, selected: Sequence[str], passwords: Sequence[tuple[str, Any]], tried: int) -> Iterator[Finding]:
        """Yield vault files under another environment's id, and passwords that open two environments' files."""
        for group, own in self.of.items():
            for where, text in own.items():
                yield from self._damaged(group, where, text)
                other = label_of(text)
                if other in self.prefixes and other != group:
                    yield Finding(
                        "foreign-vault-id",
                        Severity.HIGH,
                        (self.prefixes[group],),
                        where,
                        f"{where} is encrypted with the vault id {other}, but belongs to {self.prefixes[group]}: "
                        f"whoever deploys {self.prefixes[other]} can read it",
                        f"give it its own password: ansible-vault rekey --vault-id {other}@prompt --new-vault-id "
                        f"{group}@prompt",
                        (Where(where),),
                    )
        for group in selected:
            yield from self._shared(group, passwords, tried)

    def _damaged(self, group: str, where: str, text: str) -> Iterator[Finding]:
        """A text that no password opens. Of an environment that is not deployed, nothing else would say so."""
        try:
            whole(text)
        except SecretsProblem as problem:
            yield Finding(
                "damaged-vault",
                Severity.MEDIUM,
                (self.prefixes[group],),
                where,
                f"{where} of {self.prefixes[group]} cannot be opened with any password: "
                f"{str(problem).partition('. ')[0]}. {self.prefixes[group]} cannot be deployed until that is mended",
                "take the last whole version (git log -p shows it), and set again what was changed since",
                (Where(where),),
            )

    def _shared(self, group: str, passwords: Sequence[tuple[str, Any]], tried: int) -> Iterator[Finding]:
        own = list(self.of.get(group, {}).values())[:tried]
        mine = [secret for _identity, secret in passwords if secret and any(opens(text, secret) for text in own)]
        others = [
            (other, where, text)
            for other, theirs in self.of.items()
            if other != group
            for where, text in theirs.items()
            # A copy of an own file says nothing of the other's password.
            if "".join(text.split()) not in {"".join(mine.split()) for mine in own}
        ]
        told = set()
        for other, where, text in others[:tried] if mine else ():
            if other not in told and any(openers(text, [("", secret) for secret in mine])):
                told.add(other)
                yield Finding(
                    "shared-vault-password",
                    Severity.HIGH,
                    (self.prefixes[group], self.prefixes[other]),
                    where,
                    f"{where} of {self.prefixes[other]} opens with the vault password of {self.prefixes[group]}: "
                    "whoever deploys one can read the secrets of both",
                    f"lock one of them anew: ansible-playbook aiia.bulkhead.secrets -l {group} "
                    f"-e bulkhead_secret=rekey --vault-id {group}@prompt --vault-id new@prompt",
                    (Where(where),),
                )


def _encrypted(inventory: Inventory, group: str) -> Iterator[tuple[str, str]]:
    """The encrypted files and values of an environment's variables, by where they stand."""
    environment = inventory.environment(group)
    for path in environment.locked:
        yield _shown(path), _text(path)
    for name, value in environment.variables.items():
        if name != GROUPS:
            yield from _inline(str(name), value)


def _inline(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, EncryptedString):
        where = place(value, name)
        yield (
            f"{name} ({where.file}:{where.line})" if where.file else name,
            VaultHelper.get_ciphertext(value, with_tags=False),
        )
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _inline(f"{name}.{key}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _inline(f"{name}.{number}", item)


def _shown(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def readable_secrets(declaration: Declaration) -> dict[str, str]:
    """The secrets of an environment that this run can read."""
    secrets = declaration.values["bulkhead_secrets"]
    return {name: text for name, text in texts(secrets).items() if text and not holds_seal(text)}


def plain_names(inventory: Inventory, group: str) -> list[str]:
    """The names of secrets that stand in the inventory as they are: those that are read without any password."""
    written = inventory.environment(group).variables.get("bulkhead_secrets")
    if not isinstance(written, Mapping):
        return []
    return [
        str(name) for name, value in written.items() if isinstance(value, (str, int, float)) and not is_template(value)
    ]


def weak_secrets(declaration: Declaration, plain: Sequence[str]) -> Iterator[Finding]:
    """Yield what is wrong with the secrets of a selected environment."""
    values, own = readable_secrets(declaration), declaration.values
    names = {declaration.prefix, *(str(own[name]) for name in _CALLED)}
    for found in weaknesses(values, plain, bool(own["bulkhead_protected"]), names):
        yield finding_on(declaration, found.rule, found.severity, found.name, found.message, found.fix)


def usual_salt(fleet: Sequence[Declaration]) -> str:
    """The salt of most environments' fingerprints; empty where there is none."""
    salts = [salt for declaration in fleet if is_salt(salt := salt_of(declaration.values[RECORD]))]
    return Counter(salts).most_common(1)[0][0] if salts else ""


def salt_for(own: Declaration, usual: str) -> str:
    """The salt of an environment's fingerprints: its own, or the usual one."""
    salt = salt_of(own.values[RECORD])
    return salt if is_salt(salt) else usual


def finding_on(declaration: Declaration, rule: str, severity: Severity, name: str, message: str, fix: str) -> Finding:
    """A finding on a secret of an environment, by its name, with where it is written."""
    resource = f"bulkhead_secrets.{name}"
    where = declaration.origins.get(resource) or declaration.origins.get("bulkhead_secrets") or Where(item=resource)
    return Finding(rule, severity, (declaration.prefix,), name, message, fix, (where,))
