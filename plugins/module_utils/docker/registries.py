# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the engine for images of a registry with somebody's password. Runs on the targets.

Docker's command takes passwords from a file only, which stays when its user is killed. The engine itself takes them
with each request (``X-Registry-Auth``), and its own settings say which registries and certificates it trusts.
Source: https://docs.docker.com/reference/api/engine/version/v1.44/ (DistributionInspect, ImageCreate).
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from ..core.meanwhile import is_told, of_registry, tell
from .direct import INTERFACE, UNIX
from .engine import Engine, EngineError
from .reference import ImageReference
from .socket_connection import SocketConnection

#: The limit for one answer to come, in seconds: a registry may be slow, and a layer large.
_LIMIT = 600

#: The header of a push without a login.
_NO_LOGIN = base64.urlsafe_b64encode(b"{}").decode()


class Registries:
    """The registries, as the engine sees them. ``user`` and ``password`` are sent to the image's own registry only.
    ``variable`` names the image in errors, where one does."""

    def __init__(self, engine: Engine, user: str = "", password: str = "", variable: str = "bulkhead_image") -> None:
        if not engine.docker_host.startswith(UNIX):
            raise EngineError(
                "%s needs the engine's own socket, and bulkhead_docker_host is %s"
                % (variable or "an image by digest", engine.docker_host)
            )
        self._named = " (%s)" % variable if variable else ""
        self._path = engine.docker_host[len(UNIX) :]
        self._user = user
        self._password = password

    def digest(self, image: ImageReference) -> str:
        """The digest that a reference means now. Raises EngineError where the registry does not say."""
        if image.digest:
            return image.digest
        status, body = self._ask("GET", "/distribution/%s:%s/json" % (quote(image.name), image.tag or "latest"), image)
        if status != 200:
            raise self._error(image, body)
        found = str((_json(body).get("Descriptor") or {}).get("digest", ""))
        if not found.startswith("sha256:"):
            raise EngineError("the registry %s gives %s no digest" % (image.registry, image.name))
        return found

    def pull(self, image: ImageReference, digest: str) -> str:
        """Have the engine fetch exactly this image. Returns the name by which the engine knows it."""
        query = urlencode({"fromImage": image.name, "tag": digest})
        status, body = self._ask("POST", "/images/create?%s" % query, image)
        # The answer begins before the work does, so that an error comes as its last line.
        failed = [line for line in body.splitlines() if b'"errorDetail"' in line]
        if status != 200 or failed:
            raise self._error(image, failed[-1] if failed else body)
        return "%s@%s" % (image.name, digest)

    def push(self, image: ImageReference) -> str:
        """Have the engine send an image to its registry. Returns its digest there."""
        query = urlencode({"tag": image.tag})
        # The engine requires this header for a push, also without a login.
        status, body = self._ask("POST", "/images/%s/push?%s" % (quote(image.name), query), image, _NO_LOGIN)
        said = [_json(line) for line in body.splitlines()]
        failed = [line for line in body.splitlines() if b'"errorDetail"' in line]
        if status != 200 or failed:
            raise self._error(image, failed[-1] if failed else body, "cannot be sent to %s")
        found = [str((line.get("aux") or {}).get("Digest") or "") for line in said]
        digest = next((text for text in reversed(found) if text.startswith("sha256:")), "")
        if not digest:
            raise EngineError("the registry %s took %s and gave it no digest" % (image.registry, shown(image)))
        return digest

    def _ask(self, method: str, path: str, image: ImageReference, login: str = "") -> tuple[int, bytes]:
        headers = {"X-Registry-Auth": login} if login else {}
        if self._user:
            server = "https://index.docker.io/v1/" if image.registry == "docker.io" else image.registry
            given = {"username": self._user, "password": self._password, "serveraddress": server}
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(json.dumps(given).encode()).decode()
        connection = SocketConnection(self._path, _LIMIT)
        try:
            connection.request(method, INTERFACE + path, headers=headers)
            answer = connection.getresponse()
            return answer.status, b"".join(_told(iter(answer.readline, b"")))
        except (OSError, http.client.HTTPException) as error:
            raise EngineError("the Docker engine at unix://%s cannot be reached: %s" % (self._path, error)) from error
        finally:
            connection.close()

    def _error(self, image: ImageReference, body: bytes, what: str = "cannot be had from %s") -> EngineError:
        """What the engine said, and what to do about it."""
        answer = _json(body)
        said = str(answer.get("message") or (answer.get("errorDetail") or {}).get("message") or "no reason was given")
        mend = _mend(said, image, self._user)
        return EngineError("%s %s%s: %s" % (shown(image), what % image.registry, self._named, mend), said)


def _json(text: bytes) -> dict[str, Any]:
    """An object that the engine wrote; empty for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _told(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of an answer, which a pull writes while it works: who watches the run sees them."""
    for line in lines:
        said = of_registry(line) if is_told() else ""
        if said:
            tell("pulling: %s" % said)
        yield line


def shown(image: ImageReference) -> str:
    """A reference as text."""
    tag = ":%s" % image.tag if image.tag else ""
    return "%s%s%s" % (image.name, tag, "@%s" % image.digest if image.digest else "")


#: What engines and registries say, in lower case, and what it means.
_WORDS = (
    (("unauthorized", "denied", "authentication required", "no basic auth"), "login"),
    (("manifest unknown", "not found", "name unknown", "repository does not exist"), "absent"),
    (("x509", "certificate"), "certificate"),
    (("connection refused", "no such host", "timeout", "no route to host", "i/o timeout"), "away"),
    (("toomanyrequests", "rate limit"), "limit"),
    (("no space left",), "full"),
)


def _mend(said: str, image: ImageReference, user: str) -> str:
    """What to do about an error."""
    kind = next((kind for words, kind in _WORDS if any(word in said.lower() for word in words)), "")
    if kind == "login":
        who = "the user %s and the secret REGISTRY_PASSWORD" % user if user else "anybody without a login"
        return "it is not given to %s. Set bulkhead_image_user, and REGISTRY_PASSWORD in bulkhead_secrets" % who
    mends = {
        "absent": "the registry has no such image. Push it there first, or correct the name, tag or digest",
        "certificate": "the engine does not trust the registry's certificate. Put its CA into "
        "/etc/docker/certs.d/%s/ca.crt on the machine" % image.registry,
        "away": "the machine does not reach the registry. See whether its name resolves there, and a firewall or proxy",
        "limit": "the registry gives no more for now. Wait, or set bulkhead_image_user",
        "full": "the disk of the engine is full",
    }
    return mends.get(kind, "see what the engine said")
