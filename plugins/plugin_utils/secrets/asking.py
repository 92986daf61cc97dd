# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person types at a terminal and nobody sees."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError, AnsiblePromptInterrupt
from ansible.parsing.vault import PromptVaultSecret
from ansible.utils.display import Display

from .editing import SecretsProblem


def asked(prompt: str) -> str:
    """What a person types. Raises :class:`SecretsProblem` where there is no terminal."""
    try:
        answer: Any = Display().prompt_until(f"{prompt}:", private=True)
    except AnsiblePromptInterrupt:
        raise SecretsProblem("interrupted. Nothing was changed") from None
    except AnsibleError:
        raise SecretsProblem(
            "there is no terminal to ask on. Give the value as a file: -e bulkhead_secret_file=<path>, or <(command); "
            "give a vault password as a file, too: --vault-id <group>@<file>"
        ) from None
    return bytes(answer).decode("utf-8", "surrogateescape")


def confirm(password: Any, group: str) -> None:
    """Ask once more for a password that was typed: a slip would lock the secrets for good. Raises
    :class:`SecretsProblem`."""
    if isinstance(password, PromptVaultSecret):
        again = asked(f"The vault password of {group} once more (it is not shown)")
        if again.encode() != password.bytes:
            raise SecretsProblem("the two passwords differ. Nothing was changed")
