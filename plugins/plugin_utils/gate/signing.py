# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose signature a file has, as ssh-keygen says."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

#: What signatures of plans are for: one that was made for something else counts for nothing here.
NAMESPACE = "bulkhead-plan"

_SECONDS = 20
_LONGEST = 64 * 1024


class NotSigned(Exception):
    """A signature does not count; the text says why."""


def signer_of(content: bytes, signature: bytes, signers: Sequence[Mapping[str, Any]], today: date) -> str:
    """The principal of ``signers`` who signed a file.

    ``signers`` are entries of ``bulkhead_plan_signers``. Raises NotSigned where none of them did, or only one whose
    last day is past.
    """
    if len(signature) > _LONGEST:
        raise NotSigned("its signature is too long for one of ssh-keygen")
    expired = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "plan.sig").write_bytes(signature)
        for signer in signers:
            if not _verifies(content, signer, directory):
                continue
            if date.fromisoformat(str(signer["until"])) >= today:
                return str(signer["principal"])
            expired.append(f"the key of {signer['principal']}, who signed it, counted until {signer['until']}")
    if expired:
        raise NotSigned("; ".join(expired))
    names = ", ".join(dict.fromkeys(str(signer["principal"]) for signer in signers))
    raise NotSigned(
        f"its signature is not by a key of bulkhead_plan_signers ({names}), or is for other content, or for another "
        f"namespace than {NAMESPACE}"
    )


def _verifies(content: bytes, signer: Mapping[str, Any], directory: Path) -> bool:
    """Whether this signer's key made the signature in a private directory."""
    kind, key = str(signer["key"]).split()[:2]
    allowed = directory / "allowed"
    allowed.write_text(f'{signer["principal"]} namespaces="{NAMESPACE}" {kind} {key}\n', encoding="ascii")
    options = ["-f", str(allowed), "-I", str(signer["principal"]), "-n", NAMESPACE, "-s", str(directory / "plan.sig")]
    try:
        done = subprocess.run(
            ["ssh-keygen", "-Y", "verify", *options],
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "LC_ALL": "C"},
            input=content,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotSigned(f"ssh-keygen did not answer within {_SECONDS} s") from None
    except OSError as error:
        raise NotSigned(
            f"its signature cannot be verified: ssh-keygen: {error.strerror}. Install openssh-client on the controller"
        ) from None
    return done.returncode == 0
