# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo keeps secret, made once: vault passwords, certificates, and everything else as a user makes it.

What is there is kept, so a database made with these passwords stays open.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Any

import yaml
from belongings import demo_directories, demo_root
from steps import REPOSITORY, StepFailed, call_quietly

sys.path.insert(0, str(REPOSITORY / "tests"))

from certificate import self_signed

PLAYBOOK = str(REPOSITORY / ".venv/bin/ansible-playbook")

LOCAL_ENGINE = "unix:///var/run/docker.sock"

#: What the environment's variables of the shell set in the inventory.
CHOICES = {
    "demo_root": "BULKHEAD_DEMO_ROOT",
    "demo_port_offset": "BULKHEAD_DEMO_PORT_OFFSET",
    "demo_address": "BULKHEAD_DEMO_ADDRESS",
    "bulkhead_docker_host": "DOCKER_HOST",
}


def secrets_directory() -> Path:
    """Where the vault passwords are."""
    return Path(os.environ.get("BULKHEAD_DEMO_SECRETS") or REPOSITORY / ".demo-secrets")


def inventory() -> Path:
    """The demo's inventory."""
    return Path(os.environ.get("BULKHEAD_DEMO_INVENTORY") or REPOSITORY / "inventories/demo")


def certificates() -> Path:
    """Where the certificates and their keys are."""
    return demo_root() / "certificates"


def password_file(group: str) -> Path:
    """The vault password of one environment."""
    return secrets_directory() / f"{group}.vault-password"


def front_door() -> bool:
    """Whether both environments are behind a front door: it needs root, and an engine of this machine's own."""
    wanted = os.environ.get("BULKHEAD_DEMO_EDGE", "true") == "true"
    return wanted and os.geteuid() == 0 and os.environ.get("DOCKER_HOST", LOCAL_ENGINE) == LOCAL_ENGINE


def write_choices() -> None:
    """Have the directory, ports and engine that were chosen as plain text: others' values may need no lookup."""
    chosen: dict[str, Any] = {name: os.environ.get(variable, "") for name, variable in CHOICES.items()}
    chosen = {name: value for name, value in chosen.items() if value}
    if not front_door():
        chosen["bulkhead_edge"] = False
    text = yaml.safe_dump(chosen)
    (inventory() / "group_vars/all/own.yml").write_text(f"---\n{text}", encoding="utf-8")


def make_password(group: str) -> None:
    """Make the vault password of an environment. Raises StepFailed if it is lost."""
    path, vault = password_file(group), inventory() / "group_vars" / group / "vault.yml"
    if vault.exists() and not path.exists():
        raise StepFailed(
            f"{vault} exists, and its password file {path} does not. Put the password file back; or remove the vault "
            "file and the demo's volumes (make clean), which were made with its secrets."
        )
    secrets_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_new(path, f"{secrets.token_urlsafe(36)}\n", 0o600)


def make_certificate(group: str) -> None:
    """Make a certificate for an environment's domains, and for this machine."""
    variables = yaml.safe_load((inventory() / "group_vars" / group / "main.yml").read_text(encoding="utf-8"))
    certificate, key = certificates() / f"{group}.pem", certificates() / f"{group}.key"
    if not (certificate.exists() and key.exists()):
        certificates().mkdir(parents=True, exist_ok=True)
        for path in (certificate, key):
            path.unlink(missing_ok=True)
        texts = self_signed([*variables["bulkhead_domains"], "localhost", "127.0.0.1"], 1825)
        _write_new(certificate, texts[0], 0o644)
        _write_new(key, texts[1], 0o600)


def _write_new(path: Path, text: str, mode: int) -> None:
    """Write a file that is not there yet."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)


def main() -> int:
    try:
        write_choices()
        for group in demo_directories():
            make_password(group)
            make_certificate(group)
        for group in demo_directories():
            vault = ["--vault-id", f"{group}@{password_file(group)}"]
            init = [PLAYBOOK, "playbooks/secrets.yml", "-i", str(inventory()), "-l", group, *vault]
            call_quietly([*init, "-e", "bulkhead_secret=init"])
    except StepFailed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
