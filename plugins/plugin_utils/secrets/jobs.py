# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs on one environment's secrets: what each changes in the vault file, and in the fingerprints beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..declaration.settings import setting_problem
from . import files, fingerprints, vault
from .editing import SecretsProblem, SecretsText
from .generate import KINDS, generate, kind_of

#: Django's list of earlier keys that still open sessions, and the key that goes there when it is replaced.
FALLBACKS = {"SECRET_KEY": "SECRET_KEY_FALLBACKS"}

#: The variables of a run; none of them holds a value.
VARIABLES = ("bulkhead_secret_name", "bulkhead_secret_kind", "bulkhead_secret_file")

#: The verbs that need no vault file: values may come from another store.
ANYWHERE = ("audit", "fingerprint")

#: The word that stands for every secret that the stack needs.
ALL = "all"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SEPARATOR = re.compile(r"[\s,\[\]\"']")


@dataclass(frozen=True)
class SecretsJob:
    """What one run wants of an environment's secrets.

    ``needed`` are the names that the environment's stack needs, ``taken`` those of settings that are not secret, each
    with the variable that sets it, ``evaluated`` the secrets as a deployment has them. ``value`` gives the value that
    ``set`` writes. ``passwords`` are the run's vault secrets, ``confirm`` asks for a password once more before a
    file is locked with it.
    """

    directory: Path
    group: str
    needed: Sequence[str]
    passwords: Sequence[tuple[str, Any]]
    name: str = ""
    kind: str = ""
    salt: str = ""
    taken: Mapping[str, str] = field(default_factory=dict)
    evaluated: Mapping[str, str] = field(default_factory=dict)
    value: Callable[[], str] = str
    confirm: Callable[[Any], None] = lambda _password: None

    @property
    def vault(self) -> Path:
        """The vault file."""
        return self.directory / "vault.yml"

    @property
    def fingerprints(self) -> Path:
        """The fingerprints file."""
        return self.directory / "fingerprints.yml"


@dataclass
class JobDone:
    """What a job did, without any value. ``names`` are all secrets, ``steps`` sentences for the screen."""

    names: Sequence[str] = ()
    steps: list[str] = field(default_factory=list)
    changed: bool = False


class _Open:
    """A vault file that is open, and what is to be written."""

    def __init__(self, job: SecretsJob) -> None:
        self.job = job
        self.before = files.read(job.vault)
        self.text, self.password = SecretsText(), None
        if self.before:
            try:
                plain, self.password = vault.opened(self.before, job.passwords, job.group)
                self.text = SecretsText(plain)
            except SecretsProblem as problem:
                raise SecretsProblem(f"{job.vault}: {problem}") from None

    @property
    def values(self) -> Mapping[str, str]:
        return self.text.values

    def put(self, name: str, value: str) -> None:
        self.text = self.text.with_value(name, value)

    def save(self, password: Any = None) -> None:
        """Write the vault file, where anything changed, and then the fingerprints."""
        job = self.job
        changed = ", ".join(self.text.changed_by_yaml())
        if changed:
            raise SecretsProblem(
                f"{job.vault}: {changed} stands there without quotes, and YAML made another text of it (as of 0123, "
                "1.10 or 12:30). Put it into quotes with ansible-vault edit, or set it anew"
            )
        secret = password or self.password or self._first_password()
        files.replace(job.vault, vault.closed(self.text.text, secret, job.group))
        self.record()

    def record(self) -> bool:
        """Write the fingerprints where they are not those of the values; returns whether they were not."""
        return _record(self.job, self.values)

    def _first_password(self) -> Any:
        found = vault.candidates(self.job.passwords, self.job.group)
        if not found:
            group = self.job.group
            raise SecretsProblem(f"there is no password to lock {self.job.vault} with: add --vault-id {group}@prompt")
        self.job.confirm(found[0][1])
        return found[0][1]


def _record(job: SecretsJob, values: Mapping[str, str]) -> bool:
    salt = job.salt or fingerprints.new_salt()
    wanted = fingerprints.written(fingerprints.fingerprints(values, salt), salt)
    if files.read(job.fingerprints) == wanted:
        return False
    files.replace(job.fingerprints, wanted, 0o644)
    return True


def run(verb: str, job: SecretsJob) -> JobDone:
    """Do a job. Raises :class:`SecretsProblem`; then the vault file is as it was."""
    with files.alone(job.directory):
        return VERBS[verb](job)


def _init(job: SecretsJob) -> JobDone:
    """Generate every secret that is needed and missing."""
    file = _Open(job)
    wanted = list(job.needed) + ([_checked(job)] if job.name and job.name not in job.needed else [])
    missing = [name for name in wanted if not file.values.get(name)]
    steps = []
    for name in missing:
        kind = job.kind if name == job.name and job.kind else kind_of(name)
        made = generate(name, kind)
        for other, value in made.items():
            file.put(other, value)
        steps.append(f"{name}: made ({kind})" + "".join(f", and {other}" for other in made if other != name))
        steps += _to_register(name, kind, made)
    if missing or not file.before:
        file.save()
    elif file.record():
        steps.append("fingerprints.yml: made anew")
    kept = [name for name in wanted if name not in missing]
    steps += [f"{name}: kept" for name in kept]
    return JobDone(file.text.names, steps, bool(missing) or len(steps) > len(kept))


