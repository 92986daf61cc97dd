# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every command in README and docs is one that works: a test runs it, or says here why none does.

Ansible's own parser reads each ``ansible-…`` command; its playbook, variables and their values must be there. That a
test runs a playbook with a variable is looked up in the test, so a mark that says so cannot outlive it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import yaml
from ansible.cli.adhoc import AdHocCLI
from ansible.cli.doc import DocCLI
from ansible.cli.galaxy import GalaxyCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.cli.vault import VaultCLI
from ansible.parsing.splitter import parse_kv
from ansible.utils.context_objects import GlobalCLIArgs
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.command_line import MAY_SET
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import of_machines
from checkout import ROOT
from unit.docs_commands import PROMPTED, SHOWN, TYPED, Command, commands, fences

PARSERS: Mapping[str, Any] = {
    "ansible": AdHocCLI,
    "ansible-doc": DocCLI,
    "ansible-galaxy": GalaxyCLI,
    "ansible-playbook": PlaybookCLI,
    "ansible-vault": VaultCLI,
}

README = "tests/e2e/test_readme.py"
#: Types the steps that aiia.bulkhead.adopt wrote for a server.
ADOPTED = ("tests/e2e/test_adopting.py", "shell(lines, server.directory)")
BACKUP, JOBS = "tests/e2e/test_backup.py", "tests/e2e/test_jobs.py"

#: Which test runs each playbook, and what stands in it where it does.
RUNS: Mapping[str, tuple[str, str]] = {
    "adopt": ("tests/e2e/handmade.py", '"adopt"'),
    "backup": (BACKUP, "playbooks/backup.yml"),
    "backups": (BACKUP, "playbooks/backups.yml"),
    "certificates": ("tests/e2e/test_acme.py", "aiia.bulkhead.certificates"),
    "deploy": ("tests/e2e/support.py", '"deploy.yml"'),
    "destroy": ("tests/e2e/test_destroy.py", "playbooks/destroy.yml"),
    "doctor": ("tests/e2e/test_doctor.py", "playbooks/doctor.yml"),
    "edge": ("molecule/edge/converge.yml", "aiia.bulkhead.edge"),
    "logs": (JOBS, '"logs"'),
    "maintenance": ("tests/e2e/test_maintenance.py", "playbooks/maintenance.yml"),
    "manage": (JOBS, '"manage"'),
    "new": (README, "commands()"),
    "plan": ("tests/e2e/test_approval.py", "plan.yml"),
    "provision": ("molecule/engine/converge.yml", "aiia.bulkhead.engine"),
    "releases": ("tests/e2e/test_source.py", "playbooks/releases.yml"),
    "report": ("tests/e2e/test_report.py", "playbooks/report.yml"),
    "restart": ("tests/e2e/test_releases.py", "playbooks/restart.yml"),
    "restore": (BACKUP, "playbooks/restore.yml"),
    "rollback": ("tests/e2e/test_releases.py", "playbooks/rollback.yml"),
    "secrets": ("tests/unit/action/test_secrets.py", "secrets.yml"),
    "services": (JOBS, '"services"'),
    "shell": (JOBS, '"shell"'),
    "status": (JOBS, "playbooks/status.yml"),
    "swarm": ("tests/e2e/test_swarm.py", "playbooks/swarm.yml"),
    "verify": ("tests/e2e/test_sabotage.py", "playbooks/verify.yml"),
}

#: Which test runs the commands of other programs, by how they begin, and what stands in it where it does.
OTHERS: Mapping[str, tuple[str, str]] = {
    "age --decrypt": ("tests/security/test_backup_encryption.py", '"--decrypt"'),
    "ssh-keygen -Y sign": ("tests/people.py", '"-Y", "sign"'),
    "install -d -m 700 ~/.vault": (README, "commands()"),
    "(umask 077; openssl rand": (README, "commands()"),
    "docker exec aiia_staging_redis sh": ADOPTED,
    "docker exec -i aiia_staging_postgresql": ADOPTED,
    "docker stop aiia_staging_nginx": ADOPTED,
    "docker stop -t 60 aiia_staging_postgresql": ADOPTED,
    "docker rm aiia_staging_nginx": ADOPTED,
    "docker network rm aiia_staging_network": ADOPTED,
    "diff /root/aiia_staging.rows.before": ADOPTED,
}

