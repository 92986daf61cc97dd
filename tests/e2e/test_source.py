# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checkout and the image: exactly a commit of the environment's own branch, and nothing of anybody's is lost."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guide_stack import self_signed
from make_repository import commit
from observe import files, moment, running, say
from support import IMAGE, SERVER, Place, Site, docker, health_check, only, remove_project

DOCKERFILE = """\
FROM bulkhead-demo/python:3.13 AS plain
ARG BULKHEAD_COMMIT
ARG FLAVOUR=none
COPY . /srv
RUN --mount=type=secret,id=ca-bundle sh -c 'cat /run/secrets/ca-bundle 2>/dev/null | wc -c > /ca-size' \\
 && printf '%s %s' "$BULKHEAD_COMMIT" "$FLAVOUR" > /built
CMD ["python3", "-u", "/srv/server.py"]
FROM plain AS special
RUN touch /special
FROM plain
"""
IGNORED = "local.txt\n"


def git(directory: Path, *arguments: str) -> str:
    """Run git as the person who works in a checkout."""
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    done = subprocess.run(["git", *who, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def inside(place: Place, path: str) -> str:
    """A file of the running container."""
    return docker("exec", f"{place.prefix}_web", "sh", "-c", f"cat {path} 2>/dev/null || echo absent").strip()


class Sourced:
    """A small environment that is built from a repository with two commits, deployed at the second."""

    def __init__(self, site: Site) -> None:
        self.repository = site.directory / "origin.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(self.repository)], check=True)
        server = {"Dockerfile": DOCKERFILE, "server.py": SERVER, ".gitignore": IGNORED}
        self.old = commit(self.repository, "main", {**server, "release": "old"}, "Old")
        self.new = commit(self.repository, "main", {"release": "new"}, "New")
        self.stray = commit(self.repository, "feature", {**server, "release": "stray"}, "Stray")
        self.place = site.small(
            source_repository=str(self.repository),
            source_branch="main",
            app_service="web",
            services=only(web={"stop_grace_period": "0s", "healthcheck": health_check()}),
        )
        self.first = self.place.deploy().succeeded()

    @property
    def code(self) -> Path:
        """The checkout."""
        return self.place.directory / "code"

    @property
    def image(self) -> str:
        """The image that runs."""
        found = json.loads(docker("container", "inspect", f"{self.place.prefix}_web"))[0]
        return str(found["Config"]["Image"])


@pytest.fixture(scope="module")
def sourced(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Sourced]:
    """The environment that the tests of this file share; each leaves it deployed at the branch's newest commit."""
    site = Site(tmp_path_factory.mktemp("source"), projects())
    yield Sourced(site)
    remove_project(site.project)


def test_the_image_is_the_commit(sourced: Sourced) -> None:
    """Tagged with it, named after the environment, built from it, and the checkout stands at it on its branch."""
    assert re.fullmatch(f"{sourced.place.prefix}_web:{sourced.new}-[0-9a-f]{{12}}", sourced.image)
    assert inside(sourced.place, "/srv/release") == "new"
    assert inside(sourced.place, "/built") == f"{sourced.new} none"
    assert git(sourced.code, "rev-parse", "HEAD") == sourced.new
    assert git(sourced.code, "symbolic-ref", "--short", "HEAD") == "main"
    assert git(sourced.code, "status", "--porcelain") == ""
    assert git(sourced.code, "for-each-ref", "--format=%(refname)", "refs/remotes") == "refs/remotes/origin/main"
    assert sourced.first.result("source")["commit"] == sourced.new
    assert sourced.first.result("source")["shared"] == ""


def refused(sourced: Sourced, *words: str) -> None:
    """A deployment is refused with these words, and checkout, artefacts and container stay as they are."""
    before, work = moment(sourced.place), files(sourced.code, without=[".git"])
    error = sourced.place.deploy().error
    for word in words:
        assert word in error
    assert moment(sourced.place) == before
    assert files(sourced.code, without=[".git"]) == work


def test_local_changes_are_refused_and_kept(sourced: Sourced) -> None:
    """A changed and a new file: both are named, neither is lost."""
    (sourced.code / "release").write_text("by hand")
    (sourced.code / "new.txt").write_text("by hand")
    try:
        refused(sourced, "has local changes", "release", "new.txt", "commit and push them to main")
    finally:
        git(sourced.code, "checkout", "--", "release")
        (sourced.code / "new.txt").unlink()


def test_commits_that_are_nowhere_else_are_refused_and_kept(sourced: Sourced) -> None:
    """A commit made in the checkout and not pushed."""
    (sourced.code / "release").write_text("by hand")
    git(sourced.code, "commit", "--quiet", "-am", "By hand")
    mine = git(sourced.code, "rev-parse", "HEAD")
    try:
        refused(sourced, "has commits that are not in the repository", mine[:12], "Push them to main")
        assert git(sourced.code, "rev-parse", "HEAD") == mine
    finally:
        git(sourced.code, "reset", "--quiet", "--hard", sourced.new)


def test_a_stash_is_kept(sourced: Sourced) -> None:
    """What somebody put aside is not in the way, and is still there after a deployment."""
    (sourced.code / "release").write_text("put aside")
    git(sourced.code, "stash")
    sourced.place.deploy().succeeded()
    assert "put aside" in git(sourced.code, "stash", "show", "-p")
    git(sourced.code, "stash", "drop")


def test_a_commit_of_another_branch_is_refused(sourced: Sourced) -> None:
    """It exists in the repository, and is not this environment's."""
    sourced.place.variables["bulkhead_source_commit"] = sourced.stray
    try:
        refused(sourced, f"commit {sourced.stray} is not on branch main", "bulkhead_source_commit")
    finally:
        del sourced.place.variables["bulkhead_source_commit"]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("bulkhead_source_branch", "nowhere", ["has no branch nowhere (bulkhead_source_branch)"]),
        ("bulkhead_source_repository", "/nonexistent/origin.git", ["/nonexistent/origin.git"]),
        ("bulkhead_build_dockerfile", "Dockerfile.none", ["has no Dockerfile.none (bulkhead_build_dockerfile)"]),
        ("bulkhead_build_target", "nowhere", ["could not be built", "nowhere"]),
    ],
)
def test_what_is_not_there_is_named(sourced: Sourced, variable: str, value: str, words: list[str]) -> None:
    """Branch, repository, Dockerfile and stage: each named with its variable, and nothing is changed."""
    kept = dict(sourced.place.variables)
    sourced.place.variables[variable] = value
    try:
        refused(sourced, *words)
    finally:
        sourced.place.variables = kept


