# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels of containers, networks, volumes and images: Compose's own, and ours. Runs on the targets."""

from __future__ import annotations

COMPOSE = "com.docker.compose."
OURS = "io.bulkhead."

# Compose's own.
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
WORKING_DIRECTORY = "com.docker.compose.project.working_dir"
ONE_OFF = "com.docker.compose.oneoff"
CONFIG_HASH = "com.docker.compose.config-hash"

# Ours. The first three say which environment a container, network, volume or image was made for.
APPLICATION = "io.bulkhead.project"
ENVIRONMENT = "io.bulkhead.environment"
PREFIX = "io.bulkhead.prefix"
#: A digest of what a service was rendered from.
INPUT = "io.bulkhead.input"
#: The release that a container was made for. One whose service did not change keeps its own: another label would
#: recreate it (``release/comparison.py``).
RELEASE = "io.bulkhead.release"
#: What an image was built from: the commit, a digest of its tree, a digest of all else that decides the build.
COMMIT = "io.bulkhead.commit"
TREE = "io.bulkhead.tree"
BUILD_INPUTS = "io.bulkhead.inputs"
#: Containers that end with the run that made them.
PROBE = "io.bulkhead.probe"
RESTORE = "io.bulkhead.restore"
