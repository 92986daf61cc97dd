# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels of containers, networks, volumes and images: Compose's and Bulkhead's. Runs on the targets."""

from __future__ import annotations

COMPOSE = "com.docker.compose."
OURS = "io.bulkhead."

# Compose's.
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
WORKING_DIRECTORY = "com.docker.compose.project.working_dir"
ONE_OFF = "com.docker.compose.oneoff"
CONFIG_HASH = "com.docker.compose.config-hash"

#: Docker's, on all that belongs to a stack of a swarm: the stack's name.
STACK = "com.docker.stack.namespace"

#: Docker's, on the container of a task: the name of its service.
SWARM_SERVICE = "com.docker.swarm.service.name"

#: Both of them, on the container of a task.
OF_A_STACK = frozenset({STACK, SWARM_SERVICE})

# Ours. The first three say which environment a container, network, volume or image was made for.
APPLICATION = "io.bulkhead.project"
ENVIRONMENT = "io.bulkhead.environment"
PREFIX = "io.bulkhead.prefix"
#: A digest of the input that a service was rendered from.
INPUT = "io.bulkhead.input"
#: The release that created a container. Unchanged services keep their label, because a new one would recreate them
#: (``release/comparison.py``).
RELEASE = "io.bulkhead.release"
#: What an image was built from, for people: the commit, and a digest of all other build inputs. What vouches for an
#: image is recorded elsewhere (``image/record.py``): anybody can set a label.
COMMIT = "io.bulkhead.commit"
BUILD_INPUTS = "io.bulkhead.inputs"
#: Containers that exist only during the run that created them.

PROBE = "io.bulkhead.probe"
RESTORE = "io.bulkhead.restore"
#: On the containers of a machine's front door, which belongs to no environment: its state directory.
FRONT_DOOR = "io.bulkhead.edge"

#: On the node of a swarm that has an environment's volumes: this and the environment's prefix, with the value ``true``.
DATA = "io.bulkhead.data."
#: Stands for that node's id in a stack file: the manager puts it there. With the label alone, the engine would start an
#: empty database on another node as soon as that one has the label.
DATA_NODE_ID = "the-node-with-the-data"

#: On each node of a swarm whose front door leads to an environment: this and the environment's prefix, likewise.
DOOR = "io.bulkhead.door."

#: All of ours. Whoever can set one of them could pass something off as another environment's.
MEANINGFUL = frozenset(
    {APPLICATION, ENVIRONMENT, PREFIX, INPUT, RELEASE, COMMIT, BUILD_INPUTS, PROBE, RESTORE, FRONT_DOOR}
)


def swarm_service(stack: str, key: str) -> str:
    """What Docker calls a service of a stack: by the stack's name, and the service's key in its file."""
    return "%s_%s" % (stack, key)
