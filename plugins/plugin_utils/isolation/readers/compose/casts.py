# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert strings to the numbers and booleans that Compose makes of them after interpolation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ReaderError

_BOOLEANS = {
    **dict.fromkeys(("true", "y", "yes", "on"), True),
    **dict.fromkeys(("false", "n", "no", "off"), False),
}


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


_SERVICE: dict[tuple[str, ...], Callable[[str], Any]] = {
    ("configs", "[]", "mode"): int,
    ("secrets", "[]", "mode"): int,
    ("cpu_percent",): float,
    ("cpus",): float,
    ("init",): _boolean,
    ("deploy", "replicas"): int,
    ("deploy", "update_config", "parallelism"): int,
    ("deploy", "update_config", "max_failure_ratio"): float,
    ("deploy", "rollback_config", "parallelism"): int,
    ("deploy", "rollback_config", "max_failure_ratio"): float,
    ("deploy", "restart_policy", "max_attempts"): int,
    ("deploy", "placement", "max_replicas_per_node"): int,
    ("healthcheck", "retries"): int,
    ("healthcheck", "disable"): _boolean,
    ("oom_kill_disable",): _boolean,
    ("ports", "[]", "target"): int,
    ("privileged",): _boolean,
    ("read_only",): _boolean,
    ("scale",): int,
    ("stdin_open",): _boolean,
    ("tty",): _boolean,
    ("ulimits", "*"): int,
    ("ulimits", "*", "hard"): int,
    ("ulimits", "*", "soft"): int,
    ("volumes", "[]", "read_only"): _boolean,
    ("volumes", "[]", "volume", "nocopy"): _boolean,
    **{
        (key,): int
        for key in (
            "cpu_count",
            "cpu_period",
            "cpu_quota",
            "cpu_rt_period",
            "cpu_rt_runtime",
            "cpu_shares",
            "oom_score_adj",
            "pids_limit",
        )
    },
}
_OTHER: dict[tuple[str, str], Callable[[str], Any]] = {
    **{("networks", key): _boolean for key in ("external", "internal", "attachable", "enable_ipv4", "enable_ipv6")},
    **{(section, "external"): _boolean for section in ("volumes", "secrets", "configs")},
}


def cast(path: tuple[str, ...], text: str, line: int = 0) -> Any:
    """The value that Compose makes of a string at a path. Raises :class:`ReaderError` if Compose refuses it."""
    if len(path) < 3:
        return text
    if path[0] == "services":
        rest = path[2:]
        caster = _SERVICE.get(("ulimits", "*", *rest[2:]) if rest[0] == "ulimits" and len(rest) > 1 else rest)
    else:
        caster = _OTHER.get((path[0], path[2])) if len(path) == 3 else None
    if caster is None:
        return text
    try:
        return caster(text)
    except (KeyError, ValueError):
        kind = {int: "a whole number", float: "a number"}.get(caster, "true or false")  # type: ignore[call-overload]
        raise ReaderError(f"{'.'.join(path)}: {text!r} is not {kind}", line, rule="not-compose") from None
