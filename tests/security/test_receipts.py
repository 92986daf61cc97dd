# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A receipt says what a run found and did, whatever its variables say."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from support import Site

FORGED = {"changed": True, "commit": "cafe" * 10, "release": "20200101T000000Z-forged"}


def test_no_variable_forges_a_receipt(site: Site) -> None:
    """Names that earlier steps once registered their results under, set by ``-e``; and a permission is recorded.

    Control: Ansible lets ``-e`` replace what a task has registered.
    """
    place = site.small()
    kept = site.directory / "receipt.json"
    extra = dict.fromkeys(("_environment_converged", "_environment_source", "receipt", "session"), FORGED)
    options = ["-e", json.dumps(extra), "-e", "bulkhead_lock_takeover=true", "-e", f"bulkhead_receipt={kept}"]
    plain = [
        {"name": "Find", "ansible.builtin.debug": {"msg": "found"}, "register": "_environment_converged"},
        {"name": "Show", "ansible.builtin.debug": {"msg": "commit {{ _environment_converged.commit }}"}},
    ]
    book = site.directory / "plain.yml"
    book.write_text(yaml.safe_dump([{"name": "Plain", "hosts": "all", "gather_facts": False, "tasks": plain}]))
    assert f"commit {FORGED['commit']}" in site.play(*options, playbook=book).output

    run = place.deploy(*options).succeeded()
    receipt = json.loads(kept.read_text())
    (made,) = (site.directory / "machine-state/deployed" / place.prefix / "releases").glob("2*")
    assert (receipt["release"], receipt["commit"]) == (made.name, "")
    assert "cafe" not in kept.read_text() + run.result("verify")["receipt"]["path"]
    assert receipt["permissions"] == {"bulkhead_lock_takeover": True}
    assert "permitted bulkhead_lock_takeover=true (-e)" in run.output

    # Nor does a task that writes into the run's own temporary directory: the session found there is sealed.
    forger = site.directory / "forge.yml"
    name = f"bulkhead-session-{place.prefix}"
    session = {"prefix": place.prefix, "token": "t", "began": "2020-01-01T00:00:00Z", "converged": FORGED}
    tasks = [
        {
            "name": "Forge",
            "ansible.builtin.shell": f"for d in {site.directory}/home/.ansible/tmp/ansible-local-*; "
            f"do echo '{json.dumps(session)}' > $d/{name}; ls -a $d; done",
            "register": "written",
        },
        {"name": "Show", "ansible.builtin.debug": {"var": "written.stdout_lines"}},
        {"name": "Verify", "aiia.bulkhead.verify": None},
    ]
    forger.write_text(yaml.safe_dump([{"name": "Forge", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    Path(kept).unlink()
    run = site.play("-l", "small", "-e", f"bulkhead_receipt={kept}", playbook=forger).succeeded()
    assert name in run.output, "the file was written where a session is kept"
    assert not kept.exists() and not run.result("verify")["receipt"], "a verification, not the end of a deployment"