#: Why no test runs a command. There is no other reason.
PLACEHOLDER = "a part of it stands for what only its reader has"
THEIRS = "a plain command of another program, and nothing of ours is in it"
SERVER = "it needs a server with systemd, which the scenarios of molecule have"
DANGEROUS = "it would start the whole suite once more, or change this machine for good"
REASONS = (PLACEHOLDER, THEIRS, SERVER, DANGEROUS)
NOT_RUN: Mapping[str, str] = {
    "git clone <this repository>": PLACEHOLDER,
    "make demo": DANGEROUS,
    "make test": DANGEROUS,
    "systemctl ": SERVER,
    "age-keygen -o backup.key": THEIRS,
    "cd aiia_prod-": THEIRS,
    "for part in *.age": PLACEHOLDER,
    "docker exec aiia_staging_postgresql psql": THEIRS,
    "docker push …": PLACEHOLDER,
    "docker swarm init --force-new-cluster": DANGEROUS,
    "docker node update --label-add": THEIRS,
    "ssh staging docker save": PLACEHOLDER,
    "iptables": PLACEHOLDER,
    "rm -rf contracts exports": THEIRS,
    "find avatars": THEIRS,
}


@cache
def specification() -> Mapping[str, Mapping[str, Any]]:
    """The options of role environment."""
    text = (ROOT / "roles/environment/meta/argument_specs.yml").read_text(encoding="utf-8")
    found: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return found


def of_ansible() -> list[Command]:
    return [command for command in commands() if command.words[0] in PARSERS]


def of_playbooks() -> list[Command]:
    """Commands that name a playbook; in a sentence, ``ansible-playbook …`` alone may stand for all."""
    return [command for command in of_ansible() if command.words[0] == "ansible-playbook"]


def parsed(words: list[str]) -> Any:
    """What Ansible's own parser makes of a command. Raises SystemExit for an option that it does not have."""
    line = PARSERS[words[0]](words)
    line.init_parser()
    try:
        return line.post_process_args(line.parser.parse_args(words[1:]))
    finally:
        GlobalCLIArgs._Singleton__instance = None


def playbook_of(words: list[str]) -> str:
    """The one playbook that a command runs, by its name among ours; empty if it is none of ours."""
    (given,) = parsed(words).args
    name = given.removeprefix("aiia.bulkhead.").removesuffix(".yml")
    is_ours = given.startswith("aiia.bulkhead.") or given == "deploy.yml"
    return name if is_ours and (ROOT / "playbooks" / f"{name}.yml").is_file() else ""


def variables_of(words: list[str]) -> dict[str, str]:
    """What a command sets by ``-e``."""
    found: dict[str, str] = {}
    for given in parsed(words).extra_vars:
        found.update(parse_kv(given))
    return found


