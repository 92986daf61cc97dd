# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new environment, as a user makes it: the files, the proof, and every reason not to write any."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT

LINK = ROOT / ".ansible" / "collections"
pytestmark = pytest.mark.skipif(not LINK.exists(), reason="the collection's link is made by 'make setup'")

ANSWERS = {
    "bulkhead_project": "shop",
    "bulkhead_source_repository": "git@github.com:example/shop.git",
    "bulkhead_domain": "shop.example.com",
    "bulkhead_server": "203.0.113.5",
}


def playbook(directory: Path, *arguments: str, name: str = "new") -> subprocess.CompletedProcess[str]:
    """Run one of the collection's playbooks without a terminal."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(directory),
        "ANSIBLE_CONFIG": str(directory / "none"),
        "ANSIBLE_COLLECTIONS_PATH": str(LINK),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "LC_ALL": "C.UTF-8",
    }
    argv = ["ansible-playbook", f"aiia.bulkhead.{name}", *arguments]
    return subprocess.run(
        argv,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with the guide's inventory."""
    shutil.copytree(ROOT / "inventories" / "eduaiia", tmp_path / "mine", ignore=shutil.ignore_patterns("vault.yml"))
    return tmp_path


def like(name: str, group: str) -> list[str]:
    return ["-i", "mine", "-e", f"bulkhead_new={name}", "-e", f"bulkhead_like={group}"]


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_like_staging_and_like_production(site: Path) -> None:
    """Two new environments live beside the guide's two; the plan proves all four."""
    before = contents(site / "mine")
    for name, group in (("qa", "staging"), ("preprod", "production")):
        made = playbook(site, *like(name, group))
        assert made.returncode == 0, made.stdout + made.stderr
    assert "proved on paper: 4 environments" in made.stdout
    assert "-l preprod -e bulkhead_secret=init --vault-id preprod@prompt" in " ".join(made.stdout.split())
    assert {name: text for name, text in contents(site / "mine").items() if name in before} == before
    qa = yaml.safe_load((site / "mine/group_vars/qa/main.yml").read_text())
    assert (qa["bulkhead_environment"], qa["bulkhead_owner"], qa["bulkhead_http_port"]) == ("qa", "aiia-qa", 8081)
    plan = playbook(site, "-i", "mine", name="plan")
    assert plan.returncode == 0 and "proved on paper: 4 environments" in plan.stdout, plan.stdout


def passwords(directory: Path, *groups: str) -> list[str]:
    """Vault passwords of groups, as options of a run."""
    found = []
    for group in groups:
        path = directory / f"{group}.password"
        path.write_text(f"{group}, which nobody guesses")
        found += ["--vault-id", f"{group}@{path}"]
    return found


