# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run shows, as a story: see the documentation below. Everything that is not ours is shown by Ansible's own."""

from __future__ import annotations

DOCUMENTATION = """
name: story
type: stdout
short_description: Shows a run of Bulkhead as a story
version_added: 0.1.0
description:
  - Shows each gate and step of this collection with its time, what it changed, errors once and in full, and at the end
    the next command to type.
  - While a step runs, a line on the terminal shows which one and for how long. Where the output is no terminal, a plain
    line says so every 20 seconds (O(interval)). Both also say what the step does, such as which step of a build, how
    much of a backup is written, or which container is waited for and what it logged last.
  - Tasks, plays and results of anything else are shown as P(ansible.builtin.default#callback) shows them, and so is
    everything with C(-v).
  - In GitHub Actions (E(GITHUB_ACTIONS) is V(true)) steps are folded and findings become annotations.
  - Control characters in the text of others are never passed on to the terminal, nor is a line that GitHub's runner
    would take for a command.
  - Colours follow Ansible's settings and E(NO_COLOR). Without a UTF-8 locale, signs are ASCII.
options:
  interval:
    description: How often a running step says so where the output is no terminal, in seconds.
    type: float
    default: 20
    env: [{name: BULKHEAD_STORY_INTERVAL}]
    ini: [{section: callback_story, key: interval}]
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - Set as C(stdout_callback) in C(ansible.cfg), or as E(ANSIBLE_STDOUT_CALLBACK).
seealso:
  - plugin: ansible.builtin.default
    plugin_type: callback
author:
  - the Bulkhead authors (@aiia)
"""

EXAMPLES = """
ansible.cfg: |
  [defaults]
  stdout_callback = aiia.bulkhead.story
"""

import os
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError, ExitCode
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.color import ANSIBLE_COLOR

from ..module_utils.core.steps import sentences
from ..plugin_utils.gate.kept import kept
from ..plugin_utils.gate.meanwhile import LINES
from ..plugin_utils.isolation.model import Finding
from ..plugin_utils.secrets.opening import of_play
from ..plugin_utils.story.clean import GROUP_ENDS, annotation, clean, group, of_findings
from ..plugin_utils.story.following import following, wording
from ..plugin_utils.story.lines import ending, folded, is_deliberate, paragraph, step_line, without_frame
from ..plugin_utils.story.screen import Screen
from ..plugin_utils.story.typed import located, typed

_OURS = "aiia.bulkhead."

#: Actions whose texts GitHub's log folds. What the others show is what the run is for.
_FOLDED = ("preflight", "source", "converge", "certificates")

#: Seconds between two readings of what a step does, on a terminal.
_PAUSE = 2.0

#: Actions that show what programs say, line by line.
_VERBATIM = ("service",)

#: What a result of ours says in other words already: on the screen above it, or in its message and receipt.
_SAID = {"msg", "detail", "receipt", "changed", "failed", "steps", "tried", "put_back", "bystander_changes", "probed"}
_SAID |= {"notes", "ended", "diff", "invocation", "exception", "warnings", "deprecations", "attempts"}


