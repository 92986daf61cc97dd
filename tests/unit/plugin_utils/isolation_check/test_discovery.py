# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is guessed about the files of a repository."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.check import check
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.discovery import discover
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.request import RequestError, parse

PROJECT = "services: {web: {image: 'nginx:1', ports: ['80:80']}}\n"


def repository(root: Path, files: dict[str, str]) -> Path:
    """A directory with these files."""
    root = root / "Acme Shop"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def guessed(root: Path) -> dict[str, dict[str, object]]:
    """The environments of a guess, by name."""
    return {item["name"]: item for item in discover(root).given["environments"]}


def test_files_by_their_names(tmp_path: Path) -> None:
    """Each file belongs to the environment that it names; those that name none, to all of them."""
    root = repository(
        tmp_path,
        {
            "docker-compose.prod.yml": PROJECT,
            "deploy/staging/compose.yml": PROJECT,
            "docker-compose.dev.yml": PROJECT,
            "docker-compose.override.yml": PROJECT,
            "docker-compose.example.yml": PROJECT,
            "node_modules/x/docker-compose.staging.yml": PROJECT,
            ".env.production": "A=1\n",
            ".env.staging.example": "A=1\n",
            "nginx/staging.conf": "server { listen 80; }\n",
            "nginx/mime.conf": "types { }\n",
            "scripts/deploy-prod.sh": "ssh h docker compose up -d\n",
            "scripts/lint.sh": "ruff check\n",
            ".github/workflows/deploy.yml": "on: push\njobs: {d: {steps: [{run: ssh h}]}}\n",
            ".github/workflows/lint.yml": "on: push\njobs: {d: {steps: [{run: ruff}]}}\n",
            "Dockerfile": "FROM scratch\n",
        },
    )
    assert guessed(root) == {
        "production": {
            "name": "production",
            "prefix": "acme-shop_prod",
            "compose_files": ["docker-compose.prod.yml"],
            "env_files": [".env.production"],
            "files": ["Dockerfile", ".github/workflows/deploy.yml", "scripts/deploy-prod.sh"],
        },
        "staging": {
            "name": "staging",
            "prefix": "acme-shop_staging",
            "compose_files": ["deploy/staging/compose.yml"],
            "nginx_files": ["nginx/staging.conf"],
            "files": ["Dockerfile", ".github/workflows/deploy.yml"],
        },
    }


def test_a_base_that_others_complete(tmp_path: Path) -> None:
    """A file that is no project by itself is merged over the one beside it."""
    part = "services: {web: {environment: {A: b}}}\n"
    files = {"docker-compose.yml": PROJECT, "docker-compose.prod.yml": part, "docker-compose.staging.yml": PROJECT}
    found = guessed(repository(tmp_path, files))
    assert found["production"]["compose_files"] == ["docker-compose.yml", "docker-compose.prod.yml"]
    assert found["staging"]["compose_files"] == ["docker-compose.staging.yml"]


def test_the_neutral_file_is_production(tmp_path: Path) -> None:
    """If nothing else is production's."""
    found = guessed(repository(tmp_path, {"docker-compose.yml": PROJECT, "docker-compose.staging.yml": PROJECT}))
    assert found["production"]["compose_files"] == ["docker-compose.yml"]


def test_a_pipeline_that_is_not_read_is_named(tmp_path: Path) -> None:
    """Guessed or declared: its silence is no proof. A workflow of GitHub is read and needs no word."""
    pipeline = {".gitlab-ci.yml": "deploy: {script: [docker system prune -af]}\n", "ci/Jenkinsfile": "pipeline {}\n"}
    root = repository(tmp_path, {"compose.prod.yml": PROJECT, "compose.staging.yml": PROJECT, **pipeline})
    report = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1))
    unread = [sentence for sentence in report.open if "was not judged" in sentence]
    assert [sentence.partition(" ")[0] for sentence in unread] == [".gitlab-ci.yml", "ci/Jenkinsfile"]
    declared = [{"prefix": "a", "compose_files": ["compose.prod.yml"], "files": [".gitlab-ci.yml"]}]
    report = check(parse({"environments": declared, "compose_cli": "never"}, root), date(2026, 1, 1))
    assert [sentence for sentence in report.open if sentence.startswith(".gitlab-ci.yml was not judged")]
    (root / ".gitlab-ci.yml").unlink()
    (root / "ci/Jenkinsfile").unlink()
    report = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1))
    assert not [sentence for sentence in report.open if "was not judged" in sentence]


