# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment would change, as a diff that shows no secret. Runs on the targets."""

from __future__ import annotations

import re

from ..core.directory import DesiredFile
from ..core.env_file import unescape
from ..core.masking import HIDDEN, mask, possible_secrets, texts_to_hide
from ..core.steps import Step, sentence
from .comparison import Comparison
from .paths import SETTINGS

#: A setting as a deployment writes it: on one line, with line ends escaped.
_SETTING = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="(.*)"')

_HIDDEN = "(its content is secret and not shown)\n"


def difference(comparison: Comparison, steps: list[Step]) -> list[dict[str, str]]:
    """Before and after of every file that changes, without what is secret; and what else would be done."""
    gone, kept = map(texts_to_hide, _secrets_in_force(comparison))
    shown = [_masked(_file(comparison, wanted), gone, kept) for wanted in comparison.changed_files]
    if comparison.firewall:
        before, after = comparison.firewall.difference()
        if before != after:
            shown.append(_change("firewall", before, after))
    others = [sentence(step) for step in steps if step.verb != "write"]
    if others:
        shown.append(_change("containers", "", "\n".join(others) + "\n"))
    return shown


def _secrets_in_force(comparison: Comparison) -> tuple[set[str], set[str]]:
    """The secrets that the files on disk hold: those that end with this deployment, and those that stay.

    The controller does not know the former any more.
    """
    gone: set[str] = set()
    kept: set[str] = set()
    secret_names = comparison.params.get("secret_names")
    for wanted in comparison.files:
        if not wanted.sensitive:
            continue
        text = (comparison.tree.read(wanted.path) or b"").decode("utf-8", "replace")
        content = wanted.content.decode("utf-8", "replace")
        before, after = settings_of(text), settings_of(content) or {}
        # The names are those of .env; what is secret in other files of settings nobody says.
        names = secret_names if wanted.path == SETTINGS else None
        if before is None:
            (kept if text == content else gone).update({text}, possible_secrets([text], ""))
            continue
        for name, value in before.items():
            if names is None or name in names or name not in after:
                (kept if after.get(name) == value else gone).add(unescape(value))
    return gone - kept, kept


def _masked(change: dict[str, str], gone: list[str], kept: list[str]) -> dict[str, str]:
    """A change without secrets. One that ends differs from its successor, which is hidden as well."""
    ended = mask(change["before"], gone).replace(HIDDEN, "%s (before)" % HIDDEN)
    masked: dict[str, str] = mask({**mask(change, gone), "before": ended}, kept)
    return masked


def _file(comparison: Comparison, wanted: DesiredFile) -> dict[str, str]:
    path = comparison.tree.path(wanted.path)
    before = (comparison.tree.read(wanted.path) or b"").decode("utf-8", "replace")
    after = wanted.content.decode("utf-8", "replace")
    mode = "(mode %04o)\n" % wanted.mode if before == after else ""
    if wanted.sensitive:
        settings = any(wanted.path in service.env_files for service in comparison.services)
        before, after = changed_names(before, after) if settings and not mode else ("", _HIDDEN)
    return _change(path, before, after + mode)


def changed_names(before: str, after: str) -> tuple[str, str]:
    """The names of settings that were added, removed or changed, as two texts; no value is in them.

    A file that was edited by hand may have lines that are not settings; since they may hold anything, it is hidden.
    """
    then, now = settings_of(before), settings_of(after)
    if then is None or now is None:
        return "", _HIDDEN
    gone = ["%s\n" % name for name in then if then[name] != now.get(name)]
    new = [
        "%s%s\n" % (name, " (another value, which is not shown)" if name in then else "")
        for name in now
        if then.get(name) != now[name]
    ]
    return "".join(gone), "".join(new) if gone or new else "(other comments or another order)\n"


def settings_of(text: str) -> dict[str, str] | None:
    """The settings of a file; None where a line is neither a setting nor a comment."""
    found = {}
    for line in text.splitlines():
        setting = _SETTING.fullmatch(line)
        if setting:
            found[setting[1]] = setting[2]
        elif line and not line.startswith("#"):
            return None
    return found


def _change(header: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}
