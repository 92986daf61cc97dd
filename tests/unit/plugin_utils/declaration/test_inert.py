# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of environments that are not deployed: nothing is run, read or decrypted, and what was needed is named."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultSecretsContext
from ansible.template import trust_as_template
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inert import in_time
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.templates import Templates
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import PRODUCTION, declarations, inline, read, secrets, write

SECRET = "hunter2hunter2"


def bystander(directory: Path, value: Any, opened: bool = False, more: str = "") -> Declaration:
    """An environment with one setting, an encrypted secret, and a variable that is made of it."""
    variables = {**PRODUCTION, "bulkhead_env": {"X": value}, "made": "a{{ bulkhead_secrets.K }}"}
    del variables["bulkhead_secrets"]
    text = yaml.safe_dump(variables)
    text += "bulkhead_secrets:\n  K: " + inline(SECRET).replace("\n    ", "\n      ") + more
    (directory / "inventory" / "none").mkdir(parents=True)  # programs of lookups are run beside the playbook
    inventory = read(write(directory / "inventory", {"production": text}), "password")
    return declarations(inventory, opened)["production"]


def value(declaration: Declaration) -> Any:
    return declaration.values["bulkhead_env"].get("X")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("plain", "plain"),
        ("{{ bulkhead_prefix | upper }}", "APP_PROD"),
        ("{{ ['b', 'a'] | sort | map('upper') | join(',') }}", "A,B"),
        ("{{ bulkhead_domains | first | regex_replace('^prod', 'x') }}", "x.example.com"),
        ("{% for n in range(3) %}{{ loop.index }}{% endfor %}", "123"),
        ("{{ {'a': 1}.items() | list | to_json }}", '[["a", 1]]'),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('y') }}", "<y>"),
        ("{{ bulkhead_prefix | aiia.bulkhead.container_name('web') }}", "app_prod_web"),
        ("{{ 'a' is ansible.builtin.match('a') }}", "True"),
        ("{{ lookup('pipe', 'id') if false else 'not called' }}", "not called"),
        ("{{ lookup if false else 'not looked at' }}", "not looked at"),
        ("{{ (range(2) | type_debug) ~ range(2) ~ (range | type_debug) }}", "rangerange(0, 2)range"),
        ("{% set q = 'own' %}{{ q is defined }}{{ q }}", "Trueown"),
        ("{{ [(1, 'a'), (0, 'b')] | sort | last | last ~ ({'a': 1} == {'a': 1}) ~ (2 in [1, 2]) }}", "aTrueTrue"),
        ("{{ 2.345 | round(2) }}", "2.35"),
    ],
)
def test_what_only_computes_is_available(tmp_path: Path, written: str, expected: str) -> None:
    declaration = bystander(tmp_path, written)
    assert declaration.problems == [] and "bulkhead_env.X" not in declaration.sealed
    assert str(value(declaration)) == expected