def test_the_guess_can_be_corrected(tmp_path: Path) -> None:
    """The proposal is a configuration that is read instead of guessing again; it says what was guessed."""
    root = repository(tmp_path, {"compose.prod.yml": PROJECT, "compose.staging.yml": PROJECT})
    first = parse({"path": str(root), "compose_cli": "never"}, tmp_path)
    assert "production: compose.prod.yml" in first.proposal
    assert yaml.safe_load(first.proposal) == discover(root).given
    report = check(first, date(2026, 1, 1))
    assert any("share one machine" in sentence for sentence in report.open)
    assert any("/srv/acme-shop_prod" in sentence for sentence in report.open)
    assert "shared-port" in {finding.rule for finding in report.stopping}
    corrected = first.proposal.replace("name: production\n", "name: production\n  machine: other\n")
    (root / "check.yml").write_text(corrected)
    second = parse({"path": str(root), "compose_cli": "never"}, tmp_path)
    assert (second.proposal, second.guesses) == ("", ())
    assert "shared-port" not in {finding.rule for finding in check(second, date(2026, 1, 1)).findings}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"path": "nowhere"}, "is not a directory"),
        ({"path": "."}, "no Compose file below"),
        ({"path": ".", "config": "check.yml"}, "only one of"),
        ({"path": ".", "environments": []}, "only one of"),
    ],
)
def test_what_cannot_be_guessed(tmp_path: Path, given: dict[str, object], says: str) -> None:
    """An error that says what to do."""
    with pytest.raises(RequestError, match=says):
        parse(given, tmp_path)


@pytest.mark.parametrize("text", ["services: [", "- a", "services: {web: 1}", "services:\n", "\0", "a: &a [*a]"])
def test_any_file_may_be_guessed_about(tmp_path: Path, text: str) -> None:
    """A file that cannot be read does not end the guessing."""
    root = repository(tmp_path, {"compose.yml": PROJECT, "compose.prod.yml": text, "compose.staging.yml": PROJECT})
    assert guessed(root).keys() == {"production", "staging"}


def test_what_stays_open(tmp_path: Path) -> None:
    """Without .env, what is made of its values is named; with it, nothing is."""
    text = "services: {web: {image: 'acme/web:${TAG}', environment: {A: '${A:?}', B: '${B:-1}'}}}\n"
    root = repository(tmp_path, {"compose.prod.yml": text, "compose.staging.yml": PROJECT})
    sentences = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1)).open
    assert any("acme-shop_prod: no .env was given, so TAG and A are not known" in sentence for sentence in sentences)
    (root / ".env").write_text("TAG=1\nA=2\n")
    sentences = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1)).open
    assert not any("no .env was given" in sentence for sentence in sentences)


def test_a_checkout_each(tmp_path: Path) -> None:
    """Without directory, nobody lies in another's; one project by name of the directory is likely, not certain."""
    root = repository(tmp_path, {"docker/compose.prod.yml": PROJECT, "compose.staging.yml": PROJECT})
    found = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1)).findings
    assert not {"nested-directories", "shared-project"} & {finding.rule for finding in found}
    root = repository(tmp_path / "2", {"compose.prod.yml": PROJECT, "compose.staging.yml": PROJECT})
    found = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1)).findings
    assert [finding.severity.label for finding in found if finding.rule == "shared-project"] == ["medium"]
    root = repository(tmp_path / "3", {"docker/compose.prod.yml": PROJECT, "docker/compose.staging.yml": PROJECT})
    found = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1)).findings
    assert [finding.severity.label for finding in found if finding.rule == "shared-project"] == ["critical"]