class CallbackModule(Default):
    """Tells our own steps, and leaves everything else to Ansible's display."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "aiia.bulkhead.story"

    _screen: Screen

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._actions: list[str] = []
        self._failed = ""
        self._foreign = False
        self._untold_play: Any = None
        self._running: dict[tuple[str, str], float] = {}
        self._hosts: set[str] = set()
        self._task = self._name = ""
        self._headed = False
        self._folded = False

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        """Options are known: from here on all texts go through the screen."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        if not hasattr(self, "_screen"):
            interval = self.get_option("interval")
            self._screen = Screen(self._display, os.environ, interval, bool(ANSIBLE_COLOR), LINES.newest)
            # Before the first fork. Where only a line now and then is shown, there is no need to read more often.
            LINES.pause = (
                0.0 if self._display.verbosity else _PAUSE if self._screen.moves else max(_PAUSE, interval / 2)
            )

    # Plays and tasks.

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Wait for the play's first task: it says whether the play is ours."""
        self._leave()
        self._tell_play(ours=False)
        self._play, self._untold_play = play, play
        locked = of_play(play, bool(context.CLIARGS.get("subset")))
        if locked:
            self._end_run(locked)
        if self._display.verbosity:
            self._tell_play(ours=False)

    def _end_run(self, why: str) -> NoReturn:
        """End the run before Ansible does so itself, in words that say neither which file nor whose it is."""
        self._tell_play(ours=True)
        self._error(why)
        if self._screen.github:
            self._screen.command(annotation(why, "bulkhead"))
        self._screen.close()
        # Ansible makes a warning of any error of a callback. Its own clean-up follows, and the exit code is its own.
        raise SystemExit(ExitCode.PARSER_ERROR)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Begin a step."""
        if self._begin(task):
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Begin a step that was notified."""
        if self._begin(task):
            super().v2_playbook_on_handler_task_start(task)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Note when a host began."""
        self._running[task._uuid, host.get_name()] = time.monotonic()
        self._hosts.add(host.get_name())
        super().v2_runner_on_start(host, task)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Show what was included."""
        self._foreign = True
        super().v2_playbook_on_include(included_file)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Show that a play has no host."""
        self._tell_play(ours=False)
        self._foreign = True
        super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Show that no host is left; of our own steps the end says it."""
        if self._foreign or self._display.verbosity:
            super().v2_playbook_on_no_hosts_remaining()

    # Results.

    def v2_runner_on_ok(self, result: Any) -> None:
        """End a step that went well, with what it changed."""
        if not self._tells(result.task):
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings(result.result)
        changed = bool(result.result.get("changed"))
        signs = self._screen.signs
        self._end(result, signs.well, C.COLOR_CHANGED if changed else C.COLOR_OK, "changed" if changed else "")
        if changed and not result.task.check_mode:  # in check mode the step says itself what it would do
            for step in sentences(result.result.get("steps") or ()):
                self._screen.line(paragraph(step, self._screen.width, "    ", "  - "))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """End a step that failed, with everything that it says."""
        if self._is_ours(result.task) and not ignore_errors:
            self._failed = result.task.action.removeprefix(_OURS)
        if not self._tells(result.task) or not is_deliberate(result.result):
            self._leave()
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._handle_warnings(result.result)
        self._end(result, self._screen.signs.bad, C.COLOR_ERROR, "failed")
        said = result.result
        self._error(said["msg"])
        for text in (said.get("detail"), said.get("receipt")):
            if text:
                self._screen.line(text if isinstance(text, str) else self._dump_results({"detail": text}).strip())
        rest = {name: value for name, value in said.items() if name not in _SAID and not name.startswith("_")}
        if rest:
            self._screen.line(self._dump_results(rest).strip("\n"))
        if ignore_errors:
            self._screen.line("...ignoring", color=C.COLOR_SKIP)
        elif self._screen.github:
            self._annotate(said["msg"])

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """End a step that did not reach its machine."""
        if not self._tells(result.task):
            super().v2_runner_on_unreachable(result)
            return
        self._handle_warnings(result.result)
        self._end(result, self._screen.signs.bad, C.COLOR_UNREACHABLE, "unreachable")
        message = without_frame(str(result.result.get("msg") or result.result.get("censored") or "no answer"))
        self._error(message)
        if result.task.ignore_unreachable:
            self._screen.line("...ignoring", color=C.COLOR_SKIP)
        elif self._screen.github:
            self._screen.command(annotation(f"{result.host.get_name()}: {message}", "unreachable"))

    def v2_runner_on_skipped(self, result: Any) -> None:
        """End a step that was not needed."""
        if not self._tells(result.task):
            super().v2_runner_on_skipped(result)
        elif self.get_option("display_skipped_hosts"):
            self._end(result, self._screen.signs.skipped, C.COLOR_SKIP, "skipped")

    def v2_on_file_diff(self, result: Any) -> None:
        """Show a difference, of ours without a heading of Ansible's."""
        if not self._tells(result.task):
            super().v2_on_file_diff(result)
        elif result.result.get("diff") and result.result.get("changed"):
            shown = self._get_diff(result.result["diff"])
            if shown:
                self._screen.line(shown)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End the run: the hosts, and what can be typed next."""
        self._leave()
        self._tell_play(ours=False)
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        if self._display.verbosity or self._foreign or stats.custom or not self._actions:
            super().v2_playbook_on_stats(stats)
        else:
            seconds, check = time.monotonic() - self._began, bool(context.CLIARGS.get("check"))
            self._screen.line("\n" + ending(hosts, seconds, self._screen.width, self._screen.signs, check))
        if self._actions and not self._display.verbosity:
            unreachable = any(counts["unreachable"] for counts in hosts.values())
            failed = self._failed if any(counts["failures"] for counts in hosts.values()) else ""
            next_commands = following(typed(), self._actions, failed, unreachable)
            if next_commands:
                self._screen.line(wording(next_commands, self._screen.width))
        self._screen.close()

    # Parts.

    def _handle_exception(self, result: Any, use_stderr: bool = False) -> None:
        """Hide the error of a task with ``no_log`` as well: it quotes the message, and Ansible shows it."""
        if "censored" in result:
            result.pop("exception", None)
        super()._handle_exception(result, use_stderr)

    @staticmethod
    def _is_ours(task: Any) -> bool:
        """Whether a task names an action of ours in full. What a template stands for is not known yet."""
        return str(task.action).startswith(_OURS)

    def _tells(self, task: Any) -> bool:
        """Whether a task is told here. Loops are not: each item of theirs has a result."""
        return self._is_ours(task) and not self._display.verbosity and not task.loop

    def _begin(self, task: Any) -> bool:
        """Begin a task. Returns whether Ansible's own display shows it."""
        self._leave()
        if self._is_ours(task):
            self._actions.append(task.action.removeprefix(_OURS))
        if not self._tells(task):
            self._foreign = True
            self._tell_play(ours=False)
            return True
        self._tell_play(ours=True)
        self._task, self._name = task._uuid, _name(task)
        self._headed = False
        self._folded = self._screen.github and self._actions[-1] in _FOLDED
        if self._folded:
            self._screen.command(group(self._name))
        else:
            self._screen.before = self._head
        self._screen.begin(self._name, wraps=self._actions[-1] not in _VERBATIM)
        return False

    def _head(self) -> None:
        """Show which step says what follows."""
        self._headed = True
        self._screen.line(paragraph(self._name, self._screen.width, "  ", f"{self._screen.signs.begins} "))

    def _end(self, result: Any, sign: str, color: str, *more: str) -> None:
        """Show how a step ended on a host."""
        host = result.host.get_name()
        began = self._running.pop((result.task._uuid, host), self._began)
        if not any(task == result.task._uuid for task, _host in self._running):
            self._leave()
        self._screen.before = None
        label = self.host_label(result) if len(self._hosts) > 1 else ""
        # With strategy free, another task may have begun on another host meanwhile.
        name = "" if self._headed and result.task._uuid == self._task else _name(result.task)
        text = step_line(sign, name, time.monotonic() - began, self._screen.width, *more, label)
        self._screen.line(text, color=color)

    def _leave(self) -> None:
        """Nothing moves, and nothing is folded."""
        self._screen.end()
        if self._folded:
            self._folded = False
            self._screen.command(GROUP_ENDS)

    def _tell_play(self, ours: bool) -> None:
        play, self._untold_play = self._untold_play, None
        if play is None:
            return
        if not ours:
            super().v2_playbook_on_play_start(play)
            return
        mode = " (check mode: nothing is changed)" if play.check_mode else ""
        self._screen.line("\n" + paragraph(f"{play.get_name().strip()}{mode}", self._screen.width))

    def _error(self, message: str) -> None:
        text = folded(textwrap.indent(message, "  "), self._screen.width)
        self._screen.line(text, color=C.COLOR_ERROR, stderr=self.get_option("display_failed_stderr"))

    def _annotate(self, message: str) -> None:
        """Errors for GitHub: the findings that refused the plan, or what another step says."""
        findings: Sequence[Finding] = ()
        if self._failed == "plan":
            with suppress(AnsibleError):  # another task of the run took them away
                findings = kept("refusal") or ()
        for text in of_findings(findings, os.environ.get("GITHUB_WORKSPACE", ""), located):
            self._screen.command(text)
        if not findings:
            self._screen.command(annotation(message, title="bulkhead"))


def _name(task: Any) -> str:
    """What a step is called, on one line: its own name, without that of its role."""
    return " ".join(clean(task.name or task.get_name()).split())