@pytest.mark.parametrize(
    ("written", "needed"),
    [
        ("{{ lookup('pipe', 'touch MARKER') }}", "lookup()"),
        ("{{ lookup('pipe', 'touch MARKER') | default('x') }}", "lookup()"),
        ("{{ lookup('env', 'MARKER', default=undef()) }}", "lookup()"),
        ("{{ query('vars', nothing_of_this_name) }}", "query()"),
        ("{{ query('ansible.builtin.pipe', 'touch MARKER') is defined }}", "query()"),
        ("{{ q('file', '/etc/hostname') | first }}", "q()"),
        ("{% set f = lookup %}{{ f('pipe', 'touch MARKER') }}", "lookup()"),
        ("{{ now() }}", "now()"),
        ("{{ lipsum() }}", "lipsum()"),
        ("{{ 'x' | password_hash }}", "the filter password_hash"),
        ("{{ [1, 2] | random }}", "the filter random"),
        ("{{ [1, 2] | ansible.builtin.shuffle }}", "the filter ansible.builtin.shuffle"),
        ("{{ ['/etc/host*'] | map('fileglob') | list }}", "the filter fileglob"),
        ("{{ 'HOME' | expandvars }}", "the filter expandvars"),
        ("{{ 'x' | unvault('password') }}", "the filter unvault"),
        ("{{ 'x' | somebody.else.filter }}", "the filter somebody.else.filter"),
        ("{{ '/etc/hostname' is file }}", "the test file"),
        ("{{ ['/etc/hostname'] | select('exists') | list }}", "the test exists"),
        ("{% include '/etc/hostname' %}", "include, import or extends"),
        ("{% include ['/etc/hostname'] ignore missing %}", "include, import or extends"),
        ("{% import 'x' as y %}{{ y.z }}", "include, import or extends"),
        ("{% extends '/etc/hostname' %}", "include, import or extends"),
        ("{{ '{0.__class__}'.format('') }}", "format()"),
        ("{{ (5).__and__(4) is defined }}", "the attribute __and__"),
        ("{{ bulkhead_domains.append('x') }}", "append()"),
        ("#jinja2: variable_start_string:'[['\n[[ lookup('pipe', 'touch MARKER') }} {{", "lookup()"),
    ],
)
def test_what_has_an_effect_is_refused_by_name(tmp_path: Path, written: str, needed: str) -> None:
    marker = tmp_path / "marker"
    declaration = bystander(tmp_path, written.replace("MARKER", str(marker)))
    assert SEAL in value(declaration) and needed in declaration.sealed["bulkhead_env.X"]
    assert declaration.problems == [] and not marker.exists()


