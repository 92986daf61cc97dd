# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask Compose and the services' own programs about a release that is written and not in force. Runs on the targets."""

from __future__ import annotations

import os
import tempfile
import time

from ..certificates.store import Store
from ..core.errors import last_lines
from ..core.layout import ACME
from ..docker.engine import TIMED_OUT, EngineError
from ..docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, WORKING_DIRECTORY
from .comparison import Comparison
from .service import Service

#: What a program may need to judge its configuration: to become its own user, and to speak of low ports.
_CAPABILITIES = ("CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID")


def check_compose(comparison: Comparison, directory: str) -> None:
    """Raise EngineError where Compose would not accept the release in a directory."""
    code, output, errors = comparison.engine.compose("config", "--quiet", directory=directory)
    if code != 0:
        raise EngineError("Compose does not accept %s" % comparison.engine.compose_file, last_lines(errors or output))


def validate(comparison: Comparison, directory: str) -> None:
    """Raise EngineError where a service would not accept its files of the release in a directory."""
    changed = {wanted.path for wanted in comparison.changed_files}
    for service in comparison.services:
        if service.validate and changed & set(service.files):
            _validate_service(comparison, service, directory)


def _validate_service(comparison: Comparison, service: Service, directory: str) -> None:
    command = ["run", "--rm", "--network", "none", "--security-opt", "no-new-privileges", "--cap-drop", "ALL"]
    command += ["--cap-add=%s" % capability for capability in _CAPABILITIES]
    # Labels that are not given are the image's, which may name another project.
    labels = {PREFIX: comparison.params["prefix"], PROJECT: comparison.engine.project, ONE_OFF: "True"}
    labels.update({SERVICE: service.key, WORKING_DIRECTORY: comparison.engine.directory})
    for label in labels.items():
        command += ["--label", "%s=%s" % label]
    for mount in service.mounts:
        source, target = mount.split(":")[:2]
        path = os.path.normpath(os.path.join(directory, source))
        if os.path.normpath(source) == ACME:  # of no release
            path = Store(comparison.params["prefix"], comparison.params["state_directory"]).live
        command += ["--volume", "%s:%s:ro" % (path, target)]
    program, limit = service.validate[0], int(comparison.params["wait_timeout"])
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        identity = os.path.join(folder, "id")
        command += ["--cidfile", identity, "--entrypoint", program, service.image, *service.validate[1:]]
        code, output, errors = comparison.engine.docker(*command, limit=limit)
        late = code in TIMED_OUT and time.monotonic() - began >= limit
        if late and os.path.isfile(identity):  # the client was stopped; a server that began to serve was not
            with open(identity, encoding="ascii") as stream:
                comparison.engine.docker("rm", "--force", stream.read())
    if code != 0:
        how = "does not accept its new configuration"
        if late:
            how = "did not end within %d s (bulkhead_wait_timeout): it must judge its files, and not serve" % limit
        raise EngineError("%s of service %s %s" % (program, service.name, how), last_lines(errors or output))