def own_variables(playbook: str) -> set[str]:
    """The variables that a playbook reads itself."""
    return set(re.findall(r"\bbulkhead_\w+", (ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8")))


def wrong_in(words: list[str]) -> Iterator[str]:
    """What is wrong with a command of ``ansible-playbook``."""
    playbook = playbook_of(words)
    if not playbook:
        yield "there is no such playbook"
        return
    for name, value in variables_of(words).items():
        known = specification().get(name, {})
        if name not in MAY_SET and name not in own_variables(playbook) and of_machines().get(name) != playbook:
            yield f"-e may not set {name}"
        elif known.get("choices") and value not in known["choices"]:
            yield f"{name} is none of {known['choices']}"
        elif known.get("type") == "bool" and value not in ("true", "false"):
            yield f"{name} is not true or false"
        elif known.get("type") == "int" and not value.isdigit():
            yield f"{name} is no number"


def test_there_are_commands_and_pages_have_no_others() -> None:
    """What is typed is in a fence that says so: else nobody would look at it here."""
    assert len(of_playbooks()) > 80
    assert {fence.language for fence in fences()} <= {*TYPED, *PROMPTED, *SHOWN}
    typed = re.compile(r"(?:\$ |sudo |ansible(?:-\w+)? |docker |make )")
    hidden = [
        f"{fence.page}:{fence.line}" for fence in fences() if fence.language == "" and typed.match(fence.lines[0])
    ]
    assert hidden == []
    bare = [
        f"{fence.page}:{fence.line}"
        for fence in fences()
        if fence.language in PROMPTED and not any(line.startswith("$ ") for line in fence.lines)
    ]
    assert bare == []


@pytest.mark.parametrize("command", of_ansible(), ids=str)
def test_ansible_would_take_it(command: Command) -> None:
    """Options, playbook, variables and values; a sentence may stop before the option that it is about."""
    words = [word for word in command.words if word != "…"]
    if not command.whole and re.search(r"[…<\[]", command.text):
        words = words[: next((at for at, word in enumerate(words) if re.search(r"[…<\[]", word)), len(words))]
        words = words[:-1] if words[-1].startswith("-") else words
    if words[0] != "ansible-playbook":
        parsed(words)
        return
    if not command.whole and not any(word.startswith(("aiia.", "deploy.yml")) for word in words):
        pytest.skip("it names no playbook")
    assert list(wrong_in(words)) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("aiia.bulkhead.status -l staging", ""),
        ("aiia.bulkhead.statuses", "no such playbook"),
        ("site.yml", "no such playbook"),
        ("aiia.bulkhead.logs -e bulkhead_servic=django", "may not set bulkhead_servic"),
        ("deploy.yml -e bulkhead_prefix=x", "may not set bulkhead_prefix"),
        ("aiia.bulkhead.status -e bulkhead_format=xml", "bulkhead_format is none of"),
        ("deploy.yml -e bulkhead_allow_downtime=maybe", "not true or false"),
        ("aiia.bulkhead.logs -e bulkhead_lines=few", "no number"),
    ],
)
def test_what_is_wrong_is_seen(text: str, wrong: str) -> None:
    found = list(wrong_in(["ansible-playbook", *text.split()]))
    assert (wrong in found[0]) if wrong else not found
    with pytest.raises(SystemExit):
        parsed(["ansible-playbook", "deploy.yml", "--no-such-option"])


def test_each_playbook_of_the_docs_is_run_by_a_test() -> None:
    named = {playbook_of(command.words) for command in of_playbooks() if command.whole}
    assert named <= RUNS.keys()
    assert RUNS.keys() == {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    lost = [name for name, (file, mark) in RUNS.items() if mark not in (ROOT / file).read_text(encoding="utf-8")]
    assert lost == []


def test_each_variable_of_the_docs_is_set_by_a_test() -> None:
    """In a test of the whole, or of its action: with the playbook's action or name, and the variable."""
    texts = [
        path.read_text(encoding="utf-8")
        for folder in ("e2e", "security", "unit/action", "unit/plugin_utils/jobs", "app")
        for path in (ROOT / "tests" / folder).rglob("*.py")
    ]
    read = " ".join(texts)
    used = {name for command in of_playbooks() if command.whole for name in variables_of(command.words)}
    assert len(used) > 15
    readme = {name for command in of_playbooks() if command.page == "README.md" for name in variables_of(command.words)}
    assert sorted(name for name in used - readme if name not in read) == []


def test_every_other_command_is_run_or_has_a_reason() -> None:
    """Each row of the two tables is about a command that is still there, and no row is used for two reasons."""
    rest = [command for command in commands() if command.words[0] not in PARSERS]
    assert not OTHERS.keys() & NOT_RUN.keys()
    rows = [*OTHERS, *NOT_RUN]
    open_ones = [str(command) for command in rest if not any(row in command.text for row in rows)]
    assert open_ones == []
    assert [row for row in rows if not any(row in command.text for command in rest)] == []
    assert set(NOT_RUN.values()) <= set(REASONS)
    lost = [row for row, (file, mark) in OTHERS.items() if mark not in (ROOT / file).read_text(encoding="utf-8")]
    assert lost == []


def test_the_commands_of_other_ansible_programs_are_run() -> None:
    """They are in README, of which a test types the way to an application; checks of files have a test of their own."""
    found = {command.words[0] for command in of_ansible() if command.whole} - {"ansible-playbook"}
    assert found == {"ansible", "ansible-galaxy"}
    typed = (ROOT / "tests/unit/action/test_isolation_check.py").read_text(encoding="utf-8")
    assert '"ansible", "localhost", "-m", "aiia.bulkhead.isolation_check", "-a"' in typed
