# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the report's page. Whatever an inventory or a machine says goes through :func:`plain`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def plain(text: str) -> str:
    """A text that the page shows as it is."""
    return escape("".join(char if char.isprintable() else "\ufffd" for char in text))


def code_list(keys: Sequence[str]) -> str:
    """A list of names."""
    return f"<ul>{''.join(f'<li><code>{plain(key)}</code></li>' for key in keys)}</ul>"


def names(prefixes: Iterable[str]) -> str:
    """Environments in a row."""
    return ", ".join(f"<code>{plain(prefix)}</code>" for prefix in prefixes) or "all environments"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names its rows. Heads and cells are markup already."""
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    lines = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    head = f"<table>\n<caption>{caption}</caption>\n<thead><tr>{columns}</tr></thead>"
    return f"{head}\n<tbody>\n{lines}\n</tbody>\n</table>"
