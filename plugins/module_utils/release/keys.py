# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a private key that root copies for an environment belongs to a certificate of that environment's."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterable, Iterator

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


def fits(certificates: bytes, key: bytes) -> bool:
    """Whether a key is that of the first certificate of a chain. Both are PEM texts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")  # how strong they are is for others to judge
    with _in_memory(certificates) as chain, _in_memory(key) as private:
        try:
            context.load_cert_chain(chain, private, password=lambda: "")
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            return False
    return True


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """The path of a file without a name, which only this process can open."""
    descriptor = os.memfd_create("pem")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(content)
        yield "/proc/self/fd/%d" % descriptor
    finally:
        os.close(descriptor)
