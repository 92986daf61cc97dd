# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of pipelines, run as they are written: their commands and variables, against a real engine.

The three actions of others have stand-ins: the checkout is a clone, Python is that of the tests, the upload reads
the file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from make_repository import commit
from observe import moment, say
from support import ROOT, SERVER, Place, Site, health_check, only, remove_project, without_terminal

DOCKERFILE = 'FROM bulkhead-demo/python:3.13\nCOPY server.py /srv/\nCMD ["python3", "-u", "/srv/server.py"]\n'
CONDITIONS = {
    "always()": True,
    "always() && github.event.pull_request.head.repo.full_name == github.repository": True,
}


class Pipeline:
    """A repository with an application, its inventory, and GitHub as far as the examples know it."""

    def __init__(self, site: Site, archive: Path) -> None:
        self.site = site
        self.home = site.directory / "runner"
        self.home.mkdir()
        self.repository = site.directory / "origin.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(self.repository)], check=True)
        self.archive = archive
        source = {
            "source_repository": str(self.repository),
            "app_service": "web",
            "services": only(web={"stop_grace_period": "0s", "healthcheck": health_check()}),
        }
        self.production = site.add(
            "production", "prod", {"bulkhead_secrets": {"SAY": "of production"}}, source_branch="main", **source
        )
        self.staging = site.add(
            "staging", "staging", {"bulkhead_secrets": {"SAY": "of staging"}}, source_branch="staging", **source
        )
        site.write()
        key = self.home / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        self.key = key.read_text()
        key.unlink()

    def push(self, branch: str, release: str) -> str:
        """A commit with the application and the inventory, as a team keeps both; returns its id."""
        deploy = {
            f"deploy/inventory/{path.relative_to(self.site.inventory)}": path.read_text()
            for path in self.site.inventory.rglob("*")
            if path.is_file()
        }
        requirements = yaml.safe_dump({"collections": [{"name": str(self.archive), "type": "file"}]})
        return commit(
            self.repository,
            branch,
            {
                "Dockerfile": DOCKERFILE,
                "server.py": SERVER,
                "release": release,
                "deploy/requirements.txt": "ansible-core\n",
                "deploy/requirements.yml": requirements,
                **deploy,
            },
            release,
        )

    def run(self, example: str, ref: str, sha: str, place: Place | None = None, password: str = "") -> tuple[int, str]:
        """What GitHub does for a push or a pull request: the first step that fails ends the job."""
        workflow = yaml.safe_load((ROOT / "examples/github" / example).read_text())
        code, said = 0, ""
        for name, job in workflow["jobs"].items():
            if job.get("if", f"github.ref == '{ref}'") != f"github.ref == '{ref}'":
                continue
            values = {
                "github.sha": sha,
                "vars.KNOWN_HOSTS": "example.com ssh-ed25519 AAAA",
                "secrets.SSH_KEY": self.key,
                "secrets.VAULT_PASSWORD": password or (place.password if place else ""),
            }
            checkout = self.home / f"work-{name}"
            shutil.rmtree(checkout, ignore_errors=True)
            for step in job["steps"]:
                condition = step.get("if")
                if code and condition is None:
                    continue
                assert condition is None or CONDITIONS[condition]
                result, output = self._step(step, sha, checkout, values)
                code, said = code or result, said + output
        return code, said

    def _step(self, step: dict[str, Any], sha: str, checkout: Path, values: dict[str, str]) -> tuple[int, str]:
        used = step.get("uses", "").partition("@")[0]
        if used == "actions/checkout":
            assert step["with"] == {"persist-credentials": False}
            subprocess.run(["git", "clone", "--quiet", str(self.repository), str(checkout)], check=True)
            subprocess.run(["git", "-C", str(checkout), "checkout", "--quiet", sha], check=True)
            return 0, ""
        if used == "github/codeql-action/upload-sarif":
            log = json.loads((checkout / step["with"]["sarif_file"]).read_text())
            return 0, f"uploaded {len(log['runs'][0]['results'])} results\n"
        if used:
            assert used == "actions/setup-python"
            return 0, ""
        given = {
            name: re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda found: values[found[1]], text)
            for name, text in step.get("env", {}).items()
        }
        assert "${{" not in step["run"]
        return self._shell(step["run"], checkout, {"GITHUB_STEP_SUMMARY": str(self.home / "summary.md"), **given})

    def _shell(self, script: str, checkout: Path, given: dict[str, str]) -> tuple[int, str]:
        """Run a script as a runner does: in a checkout, with a home of its own and nothing of the tests' variables."""
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "PIP_NO_INDEX": "1",
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.home / "collections"),
            "LANG": "C.UTF-8",
            **given,
        }
        done = without_terminal(["bash", "-e", "-c", script], checkout, variables)
        return done.returncode, done.stdout

    def run_gitlab(self, name: str, sha: str, place: Place | None = None) -> tuple[int, str]:
        """What GitLab's runner does with a job: all its lines in one shell, and variables of type File as files."""
        pipeline = yaml.safe_load((ROOT / "examples/gitlab/.gitlab-ci.yml").read_text())
        job = {**pipeline.get(pipeline[name].get("extends"), {}), **pipeline[name]}
        checkout = self.home / "gitlab"
        shutil.rmtree(checkout, ignore_errors=True)
        subprocess.run(["git", "clone", "--quiet", str(self.repository), str(checkout)], check=True)
        subprocess.run(["git", "-C", str(checkout), "checkout", "--quiet", sha], check=True)
        given = {"CI_COMMIT_SHA": sha}
        if place:
            given["CI_ENVIRONMENT_NAME"] = job["environment"]["name"]
            files = {
                "SSH_KEY": self.key,
                "KNOWN_HOSTS": "example.com ssh-ed25519 AAAA",
                "VAULT_PASSWORD": place.password,
            }
            for variable, content in files.items():
                path = self.home / f"gitlab-{variable}"
                path.write_text(content)
                given[variable] = str(path)
        return self._shell("\n".join([*pipeline["default"]["before_script"], *job["script"]]), checkout, given)


