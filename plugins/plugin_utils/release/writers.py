# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the files that we ship: the Compose file and ``.env``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ...module_utils.core.env_file import escape
from ..declaration.settings import plain


@dataclass(frozen=True, slots=True)
class DotenvLine:
    """A line of ``.env``: name, value, whether it is secret, and the variable that it came from."""

    key: str
    value: str
    secret: bool
    variable: str


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Dumps without anchors: a reader of the file sees every value where it is used."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


#: Texts that are numbers to Compose's YAML and not to PyYAML's, which leaves them without quotes: ``1e3``, ``0o17``.
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?0[oO][0-7]+\Z")


def _text(dumper: Any, value: str) -> Any:
    """A text in quotes where a reader could take it for a number, and as PyYAML writes it elsewhere."""
    style = "'" if value[:1] in "+-.0123456789" and _NUMBER.match(value.replace("_", "")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump_compose(project: Mapping[str, Any], heading: str = "") -> str:
    """A Compose project as YAML, each line of ``heading`` as a comment on top."""
    comment = "".join(f"# {line}\n" for line in heading.splitlines())
    body = yaml.dump(
        plain(project), Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120
    )
    return comment + str(body)


def dump_stack(stack: Mapping[str, Any], heading: str = "") -> str:
    """A stack file as YAML. The name of a stack is said when it is deployed: its file has no key for it."""
    return dump_compose({key: value for key, value in stack.items() if key != "name"}, heading)


def dump_raw_settings(settings: Iterable[tuple[str, str]], heading: str = "") -> str:
    """Settings as the client of a swarm reads them: each value as it stands, up to the end of its line."""
    lines = [f"# {line}" for line in heading.splitlines()]
    return "\n".join([*lines, *(f"{key}={value}" for key, value in settings)]) + "\n"


def dump_settings(settings: Iterable[tuple[str, str]], heading: str = "") -> str:
    """Settings as a ``.env`` that Compose reads back byte for byte.

    Everything is in double quotes with backslash, quote, dollar and line ends escaped: of the forms that Compose
    reads, this alone kept every value in experiments.
    """
    lines = [f"# {line}" for line in heading.splitlines()]
    lines += [f'{key}="{escape(value)}"' for key, value in settings]
    return "\n".join(lines) + "\n"
