# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a private key that root copies for an environment belongs to a certificate of that environment's."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..certificates.pem import fits
from ..core.directory import DesiredFile
from ..core.owner import is_below
from ..docker.engine import EngineError

_KEY, _CERTIFICATE = b"PRIVATE KEY-----", b"-----BEGIN CERTIFICATE-----"


def refuse_other_keys(files: Iterable[DesiredFile], directory: str) -> None:
    """Raise EngineError where a key that comes from outside of the environment's directory fits no certificate."""
    files = list(files)
    own = os.path.realpath(directory)
    certificates = [file.content for file in files if _CERTIFICATE in file.content]
    for file in files:
        outside = file.source and not is_below(os.path.realpath(file.source), own)
        if outside and _KEY in file.content and not any(fits(chain, file.content) for chain in certificates):
            raise EngineError(
                "%s is not copied into a release: this private key belongs to none of the release's certificates, or "
                "it needs a password. Set bulkhead_tls_certificate_path and bulkhead_tls_key_path to a certificate "
                "chain and its own key" % file.source
            )
