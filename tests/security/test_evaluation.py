# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the variables of one environment can do while another is deployed, and what can change after the proof."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from support import Place, Run, Site, docker, only, web

PLAN = "playbooks/plan.yml"
CONVERGE = {"bulkhead_secrets": {"TOKEN": "token-of-production-0123456789"}}


@pytest.fixture
def pair(site: Site) -> tuple[Place, Place]:
    """Production with a secret in its vault, and staging, whose variables an attacker writes."""
    production = site.small("production", "prod", secrets=dict(CONVERGE))
    staging = site.small("staging", "staging")
    return production, staging


def add(place: Place, **variables: Any) -> None:
    """Add variables of an environment as a person writes them: with templates."""
    path = place.site.inventory / "group_vars" / place.group / "overriding.yml"
    path.write_text(yaml.safe_dump({f"bulkhead_{name}": value for name, value in variables.items()}, width=10**6))


def plan(site: Site, *arguments: str, passwords: list[str] | None = None) -> Run:
    """Prove the fleet as it is written now."""
    return site.play(*arguments, playbook=PLAN, write=False, passwords=passwords)


def test_others_run_nothing(pair: tuple[Place, Place], tmp_path: Path) -> None:
    """A lookup of staging does not run while production is planned or deployed, nor in the plan of the whole fleet."""
    production, staging = pair
    site, marker = production.site, tmp_path / "ran"
    site.write()
    add(staging, env={"SAY": "hello", "TRAP": f"{{{{ lookup('pipe', 'touch {marker}') }}}}"})
    assert "not read here: bulkhead_env.TRAP (needs lookup())" in plan(site).succeeded().output
    site.play("-l", "production", "--check", write=False).succeeded()
    assert not marker.exists()
    # The control: where staging itself is meant, the same lookup runs.
    plan(site, "-l", "staging").succeeded()
    assert marker.exists()


def test_others_use_no_secret(pair: tuple[Place, Place], tmp_path: Path) -> None:
    """Staging cannot read production's vault while production's password is in the run."""
    production, staging = pair
    site, report = production.site, tmp_path / "report.json"
    site.write()
    vault = site.inventory / "group_vars/production/vault.yml"
    seen = tmp_path / "seen"
    stolen = f"{{{{ lookup('unvault', '{vault}') | regex_search('token-of[^\\n]*') }}}}"
    add(staging, env={"SAY": "hello", "STOLEN": stolen}, domains=[f"{stolen}.example.com"])
    add(production, report=str(report))
    run = plan(site, "-l", "production", "-vvv")
    assert "token-of-production" not in run.output + report.read_text()
    assert "proved on paper" in run.output
    assert "not proved, for lack of values" in run.output
    # The same file, taken over as staging's own: it is not opened, and its vault id says whose it is.
    taken = site.inventory / "group_vars/staging/sets.yml"
    taken.write_text(vault.read_text())
    run = plan(site, "-l", "production", "-vvv")
    assert "token-of-production" not in run.output + report.read_text()
    assert "foreign-vault-id" in run.output
    taken.unlink()
    # The control: the expression gives the secret to a run that evaluates it.
    book = tmp_path / "book.yml"
    task = {"name": "Read", "ansible.builtin.copy": {"content": stolen, "dest": str(seen), "mode": "0600"}}
    book.write_text(yaml.safe_dump([{"name": "Own", "hosts": "staging", "gather_facts": False, "tasks": [task]}]))
    site.play(playbook=book, write=False).succeeded()
    assert "token-of-production" in seen.read_text()


def test_what_is_proved_is_shipped(site: Site, tmp_path: Path) -> None:
    """A lookup that answers otherwise each time is asked once in a run: the mount that was proved is the one made."""
    counter = tmp_path / "counter"
    script = tmp_path / "next.sh"
    script.write_text(f'echo x >> {counter}\necho "./data$(wc -l < {counter})"\n')
    place = site.small("staging", "staging")
    site.write()
    volume = f"{{{{ lookup('pipe', 'sh {script}') }}}}:/data"
    add(place, services=only(web=web(volumes=[volume])), env={"SAY": "hello"})
    site.play("-l", "staging", write=False).succeeded()
    assert counter.read_text() == "x\n"
    found = json.loads(docker("inspect", f"{place.prefix}_web"))[0]["Mounts"]
    assert [mount["Source"] for mount in found] == [str(place.directory / "data1")]
    # The control: another run gets another answer.
    plan(site, "-l", "staging").succeeded()
    assert counter.read_text() == "x\nx\n"


FORGE = """
- name: Own
  hosts: staging
  gather_facts: false
  tasks:
    - name: Write what the gate keeps
      ansible.builtin.copy:
        src: "{{ forged }}"
        dest: "{{ lookup('config', 'DEFAULT_LOCAL_TMP') }}/{{ item }}"
        mode: "0600"
      loop: [bulkhead-proof, "bulkhead-session-{{ bulkhead_prefix }}", bulkhead-proof.json]
      delegate_to: localhost
    - name: Converge
      aiia.bulkhead.converge:
"""


