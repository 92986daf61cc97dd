# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates made for tests, by an authority of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
NOW = datetime.now(UTC).timestamp()
DAY = 86400.0


def pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Issuer:
    """An authority that signs whatever it is asked for."""

    def __init__(self, name: str = "an authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.certificate = self._sign(self.name, self.key, (), NOW - 100 * DAY, NOW + 1000 * DAY, True)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: Sequence[str],
        begins: float,
        ends: float,
        authority: bool,
    ) -> bytes:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(begins, UTC))
            .not_valid_after(datetime.fromtimestamp(ends, UTC))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(PEM)

    def issue(self, *names: str, begins: float = NOW - DAY, ends: float = NOW + 89 * DAY) -> tuple[bytes, bytes]:
        """A key, and the chain of its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        return pem_key(key), self._sign(_name(names[0]), key, names, begins, ends, False) + self.certificate

    def text(self, *names: str, begins: float = NOW - DAY, ends: float = NOW + 89 * DAY) -> bytes:
        """Both as one text."""
        key, chain = self.issue(*names, begins=begins, ends=ends)
        return key + chain
