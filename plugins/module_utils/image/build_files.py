# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a build reads: all of them in one directory that only this user can enter. Runs on the targets."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..core.handles import require_ours
from ..docker.engine import EngineError
from ..source.checkout import Checkout
from ..source.context import ContextError, resolve
from ..state.registry import state_directory
from .ca_bundle import certificates

#: The directory below the state directory for builds that are running.
BUILDS = "builds"


class BuildFiles(NamedTuple):
    """Paths that are no links, none of which anybody else can change. ``ca_bundle`` is empty if there is none.

    ``tree`` is the git tree of the files; empty where git changes files at checkout, so that they are not those of any
    commit.
    """

    context: str
    dockerfile: str
    ca_bundle: str
    tree: str


@contextlib.contextmanager
def build_files(checkout: Checkout, params: dict[str, Any], commit: str) -> Iterator[BuildFiles]:
    """Yield the files for the build of a commit. Raises EngineError if anything to be read lies outside of it."""
    parent = os.path.join(state_directory(params["state_directory"]), BUILDS)
    require_ours(parent)
    os.makedirs(parent, mode=0o700, exist_ok=True)
    # No prefix has a dot. The environment's lock is held, so what is there was left by a run that was killed.
    for name in os.listdir(parent):
        if name.partition(".")[0] == params["prefix"]:
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
    folder = tempfile.mkdtemp(prefix="%s." % params["prefix"], dir=parent)  # only for this user
    try:
        bundle = ""
        if params["ca_bundle"]:
            bundle = os.path.join(folder, "ca-bundle.pem")
            with open(bundle, "w", encoding="ascii") as stream:
                given = (params["state_directory"], params["prefix"], params["owner"] or "", params["directory"])
                stream.write(certificates(params["ca_bundle"], *given))
        root = os.path.join(folder, "files")
        os.mkdir(root)
        try:
            tree = checkout.export(commit, root)
        except ContextError as error:
            raise EngineError("commit %s cannot be built: %s" % (commit[:12], error)) from error
        context, dockerfile = inside(root, params["context"], params["dockerfile"], commit)
        yield BuildFiles(context, dockerfile, bundle, tree)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def inside(root: str, context: str, dockerfile: str, commit: str) -> tuple[str, str]:
    """The build context and the Dockerfile below ``root``, after links. Raises EngineError if anything leaves it."""
    folder = _resolved(root, context, "bulkhead_build_context", commit)
    if not os.path.isdir(folder):
        raise EngineError("commit %s has no directory %s (bulkhead_build_context)" % (commit[:12], context))
    recipe = _resolved(root, dockerfile, "bulkhead_build_dockerfile", commit)
    if not os.path.isfile(recipe):
        raise EngineError(_missing(root, dockerfile, commit))
    beside = os.path.relpath("%s.dockerignore" % recipe, root)
    for ignored in (os.path.relpath(os.path.join(folder, ".dockerignore"), root), beside):
        _resolved(root, ignored, "the files that the build leaves out", commit)
    return folder, recipe


_PIP = "pip install --no-cache-dir -r requirements.txt"

#: A minimal Dockerfile by a file that tells what an application is: its image, how it is built, and what it runs.
_MINIMAL = (
    ("manage.py", "python:3.13-slim", _PIP, "gunicorn -b :8000 config.wsgi"),
    ("requirements.txt", "python:3.13-slim", _PIP, "python3 main.py"),
    ("Gemfile", "ruby:3.4-slim", "bundle install", "bin/rails server -b 0.0.0.0"),
    ("package.json", "node:22-slim", "npm ci --omit=dev", "node server.js"),
    ("go.mod", "golang:1.25", "go build -o /usr/local/bin/app .", "app"),
    ("composer.json", "php:8.4-apache", "", "apache2-foreground"),
    ("index.php", "php:8.4-apache", "", "apache2-foreground"),
    ("", "<image>", "", "<command>"),
)

#: A Dockerfile of another name, such as Dockerfile.prod or web.dockerfile.
_OTHER = re.compile(r"[\w.-]*dockerfile(?!.*ignore)[\w.-]*", re.IGNORECASE | re.ASCII)


def _missing(root: str, dockerfile: str, commit: str) -> str:
    """That a commit has no such Dockerfile: with those that it has, or a minimal one for what it seems to be."""
    said = "commit %s has no %s (bulkhead_build_dockerfile)" % (commit[:12], dockerfile)
    others = []
    for folder in [root, *sorted(entry.path for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False))]:
        found = (entry.path for entry in os.scandir(folder) if _OTHER.fullmatch(entry.name))
        others += sorted(os.path.relpath(path, root) for path in found if os.path.isfile(path))
    if others:
        return "%s. It has %s" % (said, ", ".join(others[:5]))
    there = {"", *os.listdir(root)}
    _sign, image, build, command = next(row for row in _MINIMAL if row[0] in there)
    lines = ["FROM %s" % image, "WORKDIR %s" % ("/var/www/html" if "php" in image else "/app"), "COPY . ."]
    lines += ["RUN %s" % build] if build else []
    lines += ["CMD [%s]" % ", ".join('"%s"' % word for word in command.split())]
    return "%s. A minimal one, to be committed:\n%s" % (said, "\n".join(lines))


def _resolved(root: str, path: str, what: str, commit: str) -> str:
    try:
        return resolve(root, path)
    except ContextError as error:
        raise EngineError(
            "commit %s cannot be built: %s (%s). The build would read files of this machine, perhaps of another "
            "environment: commit the files themselves" % (commit[:12], error, what)
        ) from error
