# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Redact secrets from text that findings quote, such as a line of a script with a password."""

from __future__ import annotations

import re

from .model import SEAL

HIDDEN = "********"

_IN_URL = re.compile(r"(://[^\s:/@'\"]*:)[^\s'\"]+(?=@)")
#: Two variables of Bulkhead are called after secrets and never hold one: an action, and a secret's name.
_ASSIGNED = re.compile(
    r"\b(?!bulkhead_secret(?:_name)?=)(\w*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|PRIVATE_KEY|API_?KEY)\w{0,200}[\"']?\s*=\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s\"'`;]+)",
    re.IGNORECASE,
)
_IN_SQL = re.compile(r"(\bPASSWORD\s+)'(?:[^']|'')*'", re.IGNORECASE)
_KNOWN_FORMS = re.compile(r"\b(?:[srp]k_(?:live|test)_|rzp_live_|gh[pousr]_|glpat-|AKIA|SG\.|xox[abp]-)[\w.-]{4,}")


#: What stands for a value that is not known here, with the environment that keeps it apart from others'.
_UNKNOWN = re.compile(rf"{SEAL}(?:-of-[\w-]+)?")


def redact(text: str) -> str:
    """The text with every recognisable password, token and key replaced by :data:`HIDDEN`, and without placeholders."""
    if SEAL in text:
        text = _UNKNOWN.sub("${…}", text)
    if "://" in text:
        text = _IN_URL.sub(rf"\g<1>{HIDDEN}", text)
    text = _ASSIGNED.sub(rf"\g<1>{HIDDEN}", text)
    return _KNOWN_FORMS.sub(HIDDEN, _IN_SQL.sub(rf"\g<1>'{HIDDEN}'", text))