class Bomb:
    """Runs a harmless program where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_forged_proof(site: Site, tmp_path: Path) -> None:
    """A task of the run writes a proof: it is neither believed nor opened, and the step proves anew."""
    place = site.small("staging", "staging")
    site.write()
    forged, marker, book = tmp_path / "forged", tmp_path / "ran", tmp_path / "book.yml"
    forged.write_bytes(pickle.dumps(Bomb(marker)))
    options = ("-l", "staging", "-e", f"forged={forged}")
    book.write_text(FORGE.replace("{{ bulkhead_prefix }}", place.prefix))
    site.play(*options, playbook=book, write=False).succeeded()
    assert docker("inspect", f"{place.prefix}_web") and not marker.exists()
    # What would be refused is refused with a forged proof, too.
    add(place, services=only(web=web(privileged=True)))
    run = site.play(*options, playbook=book, write=False)
    assert run.code != 0 and "privileged" in run.output and not marker.exists()
    # The control: the forged file does run a program where it is believed.
    pickle.loads(forged.read_bytes())
    assert marker.exists()


def inline(text: str, password: str, identity: str) -> str:
    """An encrypted value as YAML has it."""
    vault = VaultLib([(identity, VaultSecret(password.encode()))])
    lines = vault.encrypt(text, vault_id=identity).decode().splitlines()
    return "!vault |\n" + "\n".join(f"      {line}" for line in lines)


def test_a_forgotten_vault_id(site: Site) -> None:
    """Values that cannot be decrypted are named with file, line and vault id, and nothing is deployed."""
    place = site.small("staging", "staging")
    site.write()
    value = inline("opened-at-last", "second password", "second")
    (site.inventory / "group_vars/all/shared.yml").write_text(f"bulkhead_env_shared:\n  SHARED: {value}\n")
    hidden = "{{ own | b64encode | hash('sha256') }}"
    (site.inventory / "group_vars/staging/second.yml").write_text(
        f'own: {value}\nbulkhead_env:\n  SAY: hello\n  HASHED: "{hidden}"\n  OTHER: "{{{{ own == \'x\' }}}}"\n'
        f"  KEY: {value}\nbulkhead_secrets:\n  TOKEN: {value}\n"
    )
    run = site.play("-l", "staging", write=False)
    assert run.code != 0 and "Traceback" not in run.output
    words = "".join(run.output.split())  # lines end where the screen does, also inside of names
    for name in ("env_shared.SHARED", "env.HASHED", "env.OTHER", "env.KEY", "secrets.TOKEN"):
        assert f"bulkhead_{name}cannotbe" in words or name == "env.OTHER", (
            name
        )  # told with HASHED: the cause is the same
    assert "bulkhead_env.OTHER" in words and "bulkhead_env.HASHEDcannotberead:itneedsown(" in words
    assert "vaultidsecond" in words and "second.yml:12" in words and "shared.yml:2" in words
    assert "sealed-value" in run.result("plan")["msg"] and not place.directory.exists()
    # The control: with the second password the values arrive.
    (site.directory / "second").write_text("second password")
    site.play("-l", "staging", "--vault-id", f"second@{site.directory / 'second'}", write=False).succeeded()
    env = (place.directory / ".env").read_text()
    assert "bulkhead-sealed-value" not in env and env.count("opened-at-last") == 3


def test_our_word_for_a_sealed_value_is_not_shipped(site: Site) -> None:
    """Whoever writes the word itself is refused: it would look like a value that was not read."""
    place = site.small("staging", "staging", env={"SAY": "hello", "KEY": "x-bulkhead-sealed-value"})
    assert "sealed-value" in place.deploy().error


def test_errors_of_others_stop_nothing(pair: tuple[Place, Place]) -> None:
    """A template of staging that fails is one finding on staging, in Ansible's words, and production is deployed."""
    production, staging = pair
    site = production.site
    site.write()
    add(staging, env={"SAY": "{{ no_such_variable }}"}, services={"web": {"mem_limit": "{{ 1 / 0 }}"}})
    run = site.play("-l", "production", "--check", write=False).succeeded()
    words = " ".join(run.output.split())
    assert "bulkhead_env.SAY cannot be resolved: 'no_such_variable' is undefined" in words
    assert "bulkhead_services.web.mem_limit cannot be resolved" in words and "NoneType" not in words
    assert site.play("-l", "staging", "--check", write=False).code != 0


def test_a_name_that_others_cannot_read(pair: tuple[Place, Place], tmp_path: Path) -> None:
    """Without staging's name nobody knows what is staging's: no other environment is deployed, and nothing runs."""
    production, staging = pair
    site, marker = production.site, tmp_path / "ran"
    site.write()
    add(staging, prefix=f"{{{{ lookup('pipe', 'touch {marker}; echo staging') }}}}")
    run = site.play("-l", "production", "--check", write=False)
    words = " ".join(run.output.split())
    assert run.code != 0 and "Write bulkhead_prefix as plain text" in words and not marker.exists()


def test_settings_with_a_secret_of_their_own(pair: tuple[Place, Place]) -> None:
    """A setting that is made of its own environment's secret is sealed alone where that secret is locked."""
    production, staging = pair
    site = production.site
    staging.secrets = {"bulkhead_secrets": {"SECRET_KEY": "secret-key-of-staging-0123456789"}}
    site.write()
    made = "{{ bulkhead_secrets.SECRET_KEY }}"
    add(
        staging,
        env={"SAY": "hello", "DJANGO_SECRET_KEY": made},
        services=only(web=web(environment={"KEY": made, "URL": "redis://:" + made + "@redis:6379/0"})),
    )
    shown = plan(site, passwords=[]).succeeded().output
    assert "bulkhead_env.DJANGO_SECRET_KEY" in shown and "proved on paper: 2 environments" in shown
    site.play("-l", "staging", write=False).succeeded()
    assert "secret-key-of-staging" in (staging.directory / ".env").read_text()
