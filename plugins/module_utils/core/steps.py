# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run did, or would do, as data. :func:`sentence` words it where a person reads it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: How steps are worded that are more than "verb target".
_SENTENCES = {
    "back up": "back up to %(target)s",
    "bring files": "bring changed files to %(target)s",
    "check out": "check out %(target)s in code",
    "clear up": "clear up %(target)s, left by an interrupted run",
    "connect": "connect %(target)s to %(detail)s again",
    "disconnect": "disconnect %(target)s from %(detail)s",
    "guard": "guard other environments' ports from %(detail)s (%(kind)s %(target)s)",
    "keep": "keep the earlier %(kind)s as %(target)s",
    "kill": "killed %(target)s",
    "label": "give the node %(detail)s the label %(target)s",
    "lead": "lead the port %(target)s to %(detail)s",
    "leave": "the %(kind)s of %(target)s stay as they are",
    "limit": "limit %(target)s to %(detail)s",
    "make": "make the %(kind)s %(target)s",
    "obtain": "obtain a certificate for %(target)s",
    "prepare": "prepare %(target)s: %(detail)s",
    "prepare again": "prepare %(target)s again",
    "promote": "%(detail)s",
    "pull": "pull %(detail)s",
    "put back": "put back the %(detail)s of %(target)s",
    "put up": "put the %(target)s up",
    "remove": "remove %(kind)s %(target)s",
    "replace": "replace %(target)s without a gap",
    "restore": "restore %(target)s %(detail)s",
    "retire": "end the earlier passwords of %(target)s, and try that they open nothing",
    "route": "lead the front door's requests for %(target)s to %(detail)s",
    "run": "run %(detail)s in %(target)s",
    "unlabel": "take the label %(target)s from the node %(detail)s",
    "take down": "take the %(target)s down",
}

#: Steps without a target.
_ALONE = {"make": "make a backup", "finish": "finish what an interrupted run began", "skip": "make no backup"}


class Step(NamedTuple):
    """One step. ``verb`` is what is done to the ``target``, which is of a ``kind``: file, container, image, backup ….

    ``reason`` says why. ``detail`` is what the verb needs beside its target, such as a command or a network.
    ``at_most`` is for how many seconds the target may be down, ``seconds`` for how many it was.
    """

    verb: str
    target: str = ""
    kind: str = ""
    reason: str = ""
    detail: str = ""
    at_most: float = 0
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """What travels to the controller and is kept in receipts: the fields that are set."""
        return {name: value for name, value in self._asdict().items() if value != self._field_defaults.get(name)}

    @classmethod
    def read(cls, said: Mapping[str, Any] | str) -> Step:
        """A step from its dictionary. Older versions kept sentences: such a step has a verb and nothing else."""
        return cls(said) if isinstance(said, str) else cls(**{key: said[key] for key in cls._fields if key in said})


def as_dicts(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Steps as a module returns them."""
    return [step.as_dict() for step in steps]


def sentence(step: Step) -> str:
    """A step for a person."""
    if step.target:
        words = _SENTENCES.get(step.verb, "%(verb)s %(target)s")
    else:
        words = _ALONE.get(step.verb, "%(verb)s")
    text = words % step._asdict()
    if step.detail and "%(detail)s" not in words:
        text += "; %s" % step.detail
    if step.seconds is not None:
        return "%s: it was down for %.1f s" % (text, step.seconds)
    if step.at_most:
        return "%s: it is down until it is healthy again, for at most %d s (%s)" % (text, step.at_most, step.reason)
    return "%s: %s" % (text, step.reason) if step.reason else text


def sentences(said: Iterable[Mapping[str, Any] | str]) -> list[str]:
    """Steps for a person, as a module returned them or a receipt has kept them."""
    return [sentence(Step.read(step)) for step in said]


def backup_step(made: Mapping[str, Any]) -> Step:
    """What became of the backup that a plan foresaw."""
    if "unneeded" in made:
        return Step("skip", kind="backup", reason=made["unneeded"])
    return Step("make", made["name"], "backup", detail="; ".join([*made["left_out"], *made["notes"]]))
