# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of the module isolation_check: reads the arguments, checks, and returns the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.isolation.report.text import text
from ..plugin_utils.isolation_check.check import check
from ..plugin_utils.isolation_check.discovery import CONFIG
from ..plugin_utils.isolation_check.request import Request, RequestError, parse


class ActionModule(ActionBase):
    """Read files of the controller and judge them; no host is contacted."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Check what the task asks for."""
        super().run(tmp, task_vars)
        del tmp
        try:
            request = parse(_plain(self._task.args), Path(self._loader.get_basedir()))
        except RequestError as error:
            raise AnsibleActionFail("isolation_check: " + "\n".join(error.errors)) from error
        answer = check(request, date.today())
        result = {
            **answer.as_json(),
            "changed": False,
            "failed": bool(answer.stopping),
            "msg": "\n\n".join((*_wrote(request), *answer.open, text(answer.findings, stopping=answer.stopping))),
            "open": list(answer.open),
        }
        if request.proposal:
            result["config"] = str(request.base / CONFIG)
            result["changed"] = True
            if not self._task.check_mode:
                _write(request.base / CONFIG, request.proposal)
        if request.report:
            path = request.base / Path(request.report).expanduser()
            _write(path, answer.rendered(request.report_format))
            result["report"] = str(path)
        return result


def _wrote(request: Request) -> tuple[str, ...]:
    if not request.proposal:
        return ()
    return (f"This was guessed. {CONFIG} has it: correct that file, and run the check again.",)


def _write(path: Path, text_of_file: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of_file, encoding="utf-8")
    except OSError as error:
        raise AnsibleActionFail(f"isolation_check: {path} cannot be written: {error.strerror}") from error


def _plain(value: Any) -> Any:
    """Arguments without Ansible's tags on their values, which libraries do not expect."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain(item) for item in value]
    return value