def test_a_repository_that_is_missing_at_first(site: Site) -> None:
    """The first deployment from nowhere makes no container."""
    place = site.small(
        source_repository="/nonexistent/origin.git", source_branch="main", app_service="web", services=only(web={})
    )
    assert "/nonexistent/origin.git cannot be read (bulkhead_source_repository)" in place.deploy().error
    assert running(place.prefix) == {}


def test_an_older_commit_and_back(sourced: Sourced) -> None:
    """An older commit by -e, from the image that is already there or anew; then the newest again, without a build."""
    work = sourced.code / "local.txt"
    work.write_text("only here")
    run = sourced.place.deploy("-e", f"bulkhead_source_commit={sourced.old}").succeeded()
    assert run.result("source")["built"] is True
    assert f":{sourced.old}-" in sourced.image
    assert inside(sourced.place, "/srv/release") == "old"
    assert git(sourced.code, "rev-parse", "HEAD") == sourced.old
    assert inside(sourced.place, "/srv/local.txt") == "absent", "ignored files of the work tree are not of the commit"
    run = sourced.place.deploy().succeeded()
    assert run.result("source")["built"] is False
    assert f":{sourced.new}-" in sourced.image and say(sourced.place.prefix) == "hello"
    assert work.read_text() == "only here", "ignored files are left alone"
    work.unlink()


def test_arguments_target_and_ca_bundle_reach_the_build(sourced: Sourced, tmp_path: Path) -> None:
    """They make another image of the same commit, which does not take the name of the one before. The bundle is there
    during the build and not in the image."""
    plain = sourced.image
    bundle = tmp_path / "ca.pem"
    bundle.write_text(self_signed(["ca.example"])[0])
    flavour = f"va nil'la $HOME {secrets.token_hex(4)}"  # a cached step would have an earlier run's bundle
    kept = dict(sourced.place.variables)
    sourced.place.variables |= {
        "bulkhead_build_arguments": {"FLAVOUR": flavour},
        "bulkhead_build_target": "special",
        "bulkhead_build_ca_bundle": str(bundle),
    }
    try:
        assert sourced.place.deploy().succeeded().result("source")["built"] is True
        assert inside(sourced.place, "/built") == f"{sourced.new} {flavour}"
        assert inside(sourced.place, "/special") == ""
        assert inside(sourced.place, "/ca-size") == str(bundle.stat().st_size)
        assert inside(sourced.place, "/run/secrets/ca-bundle") == "absent"
        assert sourced.image.rpartition("-")[0] == plain.rpartition("-")[0] and sourced.image != plain
        sourced.place.deploy(playbook="playbooks/rollback.yml").succeeded()
        assert (sourced.image, inside(sourced.place, "/built")) == (plain, f"{sourced.new} none")
    finally:
        sourced.place.variables = kept
    assert sourced.place.deploy().succeeded().result("source")["built"] is False


