# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of the live gates. The plan never finds them, so it leaves their waivers for the gates to judge."""

from __future__ import annotations

#: Each rule's id and what a finding of it means.
LIVE_RULES = {
    "absent-front-door": "The machine has no front door, or one that does not answer, and the environment needs it.",
    "answers-foreign-host": "The environment answers a host that is not its own.",
    "application-superuser": "The application's database role is a superuser.",
    "away-on-network": "A container of the environment is on another environment's network.",
    "collation-changed": "PostgreSQL's image sorts texts otherwise than the one that made a database.",
    "compose-file-above": "A Compose file lies above the environment's directory.",
    "cookie-reaches-others": "A cookie is sent to other environments as well.",
    "damaged-registry": "An entry of the machine's registry cannot be used.",
    "disk-filling": "A disk of the machine has less free space or inodes than the alarm asks for.",
    "disk-full": "The machine has too little free disk space.",
    "drift": "Something has changed since the last deployment.",
    "foreign-database": "The environment's database server holds another environment's database or role.",
    "foreign-mount": "Another container mounts the environment's volume or files.",
    "foreign-name": "A name of the environment is taken on the machine.",
    "foreign-name-resolves": "A container of the environment resolves another environment's name.",
    "foreign-port-connects": "A container of the environment reaches another environment's port.",
    "foreign-project": "The environment's Compose project runs from another directory.",
    "foreign-server-lets-in": "Another environment's server lets in a container of the environment without a password.",
    "in-maintenance": "The environment answers with its maintenance page.",
    "kernel-limit": "A kernel resource that all environments share runs out.",
    "linked-checkout": "The environment's checkout is a link out of its directory.",
    "memory-full": "A server of the environment refused writes or dropped keys, because its memory was full.",
    "moved-checkout": "A checkout is not at the commit that was deployed.",
    "no-live-restore": "A restart of the engine stops every container.",
    "not-saved": "A server of the environment could not write its data to its volume.",
    "open-engine": "The engine listens without authentication.",
    "other-directory": "The environment was deployed from another directory.",
    "other-machine": "The environment was deployed to another machine or engine.",
    "out-of-memory": "The kernel killed a process of a container, which needed more memory than its limit.",
    "overcommitted-machine": "The other environments' limits do not leave the memory that is reserved for one.",
    "own-domain-elsewhere": "Something else answers the environment's domain.",
    "own-domain-unanswered": "Nothing answers the environment's domain.",
    "privileged-owner": "The user who owns the environment's directory may use the engine, and so is root.",
    "probe-failed": "A probe could not be made.",
    "reachable-loopback": "The engine lets other hosts reach ports on loopback.",
    "rebuilt-registry": "An entry of the machine's registry was lost or edited.",
    "redirect-leaves-ports": "A redirect leads away from the environment's ports.",
    "scheduled-prune": "A scheduled job of the machine removes everything that no container uses.",
    "setting-waits": "PostgreSQL takes a setting with its next start.",
    "shared-repository": "Two environments' checkouts share a git repository.",
    "stranger-on-network": "Another owner's container is on the environment's network.",
    "taken-port": "A port of the environment is taken on the machine.",
    "unhealthy": "A service of the environment is down or unhealthy.",
    "unknown-service": "A container of the environment's project was not deployed.",
    "unlimited-swap": "The machine has swap, and its kernel cannot limit it for a container.",
    "unregistered-environment": "An environment runs on the machine without a registry entry.",
    "zombie-project": "Containers from the environment's directory run under another project.",
}
