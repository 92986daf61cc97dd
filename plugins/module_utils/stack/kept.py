# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kept releases of a stack: each a config of the swarm, so that every manager has them.

A config has what it takes to return to a release: the stack file, in which files are named by their versions, the
settings, and what is asked about it. Secret files stay in the swarm's secrets, whose content cannot be read back.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import Failure
from ..docker.labels import PREFIX, RELEASE
from ..release.store import FOLLOWS, PREVIOUS
from ..swarm.api import SwarmApi

#: On the config of a release: a number that grows with each that comes into force. The one with the highest is in
#: force. Managers take turns, and their clocks differ.
IN_FORCE = "io.bulkhead.in-force"

#: On the same config: what each service was after the last deployment, so that changes by hand are seen, and what each
#: was prepared for, which a restore forgets.
SPECS, PREPARED = "io.bulkhead.specs", "io.bulkhead.prepared"

#: On the same config: the node that had the environment's volumes then, by its id.
DATA_NODE = "io.bulkhead.data-node"

#: The longest name of a config, and the most that one may hold.
_LONGEST = 64
_MOST = 1000 * 1024


class KeptReleases:
    """The kept releases of one environment, the oldest first."""

    def __init__(self, api: SwarmApi, prefix: str) -> None:
        self._api = api
        self._prefix = prefix
        self._configs: dict[str, dict[str, Any]] = {}
        self._manifests: dict[str, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """Ask the swarm for them once more."""
        labelled = [config for config in self._api.configs() if _labels(config).get(PREFIX) == self._prefix]
        found = {str(_labels(config)[RELEASE]): config for config in labelled if RELEASE in _labels(config)}
        self._configs = dict(sorted(found.items()))
        self._manifests = {}

    def names(self) -> list[str]:
        """Their names."""
        return list(self._configs)

    def manifest(self, name: str) -> dict[str, Any]:
        """What is kept of one; empty for an unknown name. Raises Failure where it cannot be read."""
        if name not in self._configs:
            return {}
        if name not in self._manifests:
            try:
                text = base64.b64decode(self._configs[name]["Spec"].get("Data") or "")
                labels = _labels(self._configs[name])
                specs, prepared = (json.loads(labels.get(label) or "{}") for label in (SPECS, PREPARED))
                node = labels.get(DATA_NODE, "")
                self._manifests[name] = dict(json.loads(text), specs=specs, prepared=prepared, data_node=node)
            except ValueError as error:
                raise Failure(
                    "the config %s of the swarm, which keeps the release %s, cannot be read: %s. Remove it "
                    "(docker config rm) to go on without it" % (config_name(self._prefix, name), name, error)
                ) from error
        return self._manifests[name]

    @property
    def current(self) -> str:
        """The name of the release in force; empty where none is."""
        turns = {_turn(config): name for name, config in self._configs.items()}
        last = max(turns, default=0)
        return turns[last] if last else ""

    @property
    def data_node(self) -> str:
        """The id of the node that had the volumes at the last deployment; empty where none is known."""
        return _labels(self._configs[self.current]).get(DATA_NODE, "") if self.current else ""

    def resolve(self, wanted: str) -> str:
        """The name of a kept release. Raises Failure, with those that there are, for any other."""
        shown = ", ".join(reversed(self.names())) or "none"
        if wanted == PREVIOUS:
            earlier = str(self.manifest(self.current).get(FOLLOWS) or "") if self.current else ""
            if earlier in self._configs:
                return earlier
            raise Failure(
                "there is no release before %s to return to; kept releases: %s" % (self.current or "the first", shown)
            )
        if wanted not in self._configs:
            raise Failure("there is no release %s (bulkhead_release); kept releases: %s" % (wanted, shown))
        return wanted

    def keep(
        self,
        name: str,
        manifest: Mapping[str, Any],
        labels: Mapping[str, str],
        specs: Mapping[str, str],
        prepared: Mapping[str, str],
    ) -> None:
        """Keep a release, which is in force from now on. ``specs`` are digests of its services by their keys,
        ``prepared`` says what they were prepared for."""
        own = {**labels, RELEASE: name, **self._changing(specs, prepared)}
        self._api.make_config(config_name(self._prefix, name), own, content_of(name, manifest))
        self.read()

    def bring(
        self, name: str, specs: Mapping[str, str], prepared: Mapping[str, str], labels: Mapping[str, str] | None = None
    ) -> None:
        """Note that a kept release is in force again, or that its services are now others, or prepared otherwise.

        Its labels stay, but for those of ``labels``.
        """
        config = self._configs[name]
        spec = {**config["Spec"], "Labels": {**_labels(config), **(labels or {}), **self._changing(specs, prepared)}}
        self._api.label_config(config["ID"], int(config["Version"]["Index"]), spec)
        self.read()

    def _changing(self, specs: Mapping[str, str], prepared: Mapping[str, str]) -> dict[str, str]:
        """The labels that change while a release is kept, for the one that is in force from now on."""
        turn = max(map(_turn, self._configs.values()), default=0) + 1
        return {IN_FORCE: str(turn), SPECS: json.dumps(dict(specs)), PREPARED: json.dumps(dict(prepared))}

    def surplus(self, keep: int) -> list[str]:
        """The releases beyond those to keep: the one in force, those that it followed, then the newest."""
        line: list[str] = []
        name = self.current
        while name and name not in line and name in self._configs:
            line.append(name)
            name = str(self.manifest(name).get(FOLLOWS) or "")
        ordered = [*line, *(name for name in reversed(self.names()) if name not in line)]
        return ordered[max(1, keep) :]

    def files(self, names: Iterable[str]) -> set[str]:
        """The configs and secrets that these releases need, by name."""
        return {
            file
            for name in names
            for section in ("configs", "secrets")
            for file in self.manifest(name).get(section) or ()
        }

    def secrets(self, names: Iterable[str]) -> set[str]:
        """The values that settings of these names have in kept releases: earlier tasks may have written them."""
        wanted = set(names)
        settings = (str(self.manifest(name).get("settings") or "") for name in self.names() if wanted)
        lines = (line.partition("=") for text in settings for line in text.splitlines())
        return {value for name, _equals, value in lines if name in wanted and value}

    def images(self) -> set[str]:
        """The images that kept releases run, by digest."""
        return {image for name in self.names() for image in (self.manifest(name).get("images") or {}).values()}

    def remove(self, name: str) -> None:
        """Forget a release."""
        self._api.remove_object("config", self._configs.pop(name)["ID"])
        self._manifests.pop(name, None)


def content_of(name: str, manifest: Mapping[str, Any]) -> bytes:
    """What the config of a release holds. Raises Failure where that is more than a swarm keeps."""
    content = json.dumps(dict(manifest, release=name), sort_keys=True).encode()
    if len(content) > _MOST:
        raise Failure(
            "the stack file and settings of release %s have %d KiB, and a swarm keeps no config of more than %d KiB, "
            "so a rollback to this release would not be possible. Make bulkhead_env or bulkhead_services smaller"
            % (name, len(content) >> 10, _MOST >> 10)
        )
    return content


def config_name(prefix: str, release: str) -> str:
    """The config that keeps a release; the time in a release's name is enough where there is no room for all of it."""
    return ("%s_%s" % (prefix, release))[:_LONGEST]


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(config["Spec"].get("Labels") or {})


def _turn(config: Mapping[str, Any]) -> int:
    """When a release came into force, among the others; 0 where that cannot be read."""
    number = _labels(config).get(IN_FORCE, "")
    return int(number) if number.isdecimal() else 0