def test_the_same_runs_for_the_environment_to_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the marker is made where the environment is the one to deploy."""
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets()))
    marker = tmp_path / "marker"
    bystander(tmp_path, f"{{{{ lookup('pipe', 'touch {marker}') }}}}", opened=True)
    assert marker.exists()


@pytest.mark.parametrize(
    ("written", "needed"),
    [
        ("{{ 'a' if (lookup | string)[1:9] == 'function' else 'b' }}", "lookup()"),
        ("{{ lookup | type_debug }}", "lookup()"),
        ("{{ query is defined }}", "query()"),
        ("{% set f = now %}a", "now()"),
        ("{{ [lipsum] | length }}", "lipsum()"),
        ("{{ cycler }}", "cycler()"),
        ("{{ failing | default('a') }}", "an evaluation that needs that much"),
        ("{{ 'a' if failing is defined else 'b' }}", "an evaluation that needs that much"),
        ("{{ long | default('a') }}", "an evaluation that needs that much"),
    ],
)
def test_an_expression_that_looks_where_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, needed: str
) -> None:
    """What differs where the environment is deployed must not decide a value: it is sealed."""
    more = 'failing: "{{ \'x\'.ljust(10 ** 12) }}"\nlong: "{{ range(10 ** 8) | length }}"\n'
    declaration = bystander(tmp_path, written, more=more)
    assert value(declaration) == SEAL and needed in declaration.sealed["bulkhead_env.X"]
    # The control: where it is deployed, it is read.
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext([]))
    if "failing" not in written:
        own = bystander(tmp_path / "own", written, opened=True, more=more)
        assert "bulkhead_env.X" not in own.sealed


@pytest.mark.parametrize(
    "written",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ range.__globals__ }}",
        "{{ [''] | map(attribute='__class__') | first }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_attributes_of_python_are_out_of_reach(tmp_path: Path, written: str) -> None:
    declaration = bystander(tmp_path, written)
    assert value(declaration) in (None, SEAL)


@pytest.mark.parametrize(
    "written",
    [
        "{{ 'x' * 10 ** 9 }}",
        "{{ range(10 ** 9) | list | length }}",
        "{{ 'x'.ljust(10 ** 12) }}",
        "{{ '%1000000000000s' | format('x') }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% for a in range(10 ** 5) %}{% for b in range(10 ** 5) %}{% endfor %}{% endfor %}",
        "{{ ('a' * 40) is match('(a+)+b') }}",
        "{% set n = namespace(x='x' * 1000) %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    ],
)
def test_an_evaluation_has_bounds(tmp_path: Path, written: str) -> None:
    began = time.process_time()
    declaration = bystander(tmp_path, written)
    assert value(declaration) == SEAL and time.process_time() - began < 15
    assert "an evaluation that" in declaration.sealed["bulkhead_env.X"]


GROW = """{% set n = namespace(x=0, y=0) %}{% for i in range(60) %}
{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}"""
HASHED = GROW.replace("[n.x, n.x]", "(n.x, n.x)")
DEEP = "{% set n = namespace(x=0) %}{% for i in range(90000) %}{% set n.x = (n.x,) %}{% endfor %}"
ALIASES = "a: &a [x]\\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\\n" for before, name in itertools.pairwise("abcdefghi")
)


def in_child(work: Callable[[], Any], seconds: int) -> int:
    """Do some work in a fork that the kernel ends after these seconds of processor time. Returns its wait status."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        try:
            os._exit(0 if work() == SEAL else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize(
    "written",
    [
        GROW + "{{ n.x == n.y }}",
        GROW + "{{ n.x in [n.y] }}",
        GROW + "{{ n.x < n.y }}",
        GROW + "{{ [n.x, n.y] | unique | length }}",
        GROW + "{{ [n.x].index(n.y) }}",
        HASHED + "{{ {n.x: 1} | length }}",
        HASHED + "{{ {}[n.x] | default(1) }}",
        HASHED + "{{ {}.get(n.x, 1) }}",
        DEEP + "{{ {n.x: 1} | length }}",
        "{{ 1.5 | round(10 ** 11, 'ceil') }}",
        f"{{{{ '{ALIASES}' | from_yaml | length }}}}",
        "{{ 1 in (range(60) | combinations(30)) }}",
    ],
)
def test_code_that_no_signal_interrupts(tmp_path: Path, written: str) -> None:
    """Python compares, hashes and computes in C, where the timer is not heard, and which deep values crash."""
    templates = Templates(read(write(tmp_path / "any", {})).loader, inert=True)

    def work() -> Any:
        with templates.limits():
            return templates.value(trust_as_template(written), {})

    assert in_child(work, 30) == 0


def test_the_same_code_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: no signal interrupts the comparison, and the kernel ends the process."""
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext([]))
    templates = Templates(read(write(tmp_path / "any", {})).loader)
    compared = trust_as_template(GROW + "{{ n.x == n.y }}")
    status = in_child(lambda: in_time(0.5, lambda: templates.value(compared, {})), 2)
    assert os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)


def test_a_result_is_no_deeper_than_what_walks_over_it(tmp_path: Path) -> None:
    nested = "{% set n = namespace(x=[]) %}{% for i in range(COUNT) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}"
    assert value(bystander(tmp_path / "deep", nested.replace("COUNT", "150"))) == SEAL
    assert SEAL not in str(value(bystander(tmp_path / "flat", nested.replace("COUNT", "50"))))


def test_the_values_of_an_environment_have_a_size_together(tmp_path: Path) -> None:
    names = [f"bulkhead_env.Y{number}" for number in range(6)]
    more = "".join(f"  Y{number}: \"{{{{ 'x' * 1000000 }}}}\"\n" for number in range(6))
    declaration = bystander(tmp_path, "x")
    assert not declaration.sealed.keys() & set(names)
    variables = yaml.safe_dump({**PRODUCTION, "bulkhead_env": None}).replace(
        "bulkhead_env: null", "bulkhead_env:\n" + more
    )
    declaration = declarations(read(write(tmp_path / "many", {"production": variables})), opened=False)["production"]
    assert [name for name in names if name in declaration.sealed] == names[4:]


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize(
    "written",
    [
        "{{ bulkhead_secrets.K }}",
        "{{ bulkhead_secrets.K | b64encode }}",
        "{{ bulkhead_secrets.K | hash('sha256') }}",
        "{{ bulkhead_secrets.K | default('x') }}",
        "{{ bulkhead_secrets.K is defined }}",
        "{{ 'a' if bulkhead_secrets.K == 'x' else 'b' }}",
        "{% if bulkhead_secrets.K %}a{% endif %}",
        "{{ made | hash('sha256') }}",
        "{{ made | length }}",
        "{{ bulkhead_secrets | to_json | hash('sha1') }}",
        "{{ bulkhead_secrets.values() | list | length }}",
        "{% macro m() %}a{{ bulkhead_secrets.K }}{% endmacro %}{{ m() | hash('sha256') }}",
        "{% set x %}a{{ bulkhead_secrets.K }}{% endset %}{{ x | length }}",
        "{% filter upper %}a{{ bulkhead_secrets.K }}{% endfilter %}",
    ],
)
def test_what_is_made_of_a_sealed_value_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, opened: bool
) -> None:
    """In both engines: for the environment to deploy, the run has another password."""
    held = secrets("another password") if opened else secrets()
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(held))
    declaration = bystander(tmp_path, written, opened)
    assert SEAL in value(declaration)
    assert "vault id default" in declaration.sealed["bulkhead_env.X"] and "main.yml:" in str(declaration.sealed)
    assert ("sealed-value", "bulkhead_env.X") in [(found.rule, found.resource) for found in declaration.lacking]


def test_a_url_shows_its_server_beside_a_sealed_password(tmp_path: Path) -> None:
    declaration = bystander(tmp_path, "redis://:{{ bulkhead_secrets.K }}@redis:6379/0")
    assert value(declaration) == f"redis://:{SEAL}@redis:6379/0"


def test_the_secret_is_there_for_the_environment_to_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with the password, the same expression gives the secret; for a bystander it does not."""
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets()))
    assert value(bystander(tmp_path / "one", "{{ made }}", opened=True)) == f"a{SECRET}"
    assert value(bystander(tmp_path / "other", "{{ made }}")) == f"a{SEAL}"


