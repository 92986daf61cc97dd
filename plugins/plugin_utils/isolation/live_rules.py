# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that only a machine can break. On paper nothing is found by them; their waivers wait for the machine."""

from __future__ import annotations

#: Each rule of this package with what it means.
LIVE_RULES = {
    "answers-foreign-host": "The environment answers a host that is not its own.",
    "application-superuser": "The application's role may do anything on its database server.",
    "away-on-network": "A container of the environment is on another environment's network.",
    "compose-file-above": "A Compose file lies above the environment's directory.",
    "cookie-reaches-others": "A cookie is sent to other environments as well.",
    "damaged-registry": "An entry of the machine's registry cannot be used.",
    "disk-full": "There is too little room on the machine.",
    "drift": "Something is not as the last deployment left it.",
    "foreign-database": "The environment's database server holds another environment's database or role.",
    "foreign-mount": "Another container has the environment's volume or files.",
    "foreign-name": "A name of the environment is somebody else's on the machine.",
    "foreign-name-resolves": "A container of the environment resolves another environment's name.",
    "foreign-port-connects": "A container of the environment reaches another environment's port.",
    "foreign-project": "The environment's Compose project runs from another directory.",
    "foreign-server-lets-in": "Another environment's server lets a container of the environment in.",
    "in-maintenance": "The environment answers with its maintenance page.",
    "kernel-limit": "Something that the kernel counts for everybody runs out.",
    "linked-checkout": "The environment's checkout is a link to somewhere else.",
    "moved-checkout": "A checkout is not at the commit that was deployed.",
    "no-live-restore": "A restart of the engine stops every container.",
    "open-engine": "The engine listens without a password.",
    "other-directory": "The environment was deployed from another directory.",
    "other-machine": "The environment was deployed to another machine or engine.",
    "own-domain-elsewhere": "The environment's domain is answered by somebody else.",
    "own-domain-unanswered": "The environment's domain is answered by nobody.",
    "probe-failed": "A probe could not be made.",
    "reachable-loopback": "The engine lets neighbours reach ports on loopback.",
    "rebuilt-registry": "An entry of the machine's registry was lost or edited.",
    "redirect-leaves-ports": "A redirect leads away from the environment's ports.",
    "scheduled-prune": "A job of the machine removes what no container uses at that moment.",
    "shared-repository": "Two environments' checkouts have one git repository.",
    "stranger-on-network": "Somebody else's container is on the environment's network.",
    "taken-port": "A port of the environment is taken on the machine.",
    "unhealthy": "A container of the environment is not well.",
    "unknown-service": "A container of the environment's project was not deployed.",
    "unregistered-environment": "An environment runs on the machine and is not registered.",
    "zombie-project": "Containers from the environment's directory run under another project.",
}