PART = "services: {web: {environment: {A: b}}}\n"


def test_named_after_an_environment_alone(tmp_path: Path) -> None:
    """``production.yml`` is a Compose file if it has services, and ``base.yml`` completes it."""
    files = {"production.yml": PART, "staging.yml": PROJECT, "base.yml": PROJECT, "k8s/staging.yml": "kind: Pod\n"}
    found = guessed(repository(tmp_path, files))
    assert found["staging"]["compose_files"] == ["staging.yml"]
    files["production.yml"] = "services: {web: {environment: {A: b}}, db: {image: 'postgres:16'}}\n"
    found = guessed(repository(tmp_path, files))
    assert found["production"]["compose_files"] == ["base.yml", "production.yml"]


def test_files_that_a_script_puts_together(tmp_path: Path) -> None:
    """In the order of its command; not with files of tests, or of another environment."""
    files = {
        "compose.yml": PROJECT,
        "compose.logs.yml": PROJECT,
        "compose.ci.yml": PROJECT,
        "compose.prod.yml": PROJECT,
        "compose.staging.yml": PROJECT,
        "try.sh": "docker compose -f compose.yml -f compose.ci.yml -f compose.prod.yml up -d\n",
        "up.sh": "docker compose -f compose.yml -f compose.logs.yml -f compose.prod.yml up -d\n",
    }
    found = guessed(repository(tmp_path, files))
    assert found["production"]["compose_files"] == ["compose.yml", "compose.logs.yml", "compose.prod.yml"]
    assert found["staging"]["compose_files"] == ["compose.staging.yml"]


def test_a_script_belongs_to_the_files_that_it_names(tmp_path: Path) -> None:
    """If these are one environment's alone; a file whose name has both words is both's."""
    act = "docker compose -f compose.{}.yml up -d\n"
    files = {
        "compose.prod.yml": PROJECT,
        "compose.staging.yml": PROJECT,
        "up.sh": act.format("prod"),
        "both.sh": act.format("prod") + act.format("staging"),
        "copy_prod_to_staging.sh": "ssh h\n",
        ".github/workflows/ci-cd.yml": "on: push\njobs: {d: {steps: [{run: ssh h}]}}\n",
        ".github/workflows/old/deploy.yml": "on: push\njobs: {d: {steps: [{run: ssh h}]}}\n",
        "docs/setup.sh": "ssh h\n",
    }
    found = guessed(repository(tmp_path, files))
    common = ["both.sh", "copy_prod_to_staging.sh", ".github/workflows/ci-cd.yml"]
    assert found["production"]["files"] == [*common[:2], "up.sh", common[2]]
    assert found["staging"]["files"] == common


@pytest.mark.parametrize(
    "text",
    ["services: {web: {build: {context: ., target: webdev}}}\n", "services: {web: {image: x, command: npm run dev}}\n"],
)
def test_developers_files_are_not_production(tmp_path: Path, text: str) -> None:
    """What runs a server for developers is nobody's deployment; nor is a file for one part of the system."""
    root = repository(
        tmp_path,
        {"docker-compose.yml": text, "compose.monitoring.yml": PROJECT, "docker-compose.staging.yml": PROJECT},
    )
    assert guessed(root).keys() == {"staging"}


