# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References to images, and what the engine says of registries, by an engine of our own at a socket."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.reference import parse, reference_problem
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.registries import Registries

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "parts", "registry"),
    [
        ("registry.example.com/shop/app:1.4", ("registry.example.com/shop/app", "1.4", ""), "registry.example.com"),
        (f"localhost:5000/app@{DIGEST}", ("localhost:5000/app", "", DIGEST), "localhost:5000"),
        (f"shop/app:v1@{DIGEST}", ("shop/app", "v1", DIGEST), "docker.io"),
        ("app:1", ("app", "1", ""), "docker.io"),
        ("[::1]:5000/a__b/c-d:x", ("[::1]:5000/a__b/c-d", "x", ""), "[::1]:5000"),
    ],
)
def test_references(text: str, parts: tuple[str, str, str], registry: str) -> None:
    found = parse(text)
    assert tuple(found) == parts and found.registry == registry
    assert reference_problem(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "shop/app",
        "Shop/App:1",
        "a b:1",
        "app:1\n",
        "app@sha256:abc",
        "--pull:1",
        "../app:1",
        "https://a/b:1",
        "app:größe",
    ],
)
def test_what_names_no_image(text: str) -> None:
    """Nothing that an engine or a shell could take for something else, and nothing without a version."""
    assert "bulkhead_image is" in reference_problem(text)


class Handler(BaseHTTPRequestHandler):
    """Answers as the engine does, with what the test wants it to say."""

    says: tuple[int, bytes] = (200, b"")
    asked: tuple[str, dict[str, Any]] = ("", {})

    def _answer(self) -> None:
        given = self.headers.get("X-Registry-Auth", "")
        type(self).asked = (self.path, json.loads(base64.urlsafe_b64decode(given)) if given else {})
        status, body = type(self).says
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "engine"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that only talks of registries."""
    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield cast(Engine, SimpleNamespace(docker_host=f"unix://{path}"))
        server.shutdown()


def test_a_digest_is_asked_for_with_the_login(engine: Engine) -> None:
    """The login goes to the image's own registry, in a header of that one request."""
    Handler.says = (200, json.dumps({"Descriptor": {"digest": DIGEST}}).encode())
    assert Registries(engine, "me", "secret").digest(parse("registry.example.com/shop/app:1")) == DIGEST
    path, login = Handler.asked
    assert path == "/v1.44/distribution/registry.example.com/shop/app:1/json"
    assert login == {"username": "me", "password": "secret", "serveraddress": "registry.example.com"}
    assert Registries(engine).digest(parse("shop/app:1")) == DIGEST and Handler.asked[1] == {}
    assert Registries(engine).digest(parse("shop/app")) == DIGEST and "/shop/app:latest/" in Handler.asked[0]


def test_pulled_by_digest(engine: Engine) -> None:
    """Never by a tag, which may have moved meanwhile."""
    Handler.says = (200, b'{"status":"Pulling"}\n{"status":"Digest"}\n')
    assert Registries(engine).pull(parse("registry.example.com/app:1"), DIGEST) == f"registry.example.com/app@{DIGEST}"
    assert (
        Handler.asked[0]
        == f"/v1.44/images/create?fromImage=registry.example.com%2Fapp&tag={DIGEST.replace(':', '%3A')}"
    )


def test_sent_to_its_registry(engine: Engine) -> None:
    """The digest is in the last lines of the answer; a push needs a header even where nobody logs in."""
    done = {"progressDetail": {}, "aux": {"Tag": "1", "Digest": DIGEST, "Size": 1}}
    Handler.says = (200, b'{"status":"Preparing"}\n' + json.dumps(done).encode() + b"\n")
    image = parse("registry.example.com:5000/shop/app:1")
    assert Registries(engine).push(image) == DIGEST
    path, login = Handler.asked
    assert path == "/v1.44/images/registry.example.com%3A5000/shop/app/push?tag=1" and login == {}
    assert Registries(engine, "me", "secret").push(image) == DIGEST
    _path, login = Handler.asked
    assert login["username"] == "me"


def test_not_sent_to_its_registry(engine: Engine) -> None:
    """The answer begins well, and ends with an error; or it has no digest."""
    registries = Registries(engine, "me", "sesame", variable="")
    Handler.says = (200, b'{"status":"Preparing"}\n{"errorDetail":{"message":"denied"},"error":"denied"}\n')
    with pytest.raises(EngineError, match=r"r.io/app:1 cannot be sent to r.io: it is not given to the user me"):
        registries.push(parse("r.io/app:1"))
    Handler.says = (200, b'{"status":"Preparing"}\n')
    with pytest.raises(EngineError, match="gave it no digest"):
        registries.push(parse("r.io/app:1"))


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("unauthorized: authentication required", "it is not given to the user me"),
        ("pull access denied for app, repository does not exist or may require 'docker login'", "REGISTRY_PASSWORD"),
        ("manifest unknown: manifest unknown", "the registry has no such image"),
        (
            "tls: failed to verify: x509: certificate signed by unknown authority",
            "/etc/docker/certs.d/r.io/",
        ),
        ("dial tcp: lookup r.io: no such host", "the machine does not reach the registry"),
        ("toomanyrequests: You have reached your pull rate limit", "the registry gives no more for now"),
        ("write /var/lib/docker: no space left on device", "the disk of the engine is full"),
        ("something new", "see what the engine said"),
    ],
)
def test_errors(engine: Engine, said: str, mend: str) -> None:
    """Each with its mend and the engine's own words, before and in the middle of an answer, never with the password."""
    registries = Registries(engine, "me", "sesame")
    Handler.says = (500, json.dumps({"message": said}).encode())
    with pytest.raises(EngineError) as asked:
        registries.digest(parse("r.io/app:1"))
    Handler.says = (200, b'{"status":"Pulling"}\n' + json.dumps({"errorDetail": {"message": said}}).encode())
    with pytest.raises(EngineError) as pulled:
        registries.pull(parse("r.io/app:1"), DIGEST)
    for error in (asked.value, pulled.value):
        assert "r.io/app:1 cannot be had from r.io (bulkhead_image)" in error.message and mend in error.message
        assert error.detail == said and "sesame" not in f"{error.message}{error.detail}"


def test_an_engine_that_is_not_at_a_socket() -> None:
    with pytest.raises(EngineError, match="needs the engine's own socket"):
        Registries(cast(Engine, SimpleNamespace(docker_host="ssh://machine")))