@pytest.fixture(scope="module")
def pipeline(
    tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str], archive: Path
) -> Iterator[Pipeline]:
    site = Site(tmp_path_factory.mktemp("pipeline"), projects())
    yield Pipeline(site, archive)
    remove_project(site.project)


def test_a_push_deploys_its_own_environment(pipeline: Pipeline) -> None:
    """A push to staging deploys staging at that commit; a push to main deploys production, and leaves staging alone."""
    staging = pipeline.push("staging", "first")
    code, said = pipeline.run("deploy.yml", "refs/heads/staging", staging, pipeline.staging)
    assert code == 0, said
    assert say(pipeline.staging.prefix) == "of staging"
    before = moment(pipeline.staging)
    main = pipeline.push("main", "first")
    code, said = pipeline.run("deploy.yml", "refs/heads/main", main, pipeline.production)
    assert code == 0, said
    assert say(pipeline.production.prefix) == "of production" and moment(pipeline.staging) == before
    for secret in (pipeline.key.splitlines()[1], pipeline.staging.password, pipeline.production.password):
        assert secret not in said


def test_the_wrong_password_deploys_nothing(pipeline: Pipeline) -> None:
    """Whoever took staging's secrets for production's gets an error, and production stays as it is."""
    before = moment(pipeline.production)
    main = pipeline.push("main", "second")
    code, _said = pipeline.run("deploy.yml", "refs/heads/main", main, password=pipeline.staging.password)
    assert code != 0 and moment(pipeline.production) == before


def test_a_pull_request_shows_the_plan(pipeline: Pipeline) -> None:
    """Without a password: proved as it is, refused with the findings where it would give staging production's name."""
    sha = pipeline.push("feature", "third")
    code, said = pipeline.run("plan.yml", "refs/pull/1/merge", sha)
    assert code == 0 and "uploaded 0 results" in said, said
    assert "### Isolation: proved on paper" in (pipeline.home / "summary.md").read_text()
    pipeline.staging.variables["bulkhead_prefix"] = pipeline.production.prefix
    pipeline.site.write()
    bad = pipeline.push("feature", "fourth")
    del pipeline.staging.variables["bulkhead_prefix"]
    pipeline.site.write()
    code, said = pipeline.run("plan.yml", "refs/pull/1/merge", bad)
    assert code != 0 and re.search(r"uploaded [1-9]", said), said
    assert "### Isolation: refused" in (pipeline.home / "summary.md").read_text()


def test_gitlab(pipeline: Pipeline) -> None:
    """A merge request gets the plan as a test report, and a push to staging deploys that commit and nothing else."""
    sha = pipeline.push("staging", "of gitlab")
    code, said = pipeline.run_gitlab("plan", sha)
    assert code == 0 and "<testsuite" in (pipeline.home / "gitlab/plan.xml").read_text(), said
    before = moment(pipeline.production)
    code, said = pipeline.run_gitlab("deploy staging", sha, pipeline.staging)
    assert code == 0, said
    assert say(pipeline.staging.prefix) == "of staging" and moment(pipeline.production) == before
    assert pipeline.staging.directory.joinpath("code/release").read_text() == "of gitlab"
    assert pipeline.staging.password not in said and pipeline.key.splitlines()[1] not in said