def test_encrypted_files(tmp_path: Path) -> None:
    """What git-crypt has encrypted is unknown, as if it were not there."""
    text = "services: {web: {image: 'nginx:1', env_file: secret.env}}\n"
    root = repository(tmp_path, {"compose.prod.yml": text, "compose.staging.yml": text})
    (root / "secret.env").write_bytes(b"\0GITCRYPT\0" + bytes(range(256)))
    (root / ".env.prod").write_bytes(b"\0GITCRYPT\0" + bytes(range(256)))
    assert "env_files" not in guessed(root)["production"]
    report = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1))
    assert not {"not-dotenv", "unreadable-file"} & {finding.rule for finding in report.stopping}


def test_what_a_workflow_writes_is_not_what_is_committed(tmp_path: Path) -> None:
    """The key of the committed ``.env`` is a developer's, if the deployment makes another."""
    text = "services: {web: {image: 'nginx:1', environment: {SECRET_KEY: $SECRET_KEY}}}\n"
    files = {"compose.prod.yml": text, "compose.staging.yml": text, ".env": "SECRET_KEY=m4Gx0vBq8sLw2kZr\n"}
    files["deploy.sh"] = "docker compose up -d\n"
    root = repository(tmp_path, files)
    given = {"path": str(root), "compose_cli": "never"}
    assert "shared-signing-key" in {f.rule for f in check(parse(given, tmp_path), date(2026, 1, 1)).stopping}
    (root / "deploy.sh").write_text("cat > /srv/app/.env << END\nSECRET_KEY=$KEY\nEND\ndocker compose up -d\n")
    assert "shared-signing-key" not in {f.rule for f in check(parse(given, tmp_path), date(2026, 1, 1)).stopping}


def test_what_a_guess_lacks_is_advice(tmp_path: Path) -> None:
    """A file that is not complete may be merged over one that was not found; listed by hand, it is refused."""
    lacking = "services: {web: {image: 'nginx:1', depends_on: [db]}}\n"
    root = repository(tmp_path, {"compose.prod.yml": lacking, "compose.staging.yml": PROJECT})
    request = parse({"path": str(root), "compose_cli": "never"}, tmp_path)
    assert "not-compose" not in {finding.rule for finding in check(request, date(2026, 1, 1)).stopping}
    (root / "check.yml").write_text(request.proposal)
    request = parse({"path": str(root), "compose_cli": "never"}, tmp_path)
    assert "not-compose" in {finding.rule for finding in check(request, date(2026, 1, 1)).stopping}


@pytest.mark.parametrize(
    ("prod", "staging", "found"),
    [
        ("cd /opt/shop && docker compose -f compose.prod.yml up -d\n", "", True),
        ("", "cd /opt/shop-staging && docker compose -f compose.staging.yml up -d\n", False),
        (
            "cd /opt/shop && docker compose -f compose.prod.yml up -d\n",
            "cd /opt/shop-staging && docker compose -f compose.staging.yml up -d\n",
            False,
        ),
        (
            "cd /opt/shop && docker compose -f compose.prod.yml up -d\n",
            "cd /srv/shop && docker compose -f compose.staging.yml up -d\n",
            True,
        ),
        (
            'docker compose --env-file "$SETTINGS" -f "$FILE" up -d\n',
            'docker compose --env-file "$SETTINGS" -f "$FILE" up -d\n',
            False,
        ),
    ],
)
def test_projects_of_checkouts(tmp_path: Path, prod: str, staging: str, found: bool) -> None:
    """Directories that scripts name tell projects apart, and so may a file of settings that a variable names."""
    files = {"compose.prod.yml": PROJECT, "compose.staging.yml": PROJECT, "prod.sh": prod, "staging.sh": staging}
    root = repository(tmp_path, files)
    report = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1))
    assert ("shared-project" in {finding.rule for finding in report.stopping}) is found


def judged(root: Path, tmp_path: Path) -> dict[str, str]:
    """The rules that speak at medium or above about what was found, and how loud the loudest finding of each is."""
    report = check(parse({"path": str(root), "compose_cli": "never"}, tmp_path), date(2026, 1, 1))
    return {finding.rule: finding.severity.label for finding in reversed(report.stopping)}


