# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is generated can be used by what asks for it, and no two are alike."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.fingerprints import STRONG, bits
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.generate import KINDS, generate, kind_of
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_strong_and_new(kind: str) -> None:
    one, two = generate("NAME", kind), generate("NAME", kind)
    assert one["NAME"] != two["NAME"]
    assert bits(one["NAME"]) >= STRONG
    assert kind == "django" or kind_of("NAME", one["NAME"]) == kind


def test_forms() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", generate("A", "password")["A"])
    assert re.fullmatch(r"[a-z0-9\-_=+*^@]{64}", generate("A", "django")["A"])
    key = Fernet(generate("A", "fernet")["A"])
    assert key.decrypt(key.encrypt(b"text")) == b"text"


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@pytest.mark.parametrize(("name", "public"), [("JWT_PRIVATE_KEY", "JWT_PUBLIC_KEY"), ("SIGNER", "SIGNER_PUBLIC")])
def test_pairs(kind: str, name: str, public: str) -> None:
    made = generate(name, kind)
    assert list(made) == [name, public]
    private = load_pem_private_key(made[name].encode(), None)
    assert private.public_key() == load_pem_public_key(made[public].encode())


def test_a_password_file_for_nginx() -> None:
    """The form is that of nginx's own ngx_crypt.c: SHA-1 of password and salt, and then the salt."""
    made = generate("ADMIN_HTPASSWD", "htpasswd")
    user, _colon, hashed = made["ADMIN_HTPASSWD"].partition(":{SSHA}")
    both = base64.b64decode(hashed)
    assert user == "admin"
    assert hashlib.sha1(made["ADMIN_HTPASSWD_PASSWORD"].encode() + both[20:]).digest() == both[:20]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("SECRET_KEY", "django"), ("DB_PASSWORD", "password"), ("FERNET_KEY", "fernet"), ("METRICS_HTPASSWD", "htpasswd"),
     ("SENTRY_TOKEN", "password")],
)  # fmt: skip
def test_kinds_by_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind
