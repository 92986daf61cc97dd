# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a value stands in ``.env``: in double quotes, so that Compose reads it back byte for byte. Runs on both sides."""

from __future__ import annotations

import re

_ESCAPES = {"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"}
_VALUES = {escaped: value for value, escaped in _ESCAPES.items()}


def escape(value: str) -> str:
    """Escape what means something between double quotes: backslash, quote, dollar, line ends."""
    return re.sub(r'[\\"$\n\r]', lambda match: _ESCAPES[match[0]], value)


def unescape(text: str) -> str:
    """Turn an escaped text back into the value."""
    return re.sub(r'\\[\\"$nr]', lambda match: _VALUES[match[0]], text)