VOLUME = "services: {web: {image: 'nginx:1', volumes: ['data:/data']}}\nvolumes: {data: }\n"
SELECTS = """\
on: push
jobs:
  both:
    runs-on: ubuntu-latest
    steps:
      - run: |
          docker ps -a
          curl -s $URL | jq -r '.[] | select(.Labels["com.docker.compose.project"]=="shop-{}") | .Id'
"""


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/{}.sh", "export P={}-x\necs-cli compose --file deploy/{}.yml --project-name $P-y --region r create\n"),
        ("docs/run.md", "Type `docker compose -p shop-{0} -f deploy/{0}.yml up -d`, and wait.\n"),
        ("package.json", '{{"scripts": {{"up": "docker compose -p shop-{0} -f deploy/{0}.yml up -d"}}}}\n'),
        ("deploy/{}-server.sh", "docker stack deploy --prune -c deploy/{}.yml shop-{}\n"),
        ("deploy/up.sh", 'docker stack deploy -c "$FILE" "$STACK"\n# {}\n'),
        ("deploy/{}.yml", "# docker-compose -p shop-{0} \\\n#   -f deploy/{0}.yml up -d\n"),
        ("release.sh", "docker compose -p shop-{0} -f deploy/{0}.yml up\ndocker compose -p $P -f deploy/{0}.yml ps\n"),
        (".github/workflows/{}-ci.yml", SELECTS),
    ],
)
def test_a_project_that_something_names(tmp_path: Path, path: str, text: str) -> None:
    """Compose files of one directory are one project, unless what the repository says of them gives each a name."""
    files = {f"deploy/{name}.yml": VOLUME for name in ("prod", "staging")}
    root = repository(tmp_path, files)
    assert judged(root, tmp_path)["shared-project"] == judged(root, tmp_path)["shared-volume"] == "critical"
    for name in ("prod", "staging"):
        place = root / path.format(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        before = place.read_text() if place.exists() else ""
        place.write_text(text.format(name, name) + before)
    assert not {"shared-project", "shared-volume", "shared-network"} & judged(root, tmp_path).keys()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/run.md", "Type `docker compose -p shop -f deploy/{}.yml up -d`.\n"),
        ("docs/run.md", "Type `docker compose -f deploy/{}.yml up -d`, or with `-p shop-{}`.\n"),
        ("deploy/up.sh", "docker stack deploy -c deploy/{}.yml shop\n"),
        ("deploy/up.sh", "docker stack deploy -c deploy/other.yml shop-{}\n"),
        ("docs/run.sh", "ecs-cli compose --file deploy/{}.yml --project-name=shop create\n"),
        ("deploy/look.sh", "docker ps --filter label=com.docker.compose.project=shop\n# {}\n"),
    ],
)
def test_a_project_that_both_have(tmp_path: Path, path: str, text: str) -> None:
    """One name for both, or a name that not every command gives, keeps nothing apart."""
    files = {f"deploy/{name}.yml": VOLUME for name in ("prod", "staging")}
    files[path] = "".join(text.format(name, name) for name in ("prod", "staging"))
    assert judged(repository(tmp_path, files), tmp_path)["shared-project"] == "critical"


def test_own_scripts_are_believed_first(tmp_path: Path) -> None:
    """A guide does not outweigh the scripts that deploy."""
    files = {f"deploy/{name}.yml": VOLUME for name in ("prod", "staging")}
    files["docs/run.md"] = "".join(f"`docker compose -p {name} -f {name}.yml up`\n" for name in ("prod", "staging"))
    files["up.sh"] = "".join(f"docker compose -f deploy/{name}.yml up -d\n" for name in ("prod", "staging"))
    assert judged(repository(tmp_path, files), tmp_path)["shared-project"] == "critical"