def test_no_value_is_decrypted_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encrypted text that a template itself turns into an encrypted value meets no secret."""
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets()))
    cipher = "\n".join(line.strip() for line in inline(SECRET).splitlines()[1:])
    for profile in ("inventory_legacy", "legacy"):
        written = {"__ansible_vault": cipher}
        text = f"{{{{ source | from_json(profile='{profile}') }}}}"
        declaration = bystander(
            tmp_path / profile, text, more=f"source: {yaml.safe_dump(str(written).replace(chr(39), chr(34)))}"
        )
        assert SECRET not in str(declaration.values)


def test_files_of_others_are_neither_read_nor_decrypted(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (tmp_path / "vault.yml").write_text("stolen")
    (folder / "own.j2").write_text("{{ bulkhead_prefix }}")
    (folder / "locked.j2").write_text(inline("stolen").partition("\n")[2].replace("    ", ""))
    (folder / "link.j2").symlink_to(tmp_path / "vault.yml")
    templates = Templates(read(write(tmp_path / "any", {})).loader, [folder], inert=True)
    assert templates.file("own.j2", {"bulkhead_prefix": "app"}) == "app"
    for name in ("../vault.yml", str(tmp_path / "vault.yml"), "link.j2", "locked.j2"):
        assert templates.file(name, {}) == SEAL, name


def test_an_environment_is_rendered_around_what_is_sealed(tmp_path: Path) -> None:
    declaration = bystander(tmp_path, "{{ bulkhead_secrets.K | hash('md5') }}")
    release = Renderer(read(write(tmp_path / "any", {})).loader).render(declaration, inert=True)
    assert release is not None
    assert {line.key: line.value for line in release.settings}["X"] == SEAL


def test_an_evaluation_that_is_interrupted_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the timer rings, the next evaluation is as good as the first."""
    templates = Templates(read(write(tmp_path / "any", {})).loader, inert=True)
    endless = trust_as_template("{% for a in range(10 ** 5) %}{{ a | string | upper | default('x') }}{% endfor %}")
    sound = trust_as_template("{{ ['b', 'a'] | sort | join(mark) }}")
    held = VaultSecretsContext(secrets())
    monkeypatch.setattr(VaultSecretsContext, "_current", held)
    for number in range(40):
        templates.limits()
        templates._left = 0.001 + number * 0.004
        assert templates.value(endless, {}) == SEAL
        templates.limits()
        assert templates.value(sound, {"mark": ","}) == "a,b"
        assert VaultSecretsContext._current is held
