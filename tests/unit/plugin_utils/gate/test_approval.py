# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan is applied exactly or refused: tampered, outdated, foreign, expired and unsigned ones are."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.json_with_digest import encode_with_digest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.timestamps import text
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.command_line import MAY_SET
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import specification
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.approval import (
    Approval,
    approve,
    differences,
    is_demanded,
    write,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.paper import Unplannable, as_written, shown
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.plan import Gate
from checkout import ROOT
from hazards.mutants import gate
from people import Person
from unit.fleets import PRODUCTION, SECRETS, STAGING, declarations, encrypted, only, read
from unit.fleets import write as write_inventory
from unit.runs import NOWHERE, book, play, refused

ROOT_PLAN = ROOT / "playbooks" / "plan.yml"
COMMIT = "4f2a91c07b1d3e5f60718293a4b5c6d7e8f90a1b"


def open_variables(variables: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The variables of an environment whose secrets are in its vault."""
    kept = {name: value for name, value in variables.items() if name != "bulkhead_secrets"}
    return {**kept, "bulkhead_source_commit": COMMIT, **more}


def inventory(
    directory: Path,
    staging: Mapping[str, Any] | None = None,
    production: Mapping[str, Any] | None = None,
    everyone: Mapping[str, Any] | None = None,
) -> Path:
    """Production and staging with a vault each; a value of None takes a variable away."""
    groups = {
        "production": open_variables(PRODUCTION, **(production or {})),
        "staging": open_variables(STAGING, **(staging or {})),
    }
    groups = {name: {key: value for key, value in own.items() if value is not None} for name, own in groups.items()}
    path = write_inventory(directory / "inventory", groups, everyone={**NOWHERE, **(everyone or {})})
    for group, name in (("production", "prod"), ("staging", "staging")):
        secrets = {key: value.format(name) for key, value in SECRETS.items()}
        (path / "group_vars" / group / "vault.yml").write_text(VAULTS.setdefault(group, vault(secrets, group)))
    return path


def vault(secrets: Mapping[str, str], password: str) -> str:
    return encrypted(yaml.safe_dump({"bulkhead_secrets": dict(secrets)}), password)


#: Encrypting the same secrets again gives another text, as a changed secret does.
VAULTS: dict[str, str] = {}


def plan_of(path: Path, group: str = "staging", **extra: str) -> dict[str, Any]:
    """The plan that an inventory gives, as JSON has it."""
    made: Gate = gate(path, path.parent)
    made.inventory.extra_variables = extra
    found: dict[str, Any] = json.loads(json.dumps(made.document(group)))
    return found


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Person, Person]:
    directory = tmp_path_factory.mktemp("people")
    return Person(directory, "alice"), Person(directory, "bob")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The plan of staging."""
    return plan_of(inventory(tmp_path_factory.mktemp("planned")))


class Case:
    """The plan of staging in a file, and what the deployment finds."""

    def __init__(self, directory: Path, document: Mapping[str, Any], signers: Any = ()) -> None:
        self.path = directory / "plan.json"
        self.document = document
        path = inventory(directory, {"bulkhead_plan_signers": list(signers)} if signers else {})
        self.own = declarations(read(path))["staging"]
        write(self.path, document)

    def judged(self, demanded: bool = True) -> tuple[dict[str, Approval], list[str]]:
        """The approvals, and what is said where there is none."""

        def document(_group: str) -> dict[str, Any]:
            return copy.deepcopy(dict(self.document))

        approved, findings = approve(str(self.path), {self.own.prefix: self.own}, demanded, document)
        assert all(finding.severity.label == "critical" for finding in findings)
        assert bool(approved) is not bool(findings)
        return approved, [finding.message for finding in findings]

    def refusal(self) -> str:
        return str(only(self.judged()[1]))


@pytest.fixture
def case(tmp_path: Path, planned: dict[str, Any]) -> Case:
    return Case(tmp_path, planned)


def test_the_plan_that_was_made_is_applied(case: Case) -> None:
    approved, said = case.judged()
    assert said == [] and list(approved) == ["staging"]
    assert "as planned at" in str(approved["staging"])
    shows = shown({**case.document, "made": "now"})
    assert f"commit {COMMIT} of staging" in shows and "beside: app_prod" in shows


def mutated(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a value with each of its parts changed in turn, or gone, or with one more."""
    if isinstance(value, dict):
        yield f"{name}: one more", {**value, "more": "x"}
        for key, item in value.items():
            yield f"{name}.{key}: gone", {other: kept for other, kept in value.items() if other != key}
            yield (
                f"{name}.{key}: renamed",
                {f"{other}2" if other == key else other: kept for other, kept in value.items()},
            )
            for said, changed in mutated(item, f"{name}.{key}"):
                yield said, {**value, key: changed}
    elif isinstance(value, list):
        yield f"{name}: one more", [*value, "x"]
        yield f"{name}: twice", [*value, *value] if value else [None]
        if len(value) > 1:
            yield f"{name}: turned", value[::-1]
        for index in range(len(value)):
            yield f"{name}[{index}]: gone", [*value[:index], *value[index + 1 :]]
    elif isinstance(value, str) and len(value) == 64:
        yield name, f"{'1' if value[0] == '0' else '0'}{value[1:]}"
    else:
        yield name, f"{value}x"
        yield f"{name}: of another type", True if value == 1 else None


def test_each_change_of_the_plan_is_refused(case: Case) -> None:
    """Whoever changes it can also write the digest anew; what is compared is what would be deployed."""
    whole = {**case.document, "made": text(time.time())}
    mutants = [(said, changed) for said, changed in mutated(whole) if not said.startswith(".made")]
    assert len(mutants) > 200
    applied = []
    for said, changed in mutants:
        case.path.write_bytes(encode_with_digest(changed))
        if case.judged()[0]:
            applied.append(said)
    assert applied == []


def test_each_byte_counts(case: Case) -> None:
    """Also those that would change nothing: what was signed has one meaning."""
    content = case.path.read_bytes()
    for changed in (
        content + b"\n",
        content.replace(b'"format": 1', b'"format": 1.0'),
        content.replace(b'"format": 1', b'"format":  1'),
        content.replace(b'"format": 1', b'"format": 2, "format": 1'),
        content[:-20],
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps(json.loads(content)).encode(),
    ):
        assert changed != content
        case.path.write_bytes(changed)
        assert "plan.json is not applied: it " in case.refusal()
    case.path.unlink()
    assert "cannot be read: No such file" in case.refusal()


def test_each_variable_counts(tmp_path: Path) -> None:
    """Each variable of the inventory that is changed between plan and deployment, to whatever it is."""
    names = set(specification()) - {"bulkhead_environment"}
    digests = []
    for number, value in enumerate(("x", "y", 1, True, None, ["x"], {"x": "y"}, {"x": 1}, "{{ x }}")):
        own = {**dict.fromkeys(names, value), "bulkhead_environment": "staging"}
        path = write_inventory(tmp_path / str(number), {"staging": own}, everyone={"bulkhead_project": value})
        digests.append(dict(as_written("staging-host", read(path))))
    assert len(names) > 130
    assert [name for name in names if len({found[name] for found in digests}) < len(digests)] == []


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "secrets": (
        lambda path: (path / "group_vars/staging/vault.yml").write_text(vault({"SECRET_KEY": "another"}, "x")),
        "encrypted.group_vars/staging/vault.yml",
    ),
    "connection": (
        lambda path: _file(path / "host_vars/staging-host.yml", "ansible_port: 23"),
        "variables.ansible_port is new",
    ),
    "template": (
        lambda path: _file(path / "templates/nginx.conf.j2", "events {}"),
        "templates.nginx.conf.j2",
    ),
    "template that is read by nobody yet": (
        lambda path: _file(path / "templates/a/b.j2", "x"),
        "templates.a/b.j2",
    ),
    "a port of production": (
        lambda path: _set(path, "production", bulkhead_http_port=81),
        "bystanders.app_prod.host-port was planned as",
    ),
    "a service of production": (
        lambda path: _set(path, "production", bulkhead_services={"worker": {"image": "a:1"}}),
        "bystanders.app_prod.container was planned as",
    ),
    "for all": (lambda path: _set(path, "all", mine="x"), "variables.mine is new"),
    "text instead of a number": (lambda path: _set(path, "staging", bulkhead_http_port="8080"), "bulkhead_http_port"),
}


def _file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def _set(path: Path, group: str, **variables: Any) -> None:
    file = path / "group_vars" / group / "main.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **variables}))


@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_since_is_named(what: str, tmp_path: Path, planned: dict[str, Any]) -> None:
    path = inventory(tmp_path)
    change, said = CHANGES[what]
    change(path)
    found = [*differences(planned, plan_of(path))]
    assert any(said in one for one in found), found


def test_a_plan_that_nothing_changed(tmp_path: Path, planned: dict[str, Any]) -> None:
    """In another directory, as each job of a pipeline has its own checkout."""
    assert [*differences(planned, plan_of(inventory(tmp_path)))] == []


def test_a_deployment_of_a_bystander_changes_nothing(tmp_path: Path, planned: dict[str, Any]) -> None:
    """Another commit, other secrets, other settings of production: what it claims is the same."""
    path = inventory(tmp_path, production={"bulkhead_source_commit": "a" * 40, "bulkhead_env": {"SAY": "x"}})
    (path / "group_vars/production/vault.yml").write_text(vault({"SECRET_KEY": "another"}, "x"))
    assert [*differences(planned, plan_of(path))] == []


def test_everybody_makes_the_same_plan(tmp_path: Path) -> None:
    """No vault is opened and no lookup evaluated, whatever the run could do; what is not read is named."""
    seen = tmp_path / "seen"
    look = f"{{{{ lookup('ansible.builtin.pipe', 'touch {seen}') }}}}"
    path = inventory(tmp_path, {"bulkhead_env": {"SAY": look}})
    plan = plan_of(path)
    assert not seen.exists()
    assert only(plan["not_read"]) == "bulkhead_env.SAY needs lookup()"
    assert "a secret key" not in json.dumps(plan) and "password-of" not in json.dumps(plan)

    run = play(path, "-e", f"bulkhead_plan={tmp_path}/plan.json", "-e", "bulkhead_plan_group=staging",
               playbook=ROOT_PLAN)  # fmt: skip
    assert run.code == 0, run.output
    assert not seen.exists()
    assert "ssh-keygen -Y sign -n bulkhead-plan" in run.output and f"commit {COMMIT}" in run.output
    (tmp_path / "password").write_text("staging")
    again = play(path, "-l", "staging", "-e", f"bulkhead_plan={tmp_path}/again.json",
                 "--vault-password-file", str(tmp_path / "password"), playbook=ROOT_PLAN)  # fmt: skip
    assert again.code == 0, again.output
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("plan.json", "again.json"))
    assert {**first, "made": "", "digest": ""} == {**second, "made": "", "digest": ""}
    assert (tmp_path / "plan.json").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_a_deployment_by_its_plan(tmp_path: Path, people: tuple[Person, Person]) -> None:
    """Signed: accepted. Unsigned, without a plan, with another -e, of another environment: refused, with the reason."""
    alice, _bob = people
    path = inventory(tmp_path, {"bulkhead_plan_signers": [alice.signer()], "bulkhead_source_commit": None})
    file, password = tmp_path / "plan.json", tmp_path / "password"
    password.write_text("staging")
    deploy = book(tmp_path / "deploy.yml", {"name": "Prove", "aiia.bulkhead.plan": {"approval": True}})
    this = ("-l", "staging", "--vault-password-file", str(password))
    mine = ("-e", f"bulkhead_source_commit={COMMIT}")
    given = ("-e", f"bulkhead_plan={file}")

    whole = play(path, *mine, *given, "-e", "bulkhead_plan_group=staging", playbook=ROOT_PLAN)
    assert whole.code == 0, whole.output
    assert "is deployed with an approved plan only" in refused(path, *this, *mine, playbook=deploy)
    assert "it is not signed" in refused(path, *this, *mine, *given, playbook=deploy)
    alice.signs(file)
    run = play(path, *this, *mine, *given, playbook=deploy)
    assert run.code == 0 and "signed by alice@example.com" in run.output, run.output
    more = ("-e", f"bulkhead_source_commit={'b' * 40}", "-e", "bulkhead_allow_downtime=true")
    other = refused(path, *this, *given, *more, playbook=deploy)
    assert f"source.commit was planned as {COMMIT} and is {'b' * 40}" in other
    assert "given.bulkhead_allow_downtime is new" in other
    password.write_text("production")
    foreign = refused(path, "-l", "production", *this[2:], *mine, *given, playbook=deploy)
    password.write_text("staging")
    assert "environment.prefix was planned as app_staging and is app_prod" in foreign and "files." not in foreign
    # A step on its own asks for it too, before it reaches the machine.
    alone = book(tmp_path / "alone.yml", {"name": "Source", "aiia.bulkhead.source": None})
    assert "is deployed with an approved plan only" in refused(path, *this, *mine, playbook=alone)


def test_which_steps_ship_something() -> None:
    """Those of the role, except for the gates before and after them; a job that brings nothing new asks for no plan."""
    from ansible_collections.aiia.bulkhead.plugins.action import backup, certificates, converge, rollback, source

    shipping = {
        module.__name__.rpartition(".")[2]: module.ActionModule.ships(None, options)
        for module, options in (
            (source, {}),
            (converge, {}),
            (certificates, {"job": "deploy"}),
            (backup, {"job": "schedule"}),
        )
    }
    tasks = yaml.safe_load((ROOT / "roles/environment/tasks/main.yml").read_text())
    used = {key.removeprefix("aiia.bulkhead.") for task in tasks for key in task if key.startswith("aiia.")}
    assert used - {"plan", "preflight", "verify"} == {name for name, ships in shipping.items() if ships}
    for module, options in ((certificates, {"job": "renew"}), (backup, {"job": "make"}), (rollback, {})):
        assert not module.ActionModule.ships(None, options)


def test_who_signed(tmp_path: Path, planned: dict[str, Any], people: tuple[Person, Person]) -> None:
    alice, bob = people
    case = Case(tmp_path, planned, [alice.signer(), bob.signer(-1)])
    assert "it is not signed: " in case.refusal()
    assert case.judged(demanded=False)[0]["staging"].signer == ""
    alice.signs(case.path)
    for demanded in (True, False):
        assert case.judged(demanded)[0]["staging"].signer == "alice@example.com"
    bob.signs(case.path)
    assert "the key of bob@example.com, who signed it, counted until" in case.refusal()
    alice.signs(case.path, "git")
    assert "or for another namespace than bulkhead-plan" in case.refusal()
    for signature in (b"", b"x" * 100_000, b"-----BEGIN SSH SIGNATURE-----\n"):
        case.path.with_name("plan.json.sig").write_bytes(signature)
        assert "its signature is" in case.refusal()
    # A later plan that says the same: the signature is of another file.
    alice.signs(case.path)
    case.path.write_bytes(encode_with_digest({**planned, "made": text(time.time() + 60)}))
    assert "its signature is not by a key of" in case.refusal()
    # Writing a plan takes away the signature of the one before.
    write(case.path, planned)
    assert not case.path.with_name("plan.json.sig").exists()
    # Whoever is not named does not count.
    stranger = Case(tmp_path / "stranger", planned, [alice.signer()])
    bob.signs(stranger.path)
    assert "is not by a key of bulkhead_plan_signers (alice@example.com)" in stranger.refusal()


def test_no_program_to_verify(
    tmp_path: Path, planned: dict[str, Any], people: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path, planned, [people[0].signer()])
    people[0].signs(case.path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Install openssh-client on the controller" in case.refusal()


def test_signers_that_cannot_be_read_are_asked_for(tmp_path: Path) -> None:
    for number, signers in enumerate(([{"principal": "a"}], "x", ["x"], "{{ lookup('env', 'X') }}", "{{ no }}")):
        path = inventory(tmp_path / str(number), {"bulkhead_plan_signers": signers})
        assert is_demanded(declarations(read(path), opened=False)["staging"]), signers
    assert not is_demanded(declarations(read(inventory(tmp_path)))["staging"])
    assert "bulkhead_plan_signers" not in MAY_SET


@pytest.mark.parametrize(
    ("age", "said"),
    [(-600, "which is in the future"), (73 * 3600, "counts for 72 hours (bulkhead_plan_expires)"), (71 * 3600, "")],
)
def test_age(age: int, said: str, case: Case) -> None:
    case.path.write_bytes(encode_with_digest({**case.document, "made": text(time.time() - age)}))
    if said:
        assert said in case.refusal()
    else:
        assert case.judged()[0]


def test_a_plan_from_another_version(case: Case) -> None:
    older = {
        **case.document,
        "collection": {**case.document["collection"], "version": "0.0.9"},
        "made": text(time.time()),
    }
    case.path.write_bytes(encode_with_digest({**older, "files": {}}))
    assert case.refusal() == f"not as planned: collection.version was planned as 0.0.9 and is {_version(case)}"
    case.path.write_bytes(encode_with_digest({**older, "format": 2}))
    assert "it has the format 2" in case.refusal()


def _version(case: Case) -> str:
    return str(case.document["collection"]["version"])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"bulkhead_source_commit": None}, "it names no commit"),
        ({"bulkhead_source_commit": "4f2a91c"}, "bulkhead_source_commit is 4f2a91c, and a branch, a tag"),
        ({"bulkhead_source_commit": "v1.2"}, "bulkhead_source_commit is v1.2, and a branch, a tag"),
        ({"bulkhead_source_commit": "{{ lookup('env', 'COMMIT') }}"}, "it names no commit"),
        (
            {"bulkhead_image": "shop/app:1.4", "bulkhead_source_repository": None, "bulkhead_source_commit": None},
            "bulkhead_image is shop/app:1.4, and a tag",
        ),
        ({"bulkhead_secrets": {"DB_PASSWORD": "guess me"}}, "DB_PASSWORD of bulkhead_secrets can be read without"),
        ({"bulkhead_app_port": "x"}, "app_staging cannot be rendered without its secrets or lookups"),
    ],
)
def test_what_cannot_be_planned(variables: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(Unplannable) as refusal:
        plan_of(inventory(tmp_path, variables))
    assert said in str(refusal.value)


def test_for_one_environment(tmp_path: Path, case: Case) -> None:
    path = inventory(tmp_path / "both")
    made: Gate = gate(path, tmp_path)
    with pytest.raises(Unplannable, match="this run means 2 environments: give -e bulkhead_plan_group=<group>, one of"):
        made.group_to_plan()
    made.inventory.extra_variables = {"bulkhead_plan_group": "qa"}
    with pytest.raises(Unplannable, match="bulkhead_plan_group is qa"):
        made.group_to_plan()
    found = approve(str(case.path), {"a": case.own, "b": case.own}, True, lambda _group: {})
    assert [finding.environments for finding in found[1]] == [("a",), ("b",)]


def test_in_the_inventory_it_has_no_place(tmp_path: Path) -> None:
    own = declarations(read(inventory(tmp_path, {"bulkhead_plan": "plan.json"})))["staging"]
    assert "belongs to one run" in only([problem.message for problem in own.problems])
