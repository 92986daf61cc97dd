# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A configuration that nginx calls good, and that the nginx which runs cannot take."""

from __future__ import annotations

from guide_stack import behind_nginx
from observe import ask, moment
from sabotage import words
from support import ROOT, Place, Site


def limited_by(place: Place, key: str) -> None:
    """Limit requests in a zone of shared memory, whose key nginx only compares when it is told to reload."""
    template = (ROOT / "roles/environment/templates/nginx.conf.j2").read_text()
    zone = f"limit_req_zone {key} zone=one:1m rate=1000r/s;\nadd_header X-Key {key[1:]} always;\n"
    (place.site.directory / "project/templates/own.conf.j2").write_text(zone + template)


def test_a_reload_that_changes_nothing(site: Site) -> None:
    """nginx ends such a reload with success and goes on as before: that is seen, told, and taken back."""
    project = site.directory / "project"
    (project / "templates").mkdir(parents=True)
    (project / "deploy.yml").write_text("- name: Deploy\n  ansible.builtin.import_playbook: aiia.bulkhead.deploy\n")
    place = behind_nginx(site, nginx_template="own.conf.j2")
    limited_by(place, "$binary_remote_addr")
    place.deploy(playbook=project / "deploy.yml").succeeded()
    before = moment(place)
    limited_by(place, "$server_name")
    run = place.deploy(playbook=project / "deploy.yml")
    assert "service nginx did not take its changed files. The previous release serves again" in run.error
    assert 'limit_req "one" uses the "$server_name" key while previously it used' in words(run.output), run.output
    assert moment(place) == before and ask(place, "/").body == b"hello"
    limited_by(place, "$binary_remote_addr")
    assert place.deploy(playbook=project / "deploy.yml").succeeded().changed == 0
