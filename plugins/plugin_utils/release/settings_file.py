# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of an environment: the lines of ``.env``, with the secrets that its services need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..declaration.checks import check_setting
from ..declaration.model import Declaration
from ..declaration.settings import FOR_BULKHEAD, texts
from ..isolation import naming
from ..isolation.model import SEAL
from .definitions import Definition
from .env_names import with_own_names
from .writers import DotenvLine

#: Secrets that the default stack's templates ask for, as long as the environment's vault is absent or locked.
SEALED_SECRETS = dict.fromkeys(("SECRET_KEY", "DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"), SEAL)


def needed_secrets(
    declaration: Declaration, definitions: Sequence[Definition], secrets: Mapping[str, str]
) -> dict[str, str]:
    """The secrets of an environment, with a seal for those that its services need and that are not to be had here."""
    found = dict(secrets)
    for service in definitions:
        for name in service.secrets:
            if not found.get(name):
                found[name] = SEAL
                said = f"bulkhead_secrets.{name} is empty" if name in secrets else f"bulkhead_secrets has no {name}"
                mend = f"give {name} a value in" if name in secrets else f"add {name} to"
                declaration.lacks(
                    "missing-secret",
                    f"bulkhead_secrets.{name}",
                    f"{said}, and the service {service.name} needs it",
                    f"{mend} bulkhead_secrets, in the vault file of group {declaration.group}",
                )
    return found


def settings_of(
    declaration: Declaration, definitions: Sequence[Definition], secrets: Mapping[str, str]
) -> list[DotenvLine]:
    """The lines of ``.env``: the project's name, what the services bring along, the user's settings, the secrets."""
    values = declaration.values
    found: dict[str, DotenvLine] = {}
    for service in definitions:
        variable = f"bulkhead_services.{service.name}"
        secret = {
            key for key, value in service.settings.items() if any(text and text in value for text in secrets.values())
        }
        found.update({key: DotenvLine(key, value, key in secret, variable) for key, value in service.settings.items()})
    for variable in ("bulkhead_env_shared", "bulkhead_env"):
        found.update({key: DotenvLine(key, text, False, variable) for key, text in texts(values[variable]).items()})
    private = {*FOR_BULKHEAD, *(name for service in definitions for name in service.private)}
    for key, value in secrets.items():
        # A service that keeps a secret to itself may give the application a setting of that name. Of secrets in files,
        # with_secret_files says what is twice.
        if (
            key in found
            and key not in values["bulkhead_secret_files"]
            and not (key in private and found[key].variable.startswith("bulkhead_services."))
        ):
            declaration.problem(
                "setting-twice",
                key,
                f"{key} is in bulkhead_secrets and in {found[key].variable}; which one counts is a guess",
                "keep it in one of the two",
            )
        if key not in private:
            found[key] = DotenvLine(key, value, True, "bulkhead_secrets")
    for setting in found.values():
        if setting.variable.startswith("bulkhead_services"):
            check_setting(declaration, setting.variable, setting.key, setting.value)
    project = DotenvLine(
        "COMPOSE_PROJECT_NAME", naming.project_name(values["bulkhead_prefix"]), False, "bulkhead_prefix"
    )
    return [project, *with_own_names(declaration, list(found.values()))]
