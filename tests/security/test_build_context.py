# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A commit, or a variable of a build, must not read anything of the machine into an image."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import Place, Site, docker, only
from work_repository import DOCKERFILE, Repository

WORD = "password-of-the-neighbour"


def neighbour(site: Site) -> Path:
    """The directory of another environment on this machine."""
    path = site.directory / "machine" / "neighbour"
    path.mkdir(parents=True)
    (path / ".env").write_text(f"PASSWORD={WORD}\n")
    (path / "Dockerfile").write_text(DOCKERFILE)
    return path


def built(site: Site, repository: Repository, **build: str) -> Place:
    """An environment whose only service is built from the repository."""
    return site.small(
        source_repository=str(repository),
        source_branch="main",
        app_service="web",
        services=only(web={"stop_grace_period": "0s"}),
        **{f"build_{name}": value for name, value in build.items()},
    )


def image_of(place: Place) -> str:
    """The images of the environment's own repository."""
    return docker("image", "ls", "--quiet", f"{place.prefix}_web").strip()


def plain(site: Site, context: Path, dockerfile: Path) -> str:
    """The control: what plain ``docker build`` puts into an image from there."""
    name = f"{site.project}_control"
    label = f"io.bulkhead.project={site.project}"
    command = ["docker", "build", "--quiet", "--label", label, "--tag", name, "--file", str(dockerfile), str(context)]
    subprocess.run(command, capture_output=True, check=True)
    return docker("run", "--rm", "--network", "none", name, "cat", "/context/.env")


def test_a_context_that_a_commit_makes_a_link(site: Site) -> None:
    """A directory of the repository becomes a link to the neighbour's: refused by name, and no image is made."""
    other = neighbour(site)
    repository = Repository(site.directory / "origin")
    repository.commit({"Dockerfile": DOCKERFILE}, {"backend": str(other), "steps": "backend"})
    place = built(site, repository, context="steps")
    error = place.deploy().error
    assert f"backend is a link to {other}, outside the repository (bulkhead_build_context)" in error
    assert image_of(place) == ""
    assert WORD in plain(site, repository.path / "steps", repository.path / "Dockerfile")


def test_a_dockerfile_behind_a_link(site: Site) -> None:
    """An image would be built by the neighbour's Dockerfile, and an error would show lines of any file."""
    other = neighbour(site)
    repository = Repository(site.directory / "origin")
    repository.commit({"x": ""}, {"docker": "../machine/neighbour"})
    place = built(site, repository, dockerfile="docker/Dockerfile")
    error = place.deploy().error
    assert "docker is a link to ../machine/neighbour, outside the repository (bulkhead_build_dockerfile)" in error
    assert image_of(place) == ""
    (other / "x").write_text("")
    assert WORD in plain(site, other, repository.path / "docker/Dockerfile")


def test_links_inside_the_context_stay_links(site: Site) -> None:
    """They are sent as links, whatever they lead to: the image gets no file of the machine. An inner link works."""
    other = neighbour(site)
    repository = Repository(site.directory / "origin")
    links = {"app/neighbour": str(other), "current": "app", "app/.dockerignore": str(other / ".env")}
    commit = repository.commit({"recipes/Dockerfile": DOCKERFILE, "app/x": "own"}, links)
    place = built(site, repository, context="current", dockerfile="recipes/Dockerfile")
    assert f"app/.dockerignore is a link to {other}/.env" in place.deploy().error
    repository.git("rm", "--quiet", "app/.dockerignore")
    repository.commit({"app/y": "own"})
    place.deploy().succeeded()
    inside = ("exec", f"{place.prefix}_web")
    assert docker(*inside, "cat", "/context/x", "/context/y") == "ownown"
    assert docker(*inside, "readlink", "/context/neighbour").strip() == str(other)
    assert WORD not in docker(*inside, "sh", "-c", "cat /context/neighbour/.env 2>&1 || true", check=False)
    assert commit not in docker("image", "ls", "--format", "{{.Tag}}", f"{place.prefix}_web")
    builds = site.directory / "machine-state/builds"
    assert list(builds.iterdir()) == [] and builds.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("bulkhead_build_context", "../../machine/neighbour"),
        ("bulkhead_build_dockerfile", "/etc/shadow"),
        ("bulkhead_build_ca_bundle", "machine-state/key"),
    ],
)
def test_paths_are_refused_on_paper(site: Site, variable: str, value: str) -> None:
    """Before any commit is looked at."""
    place = built(site, Repository(site.directory / "origin"))
    place.variables[variable] = str(site.directory / value) if value.endswith("key") else value
    run = site.play("-l", place.group, playbook="playbooks/plan.yml")
    assert run.code != 0 and f"{variable} is" in " ".join(run.output.split()), run.output


@pytest.mark.parametrize("content", ["root:$6$hash:19000:0:99999:7:::\n", "private key", "own certificate"])
def test_only_certificates_are_a_ca_bundle(site: Site, content: str) -> None:
    """Nothing but certificates of the named file gets into a build, and of a file with anything else, nothing."""
    key, certificate = site.directory / "key.pem", site.directory / "certificate.pem"
    subject = ["-subj", "/CN=example.com", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, *subject, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    bundle = site.directory / "bundle.pem"
    if content == "private key":
        content = certificate.read_text() + key.read_text()
    taken = content == "own certificate"
    content = certificate.read_text() if taken else content
    bundle.write_text(f"# {WORD}\n{content}")
    secret = "RUN --mount=type=secret,id=ca-bundle cat /run/secrets/ca-bundle > /bundle\n"
    repository = Repository(site.directory / "origin")
    repository.commit({"Dockerfile": DOCKERFILE + secret, "x": content})  # no cached step has another bundle
    place = built(site, repository, ca_bundle=str(bundle))
    if not taken:
        error = place.deploy().error
        assert f"{bundle} is not read (bulkhead_build_ca_bundle)" in error
        assert content.splitlines()[-1] not in error and image_of(place) == ""
        return
    place.deploy().succeeded()
    assert docker("exec", f"{place.prefix}_web", "cat", "/bundle") == certificate.read_text()
