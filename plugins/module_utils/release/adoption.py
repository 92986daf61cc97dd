# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take over, once, what an older version left of an environment. Runs on the targets.

Older versions kept state and releases below the environment's directory, where its owner can write. So only the
release in force is taken over, and only if root's own registry knows that release and the digests of its files, which
are keyed. What the registry does not know is confined to the environment, or left out.
"""

from __future__ import annotations

import atexit
import hmac
import os
import re
import shutil
import tempfile
from typing import Any

from ..core.directory import DesiredFile, digest
from ..core.errors import Failure
from ..core.layout import OLDER, RELEASES, STATE
from ..state.deployed import read_json, save_state
from ..state.home import Home
from ..state.registry import Registry
from .service import Service
from .store import MANIFEST, Releases, files_digest, mount_sources

#: What of an older state only concerns the environment's own services.
_STATE = ("applied", "settings", "hashes", "made_for", "prepared")

#: What of an older manifest the registry knows better, or does not vouch for.
_MANIFEST = ("compose_file", "firewall", "services", "images")


def take_over(home: Home, check: bool = False) -> None:
    """Keep the state and the release in force of an older version as this one keeps them.

    In a ``check`` they are kept for as long as this process runs, and nothing on the machine changes.
    """
    if home.kept.status(STATE) is not None:
        return
    try:
        state = read_json(home, os.path.join(OLDER, STATE))
        entry = Registry(home.state).entry(home.prefix) if state else {}
        if not entry or entry.get("directory") != home.directory or entry.get("release") != state.get("release"):
            return
        manifest, files = _vouched(home, entry, str(state["release"]))
    except (Failure, KeyError, TypeError, ValueError, AttributeError):
        return  # it may be anything: the next deployment makes everything anew
    if check:
        folder = tempfile.mkdtemp(prefix="bulkhead-")
        atexit.register(shutil.rmtree, folder, True)
        home.use(folder)
    if _keep(home, entry, state, manifest, files) and not check:
        # With secrets of old in them, and nothing reads them any more.
        home.remove(os.path.join(OLDER, RELEASES))
        home.unlink(os.path.join(OLDER, STATE))


def _vouched(home: Home, entry: dict[str, Any], name: str) -> tuple[dict[str, Any], list[DesiredFile]]:
    """The manifest and files of the release in force. Raises ValueError where the registry does not vouch for them."""
    if not name or os.path.basename(name) != name:
        raise ValueError(name)
    folder = os.path.join(OLDER, RELEASES, name)
    manifest = read_json(home, os.path.join(folder, MANIFEST))
    key, known, files = Registry(home.state).key(), entry["files"], []
    if entry["key"] != digest(key)[:8]:
        raise ValueError("the machine's key is another one")
    for file in manifest["files"]:
        content = home.read(os.path.join(folder, file["path"]))
        if content is None or digest(content) != file["digest"]:
            raise ValueError(file["path"])
        files.append(DesiredFile(str(file["path"]), content, int(file["mode"]) & 0o777, bool(file["secret"])))
    for file in files:
        seal = hmac.new(key, file.content, "sha256").hexdigest()[:32]
        if not hmac.compare_digest(str(known.get(file.path, seal)), seal):
            raise ValueError(file.path)
    if not {".env", manifest["compose_file"]} <= {*known} & {file.path for file in files}:
        raise ValueError("the registry does not know its Compose file")
    return manifest, files


def _keep(
    home: Home, entry: dict[str, Any], state: dict[str, Any], manifest: dict[str, Any], files: list[DesiredFile]
) -> bool:
    """Keep them as this version does. Returns whether that was possible."""
    name = str(state["release"])
    text = next(file for file in files if file.path == manifest["compose_file"]).content.decode("utf-8", "replace")
    services = [Service.from_dict(service) for service in manifest["services"]]
    for path in [*mount_sources(services), *(path for service in services for path in service.files)]:
        if os.path.isabs(path) or os.path.normpath(path).split(os.sep)[0] == "..":
            return False
    params = {
        **{key: manifest[key] for key in _MANIFEST if key in manifest},
        "services": services,
        "commit": str(entry.get("commit") or ""),
        "environment": {key: entry[key] for key in manifest.get("environment") or {} if key in entry},
        "networks": [network for network in manifest.get("networks") or () if str(network) in text],
        "volumes": [volume for volume in manifest.get("volumes") or () if str(volume) in text],
        "ports": manifest.get("ports") or [],
        "firewall_ports": _own_ports(entry, manifest),
    }
    releases = Releases(home)
    releases.stage(name, files, services)
    releases.complete(name, files, params, {str(image): str(by) for image, by in manifest["images"].items()})
    kept: dict[str, Any] = {key: state[key] for key in _STATE if isinstance(state.get(key), dict)}
    kept.update(release=name, commit=params["commit"], digest=files_digest(files))
    kept["files"] = [path for path in state.get("files") or () if isinstance(path, str)]
    if state.get("firewall") is not None:
        kept["firewall"] = params["firewall_ports"]
    save_state(home, kept)
    return True


def _own_ports(entry: dict[str, Any], manifest: dict[str, Any]) -> list[dict[str, str]]:
    """The ports that the guard left open, as far as the registry knows them as the environment's own."""
    claims = [claim for claim in entry.get("claims") or () if "port" in str(claim.get("namespace"))]
    own = {number for claim in claims for number in re.findall(r"\d+", str(claim.get("key")))}
    return [port for port in manifest.get("firewall_ports") or () if set(re.findall(r"\d+", port["ports"])) <= own]
