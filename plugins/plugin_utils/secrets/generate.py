# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New secrets. Every value has at least 128 bits of the operating system's randomness."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping

from ..declaration.settings import DEPLOY_KEY
from ..isolation.readers.fingerprints import SIGNING, use_of
from .editing import SecretsProblem

try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
except ImportError:  # pragma: no cover
    serialization = None  # type: ignore[assignment]

#: The characters of Django's own generator that need no quoting anywhere.
_DJANGO = "abcdefghijklmnopqrstuvwxyz0123456789-_=+*^@"

_FERNET = re.compile(r"[A-Za-z0-9_-]{43}=\Z")


def _password() -> str:
    return secrets.token_urlsafe(32)


def _django() -> str:
    return "".join(secrets.choice(_DJANGO) for _unused in range(64))


def _fernet() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _pair(name: str, kind: str) -> dict[str, str]:
    """A private key under its name, and the public one beside it."""
    if serialization is None:
        raise SecretsProblem("a key pair needs the Python package cryptography, which the controller does not have")
    private = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 3072)
    pem = serialization.Encoding.PEM
    secret = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    other = name.replace("PRIVATE", "PUBLIC") if "PRIVATE" in name else f"{name}_PUBLIC"
    return {name: secret.decode(), other: public.decode()}


def _ssh(name: str) -> dict[str, str]:
    """A key pair as OpenSSH writes it: the private key under its name, the line for a server beside it."""
    if serialization is None:
        raise SecretsProblem("a key pair needs the Python package cryptography, which the controller does not have")
    private = ed25519.Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return {name: secret.decode(), f"{name}_PUBLIC": public.decode()}


def _htpasswd(name: str) -> dict[str, str]:
    """A line of a password file for nginx, and the password beside it.

    The hash is a salted SHA-1: every build of nginx reads it, and nobody guesses a random password of 256 bits.
    """
    password, salt = _password(), secrets.token_bytes(16)
    hashed = base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()
    return {name: f"admin:{{SSHA}}{hashed}", f"{name}_PASSWORD": password}


_MAKERS: Mapping[str, Callable[[str], dict[str, str]]] = {
    "password": lambda name: {name: _password()},
    "django": lambda name: {name: _django()},
    "fernet": lambda name: {name: _fernet()},
    "rsa": lambda name: _pair(name, "rsa"),
    "ed25519": lambda name: _pair(name, "ed25519"),
    "ssh": _ssh,
    "htpasswd": _htpasswd,
}

#: What kinds of secret there are.
KINDS = tuple(_MAKERS)


def generate(name: str, kind: str) -> dict[str, str]:
    """A new secret: its name with its value, and beside it what belongs to it, such as a public key."""
    return _MAKERS[kind](name)


def kind_of(name: str, value: str = "") -> str:
    """The kind of a secret by its value, or by its name where it has none yet."""
    if "-----BEGIN OPENSSH" in value or (not value and name == DEPLOY_KEY):
        return "ssh"
    if "-----BEGIN" in value:
        return "rsa" if len(value) > 600 else "ed25519"
    if "{SSHA}" in value or "HTPASSWD" in name.upper():
        return "htpasswd"
    if _FERNET.match(value) or (not value and "FERNET" in name.upper()):
        return "fernet"
    return "django" if use_of(name) == SIGNING else "password"
