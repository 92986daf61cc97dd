# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of code for the hosts share: Ansible's own module object."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args


@pytest.fixture
def module() -> Iterator[AnsibleModule]:
    """The real thing: what a module on a host has."""
    with patch_module_args({}):
        yield AnsibleModule(argument_spec={})
