# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Return to a kept release: the arguments that bring it into force. Runs on the targets."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..core.directory import DesiredFile
from ..core.masking import possible_secrets
from ..docker.engine import EngineError
from ..state.deployed import current_release
from .comparison import Comparison
from .store import OF_A_RELEASE, Releases


def as_kept(module: AnsibleModule, releases: Releases, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of the kept release that is meant, and the arguments that bring it into force."""
    current = current_release(releases.home)
    name = releases.resolve(params["name"], current)
    manifest, files = releases.manifest(name), releases.files(name)
    module.no_log_values.update(secret_texts(files))
    kept = {key: manifest[key] for key in OF_A_RELEASE if key in manifest}
    kept.update(services=releases.services(name), environment=manifest["environment"], release_files=files)
    return name, dict(params, **kept)


def secret_texts(files: list[DesiredFile]) -> set[str]:
    """The secrets in the files of a release, to be masked; what its open files say too is not secret."""
    texts = [(file.sensitive, file.content.decode("utf-8", "replace")) for file in files]
    shown = "\n".join(text for sensitive, text in texts if not sensitive)
    return possible_secrets([text for sensitive, text in texts if sensitive], shown)


def check_images(comparison: Comparison, releases: Releases, name: str) -> None:
    """Raise EngineError if an image of a kept release is gone, or if its name now means another image."""
    missing = releases.missing_images(name, comparison.images)
    if missing:
        raise EngineError(
            "release %s cannot be returned to: this machine no longer has its image %s. Choose another release (-e "
            "bulkhead_release=…), or deploy its commit again. Nothing was changed" % (name, " and ".join(missing))
        )
    # An image of ours that was built once more, from the same commit and inputs, does as well.
    moved = releases.moved_images(name, comparison.images, own=comparison.params["image_repository"])
    if moved:
        raise EngineError(
            "release %s cannot be returned to: %s. The name was given to another image since, and giving it back could "
            "change what others run by it. Choose another release (-e bulkhead_release=…), or deploy, with the image "
            "named by its digest or by a tag that is not moved. Nothing was changed" % (name, "; ".join(moved))
        )