def test_a_build_that_fails(sourced: Sourced) -> None:
    """Its last lines are shown, the earlier release goes on, and mending the commit mends the environment."""
    broken = commit(
        sourced.repository,
        "main",
        {"Dockerfile": DOCKERFILE + "RUN echo the reason is here >&2 && exit 3\n", "release": "broken"},
        "Broken",
    )
    refused(sourced, f"the image of commit {broken[:12]} could not be built", "the reason is here", "exit code: 3")
    assert inside(sourced.place, "/srv/release") == "new"
    assert broken not in docker("image", "ls", "--format", "{{.Tag}}", f"{sourced.place.prefix}_web")
    sourced.new = commit(sourced.repository, "main", {"Dockerfile": DOCKERFILE, "release": "mended"}, "Mended")
    sourced.place.deploy().succeeded()
    assert inside(sourced.place, "/srv/release") == "mended"


def tags(repository: str) -> set[str]:
    """The images of a repository, by their whole names."""
    return set(docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).split())


def short(image: str) -> str:
    """How a list shows an image that is called by a whole commit."""
    return re.sub(r"(?<=:)([0-9a-f]{12})[0-9a-f]{28}", r"\1…", image)


def test_kept_releases_and_their_images(sourced: Sourced) -> None:
    """Two are kept, with the images that they run; older images of this repository go, and nobody else's. One that is
    kept is returned to by its name; without its image it is not, until its commit is built again."""
    place = sourced.place
    repository, _colon, first = sourced.image.partition(":")
    place.variables["bulkhead_keep_releases"] = 2
    mine, owner = f"{repository}:by-hand", "LABEL io.bulkhead.prefix="
    others = {
        mine: "",
        f"{place.prefix}-2_web:{first}": f"{owner}{place.prefix}-2",
        f"{repository}_old:{first}": f"{owner}{place.prefix}",
    }
    for name, label in others.items():
        recipe = f"FROM {IMAGE}\nLABEL io.bulkhead.project={place.site.project}\n{label}\n"
        subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=recipe, text=True, check=True)
    kept: dict[str, str] = {}
    for word in ("second", "third"):
        sourced.new = commit(sourced.repository, "main", {"release": word}, word.capitalize())
        release = place.deploy().succeeded().result("converge")["release"]
        kept[release] = sourced.image
    second, third = sorted(kept)
    assert len({first, *kept.values()}) == 3
    assert tags(repository) == {*kept.values(), mine}
    assert others.keys() <= tags(f"{place.site.project}*")

    run = place.deploy(playbook="playbooks/releases.yml").succeeded()
    lines = [line.split() for line in run.output.splitlines() if sourced.place.prefix in line and "Z-" in line]
    assert lines == [
        ["*", third, sourced.new[:12], short(kept[third])],
        [second, kept[second].partition(":")[2][:12], short(kept[second])],
    ]
    assert re.search(r"^ +Third \(Demo Developer\), deployed by \S+@\S+$", run.output, re.MULTILINE), run.output
    place.deploy("-e", f"bulkhead_release={second}", playbook="playbooks/rollback.yml").succeeded()
    assert (sourced.image, inside(place, "/srv/release")) == (kept[second], "second")
    assert tags(repository) == {*kept.values(), mine}

    docker("image", "rm", "--force", kept[third])
    before = moment(place)
    error = place.deploy("-e", f"bulkhead_release={third}", playbook="playbooks/rollback.yml").error
    assert f"release {third} cannot be returned to: this machine no longer has its image {kept[third]}." in error
    assert "deploy its commit again" in error and error.endswith("Nothing was changed")
    assert moment(place) == before and inside(place, "/srv/release") == "second"
    assert place.deploy().succeeded().result("source")["built"] is True
    assert (sourced.image, inside(place, "/srv/release")) == (kept[third], "third")
