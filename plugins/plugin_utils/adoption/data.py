# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment keeps: volumes that are taken over, directories that are copied, a database that moves as a
copy."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from .model import DATA, VOLUMES, Container, FoundStack, Handmade, is_below

#: What a name in a Compose file cannot hold.
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
#: The engine's name for an anonymous volume.
_ANONYMOUS = re.compile(r"[0-9a-f]{64}\Z")


class KeptData:
    """The data of one environment, noted in its stack. ``volumes`` are those of the machine by name; ``claimed`` says
    which other environment mounts one as well."""

    def __init__(
        self,
        own: Handmade,
        found: FoundStack,
        volumes: Mapping[str, Mapping[str, Any]],
        claimed: Mapping[str, str],
    ) -> None:
        self.found = found
        self._own = own
        self._volumes = volumes
        self._claimed = claimed

    def take(self, part: str, container: Container) -> None:
        """Take over the volume of a server of the default stack, or say why its data has to move otherwise."""
        own = self._own
        mount = container.mounted(DATA[part])
        held = self._volumes.get(mount["source"], {}).get("holds", {}) if mount else {}
        why = ""
        if mount is None:
            why = f"keeps its data in no volume at {DATA[part]}"
        elif mount["type"] != "volume":
            why = f"keeps its data in the directory {mount['source']}"
        elif mount["target"] != DATA[part] or held.get("below"):
            why = f"keeps its data below {mount['target']}, elsewhere than the default stack's server looks for it"
        elif mount["source"] in self._claimed:
            why = f"has its data in the volume {mount['source']}, which {self._claimed[mount['source']]} mounts as well"
        elif self._volumes.get(mount["source"], {}).get("options"):
            why = f"has its data in the volume {mount['source']}, which is a share or a directory of the machine"
        elif part == "postgresql" and _entry(container) != container.image.get("entrypoint", []):
            why = "starts by another entry point than its image's"
        if not why and mount:
            self.found.adopted[VOLUMES[part]] = mount["source"]
        elif part == "postgresql":
            self.found.dumped = f"{container.name} {why}"
            self.found.adopted[VOLUMES[part]] = f"{own.prefix}_pgdata_moved"
        else:
            own.say(
                f"{container.name} of {own.prefix} {why}: what it holds is not taken over, and starts empty. If it is "
                "more than a cache, copy it before (redis-cli --rdb) and ask it back."
            )

    def mounts(self, container: Container) -> list[str]:
        """The mounts of a service: volumes are taken over, directories beside the Compose file are copied."""
        own = self._own
        mounts = []
        for mount in sorted(container.seen["mounts"], key=lambda mount: str(mount["target"])):
            source, target, mode = mount["source"], mount["target"], "" if mount["writable"] else ":ro"
            if mount["type"] == "volume" and source in self._claimed:
                own.say(
                    f"The volume {source} of {own.prefix} is mounted by {self._claimed[source]} as well, so neither "
                    f"can have it for its own and it was taken over by none. Copy what {own.prefix} needs into a "
                    "volume of its own after it has moved."
                )
            elif mount["type"] == "volume" and _ANONYMOUS.match(source):
                own.say(
                    f"{container.name} of {own.prefix} has a volume without a name at {target}. It is taken over by "
                    "its id; what made it may make others, so give it a name sooner or later."
                )
                key = NOT_IN_A_NAME.sub("_", target.strip("/")) or "data"
                self.found.adopted[key] = source
                mounts.append(f"{key}:{target}{mode}")
            elif mount["type"] == "volume":
                key = self._key(source)
                self.found.adopted[key] = source
                mounts.append(f"{key}:{target}{mode}")
            elif (
                mount["type"] == "bind"
                and own.directory
                and is_below(source, own.directory)
                and source != own.directory
            ):
                path = posixpath.relpath(source, own.directory)
                self.found.copied[source] = posixpath.join(own.home, path)
                mounts.append(f"./{path}:{target}{mode}")
            else:
                own.say(
                    f"{container.name} of {own.prefix} mounts {source or mount['type']} of the machine at {target}. It "
                    "was left out: it reaches outside of the environment. What the application needs of it belongs "
                    "into its image, its settings or a volume of its own."
                )
        for reach in container.seen["reach"]:
            own.say(
                f"{container.name} of {own.prefix} has {reach}. It was left out: it reaches outside of the environment."
            )
        return mounts

    def share_storage(self, container: Container, mounts: list[str]) -> list[str]:
        """The mounts of the application, where the volume that nginx serves from is called ``storage``, as in the
        default stack. Its parts ``static`` and ``media`` are expected there."""
        own = self._own
        nginx = own.part("nginx")
        served = {mount["source"] for mount in nginx.seen["mounts"] if mount["type"] == "volume"} if nginx else set()
        both = [mount for mount in container.seen["mounts"] if mount["type"] == "volume" and mount["source"] in served]
        key = next((key for mount in both for key, name in self.found.adopted.items() if name == mount["source"]), "")
        if not key:
            if nginx and mounts:
                own.say(
                    f"{container.name} and nginx of {own.prefix} share no volume, and Bulkhead's nginx serves /static/ "
                    "and /media/ from the volume storage: mount it in both (bulkhead_services), with static and media "
                    "in it."
                )
            return mounts
        self.found.adopted = {"storage" if name == key else name: volume for name, volume in self.found.adopted.items()}
        if both[0]["target"] != "/srv/storage":
            own.say(
                f"{container.name} of {own.prefix} has its files at {both[0]['target']}. Backups take all of it; nginx "
                "serves static and media below it."
            )
            self.found.backup = both[0]["target"]
        return [mount.replace(f"{key}:", "storage:", 1) if mount.startswith(f"{key}:") else mount for mount in mounts]

    def _key(self, name: str) -> str:
        """A short name for a volume: without the project and the environment that its name has around it."""
        own = self._own
        short = name
        for part in (own.compose_project, own.prefix, own.project):
            if short.startswith(f"{part}_"):
                short = short[len(part) + 1 :]
        short = re.sub(rf"[_-]{re.escape(own.environment)}\Z", "", short) or name
        return short if self.found.adopted.get(short, name) == name else NOT_IN_A_NAME.sub("_", name)


def _entry(container: Container) -> Any:
    return container.seen["entrypoint"] or container.image.get("entrypoint", [])
