# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a backup into one environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..module_utils.core.masking import mask, texts_to_hide
from ..module_utils.core.steps import Step, as_dicts, sentence
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.isolation.wording import number
from ..plugin_utils.jobs import backup
from ..plugin_utils.jobs.engines import engine_of
from ..plugin_utils.jobs.restore import Intention, another, reader, refusals, refusals_before, staying
from ..plugin_utils.jobs.restore_scripts import read_scripts
from ..plugin_utils.release.render import secret_values
from ..plugin_utils.secrets.editing import SecretsProblem
from ..plugin_utils.secrets.identity import VARIABLE, backup_identity


class ActionModule(EnvironmentStep):
    """Look at the backup, judge, restore, and leave a receipt."""

    #: A restore touches only the environment's own containers, and is needed most when something is wrong.
    JUDGES = False

    NOT_ON_SWARM = ""

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Restore, or refuse with every reason at once and nothing changed."""
        values, prefix = self.declaration.values, self.declaration.prefix
        release = self.release()
        arguments = backup.all_arguments(self.declaration, release)
        origin = values["bulkhead_restore_from"] or prefix
        foreign = origin != prefix
        # An environment's own data is restored unchanged. A backup of any environment but `origin` is refused below.
        fleet = {declaration.prefix: declaration for declaration in self.gate.declarations}
        owner = fleet[origin].values if foreign and origin in fleet else None
        scripts, unread = read_scripts(owner, values["bulkhead_restore_files"]) if owner else ({}, [])
        intention = self._intention(arguments["parts"], owner, scripts)
        self._refuse([*refusals_before(intention), *unread])
        if not values["bulkhead_restore"]:
            raise AnsibleActionFail(
                f"{prefix}: bulkhead_restore is empty. Name the backup: -e bulkhead_restore=latest, or a name that "
                "aiia.bulkhead.backups lists"
            )
        identity = self._identity()
        call = {
            "wanted": values["bulkhead_restore"],
            "origin": origin,
            "place": self._place(origin),
            "backup": arguments,
            "identity": identity,
        }
        hidden = [*secret_values(release), *texts_to_hide([identity])]
        engine = engine_of(self)
        looked: dict[str, Any] = mask(engine.at_data(release, "restore", {**call, "look": True}), hidden)
        if looked.get("failed"):
            return {**looked, "msg": f"{looked['msg']}{another(values['bulkhead_restore'], origin)}"}
        manifest = looked["manifest"]
        self._refuse(list(refusals(intention, manifest, looked["seen"])))
        made = f"of {manifest['prefix']}, made {manifest['created']}"
        restore = Step("restore", manifest["name"], "backup", detail=made)
        stay = [Step("leave", name, "files", "the backup has none") for name in staying(intention, manifest)]
        if self._task.check_mode:
            steps = as_dicts([restore, *stay])
            self.live.ending.conclude(self.session, "restore", steps)
            return {"changed": True, "manifest": manifest, "steps": steps}
        call.update(wanted=manifest["path"], look=False, foreign=foreign, **scripts)
        call["files"] = intention.files != "leave"
        call["backup_first"] = values["bulkhead_backup_before_restore"]
        again = engine.forget_prepared()
        answer: dict[str, Any] = mask(engine.at_data(release, "restore", call), hidden)
        if answer.get("failed"):
            return answer
        done = answer["restored"]
        done["notes"] += [*again, *map(sentence, stay)]
        Display().display(_told(prefix, manifest, done))
        kept = [Step("keep", name, "database") for name in done["kept"]]
        removed = [Step("remove", name, "database", "an earlier restore kept it") for name in done["removed"]]
        steps = as_dicts([restore._replace(detail=f"{made}; {_files_told(done)}"), *kept, *removed])
        self.live.ending.conclude(self.session, "restore", steps)
        return {"changed": True, "manifest": manifest, "restored": done, "steps": steps}

    def _intention(
        self, parts: Sequence[Mapping[str, Any]], owner: Mapping[str, Any] | None, scripts: Collection[str]
    ) -> Intention:
        """What is asked for. ``owner`` are the variables of the environment that the backup is of, if it is another's;
        ``scripts`` are those that make its data harmless."""
        values, prefix = self.declaration.values, self.declaration.prefix
        permitted, take = reader(owner, prefix) if owner else (False, False)
        return Intention(
            prefix=prefix,
            protected=bool(values["bulkhead_protected"]),
            confirm=str(self.declaration.permissions.get("bulkhead_confirm", "")),
            restore_from=values["bulkhead_restore_from"],
            sanitise="sanitise" in scripts,
            guarded=[declaration.prefix for declaration in self.gate.declarations if declaration.is_protected],
            databases=[part["name"] for part in parts if part["kind"] == "postgresql"],
            directories=[part["name"] for part in parts if part["kind"] == "files"],
            files=values["bulkhead_restore_files"],
            sanitise_files="sanitise_files" in scripts,
            permitted=permitted,
            take=take,
        )

    def _identity(self) -> str:
        try:
            return backup_identity(self.declaration, self.typed(VARIABLE), self._loader._vault.secrets or ())
        except SecretsProblem as problem:
            raise AnsibleActionFail(f"{self.declaration.prefix}: {problem}. Nothing was changed") from None

    @staticmethod
    def _refuse(reasons: list[str]) -> None:
        if reasons:
            raise AnsibleActionFail(
                "refused, and nothing was changed: " + ("\n  ".join(["", *reasons]) if len(reasons) > 1 else reasons[0])
            )

    def _place(self, origin: str) -> str:
        """The backup directory of an environment on this machine; empty where the inventory has none."""
        machine = self.declaration.values["bulkhead_machine"]
        for declaration in self.gate.declarations:
            if declaration.prefix == origin and declaration.values["bulkhead_machine"] == machine:
                return str(declaration.values["bulkhead_backup_directory"])
        return ""


def _files_told(done: Mapping[str, Any]) -> str:
    if done["files"] is None:
        return "its own files are kept"
    return number(done["files"], "file") + (", sanitised" if done["sanitised_files"] else "")


def _told(prefix: str, manifest: Mapping[str, Any], done: Mapping[str, Any]) -> str:
    """What a restore did, in a few lines."""
    what = f"{number(done.get('rows', 0), 'row')}, {_files_told(done)}, {done['seconds']} s"
    lines = [f"{prefix}: {manifest['name']} is restored ({what})"]
    lines += [f"  {note}" for note in done["notes"]]
    lines += [f"  the earlier database is kept as {name}, closed" for name in done["kept"]]
    if done.get("backup"):
        lines.append(f"  backup made before: {done['backup']['path']}")
    return "\n".join(lines)