def fingerprints(inventory: Path, group: str) -> dict[str, Any]:
    """What is committed of a group's secrets."""
    text = (inventory / f"group_vars/{group}/fingerprints.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["bulkhead_fingerprints"]
    return found


def test_with_its_password_its_secrets_are_made_too(site: Path) -> None:
    """A vault that its own password alone opens, and the fingerprints beside it, of the salt that the others have. The
    gate reads both, and nobody else's password is needed."""
    init = ["-i", "mine", "-l", "staging", "-e", "bulkhead_secret=init", *passwords(site, "staging")]
    assert playbook(site, *init, name="secrets").returncode == 0
    made = playbook(site, *like("qa", "staging"), *passwords(site, "qa"))
    assert made.returncode == 0, made.stdout
    said = " ".join(made.stdout.split())
    assert "locked with the password of qa; fingerprints beside it" in said and "proved on paper" in said
    assert "aiia.bulkhead.deploy -i mine -l qa --vault-id qa@prompt" in said.replace(f"{site}/", "")
    vault = (site / "mine/group_vars/qa/vault.yml").read_text()
    assert vault.startswith("$ANSIBLE_VAULT;1.2;AES256;qa\n")
    found = fingerprints(site / "mine", "qa")
    assert {"SECRET_KEY", "DB_PASSWORD", "REDIS_PASSWORD"} <= set(found["secrets"])
    assert found["salt"] == fingerprints(site / "mine", "staging")["salt"]
    audit = playbook(
        site, "-i", "mine", "-l", "qa", "-e", "bulkhead_secret=audit", *passwords(site, "qa"), name="secrets"
    )
    assert audit.returncode == 0 and "nothing wrong with them" in audit.stdout, audit.stdout


def test_a_refused_environment_leaves_no_vault(site: Path) -> None:
    staging = site / "mine/group_vars/staging/main.yml"
    staging.write_text(f"{staging.read_text()}\nbulkhead_database_name: aiia_prod\n")
    before = contents(site / "mine")
    made = playbook(site, *like("qa", "staging"), *passwords(site, "qa"))
    assert made.returncode != 0 and "the environment would be refused" in made.stdout, made.stdout
    assert contents(site / "mine") == before


def test_subnets_come_from_the_committed_file(site: Path) -> None:
    """One after the other, with the addresses in them; the file has those that were there before."""
    staging = site / "mine/group_vars/staging/main.yml"
    config = "[{subnet: 10.20.1.0/24, gateway: 10.20.1.1}]"
    networks = f"bulkhead_compose: {{networks: {{default: {{ipam: {{config: {config}}}}}}}}}"
    staging.write_text(f"{staging.read_text()}\n{networks}\n")
    for name, subnet in (("qa", "10.20.0"), ("preprod", "10.20.2")):
        made = playbook(site, *like(name, "staging"))
        assert made.returncode == 0 and "subnets.txt" in made.stdout, made.stdout
        written = yaml.safe_load((site / f"mine/group_vars/{name}/main.yml").read_text())
        (found,) = written["bulkhead_compose"]["networks"]["default"]["ipam"]["config"]
        assert found == {"subnet": f"{subnet}.0/24", "gateway": f"{subnet}.1"}
    lines = [line for line in (site / "mine/subnets.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["pool 10.20.0.0/16", "10.20.1.0/24 staging", "10.20.0.0/24 qa", "10.20.2.0/24 preprod"]
    before = contents(site / "mine")
    (site / "mine/subnets.txt").write_text("pool 10.20.0.0/22\n10.20.0.0/22 office\n")
    full = playbook(site, *like("demo", "staging"))
    assert full.returncode != 0 and "has no free subnet of the size /24 left" in " ".join(full.stdout.split())
    (site / "mine/subnets.txt").write_bytes(before["subnets.txt"])
    assert contents(site / "mine") == before


def test_behind_the_front_door(site: Path) -> None:
    """The new environment is behind it too, and has no port of its own."""
    for group in ("production", "staging"):
        path = site / f"mine/group_vars/{group}/main.yml"
        lines = [line for line in path.read_text().splitlines() if "_port: " not in line or "app_port" in line]
        path.write_text("\n".join([*lines, "bulkhead_edge: true", ""]))
    made = playbook(site, *like("qa", "staging"))
    assert made.returncode == 0 and "ports: 80 and 443 of the machine''s front door" in made.stdout, made.stdout
    qa = yaml.safe_load((site / "mine/group_vars/qa/main.yml").read_text())
    assert qa["bulkhead_edge"] is True and not {"bulkhead_http_port", "bulkhead_https_port"} & set(qa)


def test_check_mode_writes_nothing(site: Path) -> None:
    """The diff shows the files."""
    before = contents(site)
    made = playbook(site, *like("qa", "staging"), "--check", "--diff")
    assert made.returncode == 0 and "+bulkhead_environment: qa" in made.stdout, made.stdout
    assert {name: text for name, text in contents(site).items() if not name.startswith(".ansible")} == before


def test_values_that_stand_elsewhere(site: Path) -> None:
    """What the model takes from a template of all environments is set where it would be equal."""
    everyone, staging = site / "mine/group_vars/all/main.yml", site / "mine/group_vars/staging/main.yml"
    text = "".join(line for line in staging.read_text().splitlines(True) if not line.startswith("bulkhead_directory"))
    staging.write_text(text)
    everyone.write_text(f"{everyone.read_text()}\nbulkhead_directory: /srv/common/app\n")
    made = playbook(site, *like("qa", "staging"))
    assert made.returncode == 0, made.stdout
    assert yaml.safe_load((site / "mine/group_vars/qa/main.yml").read_text())["bulkhead_directory"] == "/srv/qa/app"


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        (like("staging", "production"), ["the inventory has a group staging already"]),
        (like("qa", "stagin"), ["has no environment of that group. It has: production, staging"]),
        (like("../qa", "nothing"), ["bulkhead_new is '../qa'", "bulkhead_like is 'nothing'"]),
        (["-i", "mine/hosts.yml", *like("qa", "staging")[2:]], ["Give one directory, such as -i inventories/mine"]),
    ],
)
def test_nothing_is_written(site: Path, arguments: list[str], reasons: list[str]) -> None:
    """Every reason at once, and no file."""
    before = contents(site / "mine")
    made = playbook(site, *arguments)
    assert made.returncode != 0 and "Traceback" not in made.stdout + made.stderr
    for reason in reasons:
        assert reason in " ".join(made.stdout.split()), made.stdout
    assert contents(site / "mine") == before


def test_an_environment_that_the_gate_would_refuse(site: Path) -> None:
    """A domain that belongs to both is a finding of the proof: nothing is left of the new environment."""
    everyone = site / "mine/group_vars/all/main.yml"
    everyone.write_text(f"{everyone.read_text()}\nbulkhead_backup_directory: /srv/backups/one\n")
    staging = site / "mine/group_vars/staging/main.yml"
    staging.write_text(f"{staging.read_text()}\nbulkhead_database_name: aiia_prod\n")
    before = contents(site / "mine")
    made = playbook(site, *like("qa", "staging"))
    assert made.returncode != 0 and "the environment would be refused" in made.stdout, made.stdout
    assert contents(site / "mine") == before


def test_variables_that_are_elsewhere(site: Path) -> None:
    """Beside the playbook, not in the inventory: said, and no file is left."""
    shutil.move(site / "mine/group_vars", site / "group_vars")
    before = contents(site)
    (site / "new.yml").write_text("- ansible.builtin.import_playbook: aiia.bulkhead.new\n")
    made = playbook(site, *like("qa", "staging"))
    assert made.returncode != 0 and "has no environment of that group" in " ".join(made.stdout.split()), made.stdout
    assert {name: text for name, text in contents(site).items() if name in before} == before


@pytest.mark.parametrize("kind", ["django", "container"])
def test_the_first_inventory_of_an_application(tmp_path: Path, kind: str) -> None:
    """From nothing to a proved inventory; a second time nothing is overwritten."""
    arguments = [
        part for name, value in {**ANSWERS, "bulkhead_kind": kind}.items() for part in ("-e", f"{name}={value}")
    ]
    made = playbook(tmp_path, *arguments)
    assert made.returncode == 0 and "proved on paper: 2 environments" in made.stdout, made.stdout
    before = contents(tmp_path / "inventory")
    plan = playbook(tmp_path, "-i", "inventory", name="plan")
    assert plan.returncode == 0, plan.stdout
    again = playbook(tmp_path, *arguments)
    assert again.returncode != 0 and "exists; nothing was written" in " ".join(again.stdout.split()), again.stdout
    assert contents(tmp_path / "inventory") == before


def test_the_first_inventory_with_its_secrets(tmp_path: Path) -> None:
    """Each environment's with a password of its own; fingerprints of one salt show that no secret is in both."""
    arguments = [part for name, value in ANSWERS.items() for part in ("-e", f"{name}={value}")]
    made = playbook(tmp_path, *arguments, *passwords(tmp_path, "production", "staging"))
    assert made.returncode == 0 and "proved on paper: 2 environments" in made.stdout, made.stdout
    salts = set()
    for group in ("production", "staging"):
        folder = tmp_path / "inventory/group_vars" / group
        assert (folder / "vault.yml").read_text().startswith(f"$ANSIBLE_VAULT;1.2;AES256;{group}\n")
        salts.add(fingerprints(tmp_path / "inventory", group)["salt"])
    assert len(salts) == 1


def test_answers_that_are_missing_or_wrong(tmp_path: Path) -> None:
    """Without a terminal every question that was not answered is named, with an example."""
    made = playbook(tmp_path, "-e", "bulkhead_domain=https://shop.example.com", "-e", "bulkhead_port=99999")
    said = " ".join(made.stdout.split())
    assert made.returncode != 0
    for part in ("bulkhead_project is not set", "bulkhead_server is not set", "bulkhead_domain is 'https://", "99999"):
        assert part in said, said
    assert not (tmp_path / "inventory").exists()