def _set(job: SecretsJob) -> JobDone:
    """Give one secret a value of the user's."""
    name, file = _checked(job), _Open(job)
    value = job.value()
    problem = "its value is empty" if not value else setting_problem(name, value)
    if problem:
        raise SecretsProblem(f"{name} cannot be set: {problem}")
    if file.values.get(name) == value and name not in file.text.changed_by_yaml():
        return JobDone(file.text.names, [f"{name}: has this value already"], file.record())
    file.put(name, value)
    file.save()
    return JobDone(file.text.names, [f"{name}: set"], True)


def _rotate(job: SecretsJob) -> JobDone:
    """Generate another value for one secret, or for all that the stack needs."""
    if not job.name:
        raise SecretsProblem(f"say which secret: -e bulkhead_secret_name=<name>, or {ALL} for those of the stack")
    file, steps = _Open(job), []
    names = [name for name in job.needed if name in file.values] if job.name == ALL else [job.name]
    for name in names:
        if name not in file.values:
            raise SecretsProblem(_unknown(name, file.text.names))
        old = file.values[name]
        kind = job.kind or kind_of(name, old)
        made = generate(name, kind)
        for other, value in made.items():
            file.put(other, value)
        steps += [f"{name}: replaced ({kind})", *_to_register(name, kind, made)]
        if name in FALLBACKS and old:
            steps.append(_keep(file, FALLBACKS[name], old))
    if names:
        file.save()
    known = {*names, *FALLBACKS.values()}
    others = [name for name in file.text.names if job.name == ALL and name not in known]
    steps += [
        f"{name}: left as it is; -e bulkhead_secret_name={name} replaces it, if nobody else issued it"
        for name in others
    ]
    return JobDone(file.text.names, [*steps, "these are in force after the next deployment"], bool(names))


def _to_register(name: str, kind: str, made: Mapping[str, str]) -> list[str]:
    """The public half of an ssh key, which is no secret: its server must know it."""
    return [f"{name}: register this key where it is to open: {made[f'{name}_PUBLIC']}"] if kind == "ssh" else []


def _keep(file: _Open, name: str, old: str) -> str:
    """Let the application accept what the old key signed until that is retired."""
    if _SEPARATOR.search(old):
        return f"{name}: not extended, for the old key has a character that separates keys; sessions end"
    file.put(name, old)
    return (
        f"{name}: has the old key, so that sessions go on. End that with -e bulkhead_secret=retire when they are over"
    )


def _retire(job: SecretsJob) -> JobDone:
    """Take out the old keys that a rotation left valid."""
    file = _Open(job)
    found = [name for name in FALLBACKS.values() if name in file.values]
    for name in found:
        file.text = file.text.without(name)
    if found:
        file.save()
    steps = [f"{name}: taken out; the old key opens nothing after the next deployment" for name in found]
    return JobDone(file.text.names, steps or ["there is no old key to retire"], bool(found))


def _show_names(job: SecretsJob) -> JobDone:
    """Say which secrets there are and which are missing."""
    names = _Open(job).text.names
    return JobDone(names, [*names, *(f"{name}: missing" for name in job.needed if name not in names)])


def _fingerprint(job: SecretsJob) -> JobDone:
    """Write the fingerprints of the secrets as a deployment has them, wherever they come from."""
    changed = _record(job, job.evaluated)
    step = "fingerprints.yml: made anew" if changed else "fingerprints.yml: true as it is"
    return JobDone(list(job.evaluated), [step], changed)


def _rekey(job: SecretsJob) -> JobDone:
    """Lock the vault file with another password."""
    password = next((secret for identity, secret in job.passwords if identity == vault.NEW), None)
    if password is None:
        raise SecretsProblem(f"say the password that is to come: --vault-id {vault.NEW}@prompt, beside the present one")
    if not password.bytes:
        raise SecretsProblem("the new password is empty")
    file = _Open(job)
    if not file.before:
        raise SecretsProblem(f"{job.vault} does not exist, so there is nothing to lock anew")
    if vault.opens(file.before, password):
        raise SecretsProblem("the new password is the present one")
    job.confirm(password)
    file.save(password)
    step = f"{job.vault.name}: locked with the new password. Who has an earlier copy still reads it with the old one: "
    return JobDone(file.text.names, [step + "where that password got out, rotate the secrets too"], True)


def mistaken(job: SecretsJob) -> Iterator[str]:
    """The names of secrets in the vault file of which YAML made another text."""
    return _Open(job).text.changed_by_yaml()


#: Every verb that changes or lists; ``audit`` needs the whole inventory.
VERBS: Mapping[str, Callable[[SecretsJob], JobDone]] = {
    "init": _init,
    "set": _set,
    "rotate": _rotate,
    "retire": _retire,
    "show-names": _show_names,
    "fingerprint": _fingerprint,
    "rekey": _rekey,
}


def _checked(job: SecretsJob) -> str:
    """The name of a secret. Raises :class:`SecretsProblem` where it cannot be one."""
    name = job.name
    if not _NAME.match(name):
        said = f"{name!r} is not a name" if name else "there is no name"
        raise SecretsProblem(f"{said}: -e bulkhead_secret_name=<NAME>, of letters, digits and _ only")
    problem = setting_problem(name, "")
    if problem:
        raise SecretsProblem(f"{name} cannot be set: {problem}")
    if name in job.taken:
        raise SecretsProblem(f"{name} is set by {job.taken[name]} already; which of the two counts would be a guess")
    if job.kind and job.kind not in KINDS:
        raise SecretsProblem(f"bulkhead_secret_kind is {job.kind}; use one of {', '.join(KINDS)}")
    return name


def _unknown(name: str, names: Collection[str]) -> str:
    return f"there is no secret {name} to replace. There are: {', '.join(names) or 'none'}"
