# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``-e``, variables of a play and keywords of a task cannot do."""

from __future__ import annotations

from support import Site


def test_x(site: Site) -> None:
    place = site.small()
    run = place.deploy().succeeded()
    print(run.output, run.seconds)
    run = place.deploy("-e", "bulkhead_lock_takeover=true").succeeded()
    print(run.output, run.seconds)
    print(run.result("verify")["receipt"])
    run = site.play("-l", "small", playbook="playbooks/rollback.yml")
    print(run.output)
    run = site.play(playbook="playbooks/releases.yml")
    print(run.output)
    assert 0