def test_a_project_is_written_down_to_be_corrected(tmp_path: Path) -> None:
    """What a guide says is shown, and stays in the file that is written."""
    files = {f"deploy/{name}.yml": VOLUME for name in ("prod", "staging")}
    files["docs/run.md"] = "Type `docker compose -p shop_1 -f deploy/prod.yml up -d`.\n"
    guess = discover(repository(tmp_path, files))
    assert [item.get("compose_project") for item in guess.given["environments"]] == ["shop_1", None]
    assert "docs/run.md names the Compose project of production: shop_1." in guess.sentences
    assert "compose_project: shop_1" in guess.text


def test_an_overlay_of_the_root(tmp_path: Path) -> None:
    """The project is that of the first file; a variable in the name of the second stands for the environment."""
    part = "services: {web: {environment: {A: b}}}\n"
    files = {"docker-compose.yml": VOLUME, "docker/compose.prod.yml": part, "docker/compose.staging.yml": part}
    files["pipeline/up.yaml"] = "run: docker-compose -f docker-compose.yml -f docker/compose.${STAGE}.yml up -d\n"
    root = repository(tmp_path, files)
    found = guessed(root)
    assert found["production"]["compose_files"] == ["docker-compose.yml", "docker/compose.prod.yml"]
    assert found["staging"]["compose_files"] == ["docker-compose.yml", "docker/compose.staging.yml"]
    assert judged(root, tmp_path)["shared-project"] == "medium"  # two clones may well have one name
    assert "shared-volume" not in judged(root, tmp_path)


def test_a_file_that_is_complete_is_not_completed_by_a_variable(tmp_path: Path) -> None:
    """The script may write that file itself."""
    files = {"docker-compose.yml": VOLUME, "compose.prod.yml": VOLUME, "compose.staging.yml": VOLUME}
    files["up.sh"] = "docker compose -f docker-compose.yml -f compose.$STAGE.yml up -d\n"
    assert guessed(repository(tmp_path, files))["staging"]["compose_files"] == ["compose.staging.yml"]


@pytest.mark.parametrize("command", ["-f base.yml -f deploy/{}.yml", "-f base.yml -f deploy/$STAGE.yml"])
def test_an_overlay_that_is_listed_alone(tmp_path: Path, command: str) -> None:
    """Also where only the second file is listed, its project is that of the first."""
    files = {f"deploy/{name}.yml": VOLUME for name in ("prod", "staging")} | {"base.yml": VOLUME}
    files |= {f"{name}.sh": f"docker compose {command.format(name)} up -d\n" for name in ("prod", "staging")}
    environments = [
        {"prefix": f"shop_{name}", "compose_files": [f"deploy/{name}.yml"], "files": [f"{name}.sh"]}
        for name in ("prod", "staging")
    ]
    root = repository(tmp_path, files)
    given = {"environments": environments, "compose_cli": "never"}
    rules = {finding.rule: finding.severity.label for finding in check(parse(given, root), date(2026, 1, 1)).stopping}
    assert rules["shared-project"] == "medium"
    assert "shared-volume" not in rules


def test_what_one_project_does(tmp_path: Path) -> None:
    """Its second 'up' recreates a service of the same key, and does not fail; 'down' alone removes no orphan."""
    files = {f"deploy/{name}.yml": PROJECT for name in ("prod", "staging")}
    root = repository(tmp_path, files)
    given = {"path": str(root), "compose_cli": "never"}
    said = {finding.rule: finding.message for finding in check(parse(given, tmp_path), date(2026, 1, 1)).stopping}
    assert "recreates web of the first" in said["shared-port"]
    (root / "deploy/staging.yml").write_text(PROJECT.replace("web", "site"))
    said = {finding.rule: finding.message for finding in check(parse(given, tmp_path), date(2026, 1, 1)).stopping}
    assert "Whichever starts second fails" in said["shared-port"]
    assert "'docker compose up' or 'down' of acme-shop_staging with --remove-orphans" in said["shared-project"]
