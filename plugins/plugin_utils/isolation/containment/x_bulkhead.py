# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service may say under ``x-bulkhead``, the key that is Bulkhead's own: each key, and what holds it inside."""

from __future__ import annotations

from collections.abc import Mapping

from .classes import TEXT, Class, Entry, inside_because

_IN_CONTAINER = inside_because("a command that runs in the service's own container")

X_BULKHEAD: Mapping[str, Entry] = {
    "backup": inside_because("databases and directories of the service's own container"),
    "edge": inside_because("sockets or ports in the service's own container"),
    "env": TEXT,
    "files": Entry(
        Class.PATH,
        None,
        "paths below the environment's directory that are not Bulkhead's own, each once; sources below it too, or the "
        "certificate and key of bulkhead_tls_certificate_path and bulkhead_tls_key_path",
    ),
    "manage": _IN_CONTAINER,
    "on_change": _IN_CONTAINER,
    "prepare": TEXT,
    "prepare_status": TEXT,
    "private": inside_because("names of the environment's own secrets"),
    "question": _IN_CONTAINER,
    "retire": _IN_CONTAINER,
    "rolling": inside_because("how the service is replaced"),
    "secrets": inside_because("names of the environment's own secrets"),
    "shm_part": inside_because("the part of the service's own memory limit that /dev/shm has"),
    "validate": _IN_CONTAINER,
    "workers": TEXT,
}
