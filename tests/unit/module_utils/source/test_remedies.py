# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What git and ssh say, and what is advised on it: as which user, and in which file."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.remedies import remedy

RIGHTS = "\nPlease make sure you have the correct access rights\nand the repository exists.\n"
FATAL = f"fatal: Could not read from remote repository.\n{RIGHTS}"


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        (
            f"Host key verification failed.\n{FATAL}",
            "as ubuntu: ssh-keyscan git.example.com >>/home/ubuntu/.ssh/known_hosts",
        ),
        (f"git@git.example.com: Permission denied (publickey).\n{FATAL}", "a deploy key in /home/ubuntu/.ssh"),
        (f"ssh: connect to host git.example.com port 22: Connection refused\n{FATAL}", "not reached from this machine"),
        (
            f"@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.\n{FATAL}",
            "-R git",
        ),
        ("fatal: unable to access 'https://x/': Could not resolve host: git.example.com", "http.proxy"),
        ("fatal: could not read Username for 'https://git.example.com': terminal prompts disabled", "user:token@"),
        (
            "fatal: unable to access 'https://x/': server certificate verification failed. CAfile: none",
            "http.sslCAInfo",
        ),
        ("remote: Repository not found.\nfatal: repository 'https://x/' not found", "give ubuntu access"),
        (
            f"remote: ERROR: The project you were looking for could not be found or you don't have\n{FATAL}",
            "give ubuntu",
        ),
        (f'Load key "/x/id": bad permissions\ngit@x: Permission denied (publickey).\n{FATAL}', "mode 0600"),
        (f'Load key "/x/id": error in libcrypto\ngit@x: Permission denied (publickey).\n{FATAL}', "mode 0600"),
        (f"Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\n{FATAL}", "IdentitiesOnly"),
        (
            f"Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.\n{FATAL}",
            "no algorithm in common",
        ),
        (f"kex_exchange_identification: Connection closed by remote host\n{FATAL}", "closed the connection before"),
        (f"/x/.ssh/config: terminating, 1 bad configuration options\n{FATAL}", "IgnoreUnknown"),
        ("error: cannot run ssh: No such file or directory\nfatal: unable to fork", "openssh-client"),
        (
            "fatal: unable to access 'https://x/': Received HTTP code 407 from proxy after CONNECT",
            "the proxy of ubuntu",
        ),
        ("fatal: unable to access 'https://x/': CONNECT tunnel failed, response 403", "the proxy of ubuntu"),
        ("fatal: unable to access 'https://x/': Could not resolve proxy: proxy.example", "the proxy of ubuntu"),
        ("fatal: unable to access 'https://x/': gnutls_handshake() failed: Handshake failed", "speaks no TLS"),
        (
            "Smudge error: Error downloading a.bin: batch response: This repository is over its data quota. Buy more "
            "to restore access.\nfatal: a.bin: smudge filter lfs failed",
            "used up its quota",
        ),
        ("batch response: Authentication required\nfatal: a.bin: smudge filter lfs failed", "does not let ubuntu in"),
        ("fatal: Unable to create '/x/.git/index.lock': File exists.", "remove the file that is named, as ubuntu"),
        ("error: insufficient permission for adding an object to repository database .git/objects", "chown -R"),
        ("fatal: write error: No space left on device", "disk of this machine is full"),
    ],
)
def test_each_failure_has_its_remedy(said: str, advised: str) -> None:
    assert advised in remedy(said, "ssh://git@git.example.com:2222/app.git", "ubuntu", "/home/ubuntu")


@pytest.mark.parametrize(
    ("repository", "host"),
    [
        ("git@git.example.com:app.git", "git.example.com"),
        ("https://git.example.com:8443/app.git", "git.example.com"),
        ("ssh://git@[2001:db8::1]:22/app.git", "[2001:db8::1]"),
    ],
)
def test_the_host_is_named_as_in_the_url(repository: str, host: str) -> None:
    assert f"cannot resolve {host}." in remedy("Could not resolve host", repository, "root", "/root")


@pytest.mark.parametrize(
    ("said", "own", "advised"),
    [
        ("git@x: Permission denied (publickey).", (True, True), "register its public half there"),
        ("git@x: Permission denied (publickey).", (True, False), "register its public half there"),
        ("git@x: Permission denied (publickey).", (False, False), "put a deploy key in /home/ubuntu/.ssh"),
        ("Host key verification failed.", (True, True), "is none of bulkhead_source_known_hosts"),
        ("Host key verification failed.", (True, False), "ssh-keyscan git.example.com >>/home/ubuntu/.ssh/known_hosts"),
        (
            'Load key "/proc/7/fd/3": error in libcrypto\ngit@x: Permission denied (publickey).',
            (True, True),
            "the secret BULKHEAD_DEPLOY_KEY: set it anew",
        ),
        ("Connection refused", (True, True), "is not reached from this machine"),
    ],
)
def test_with_a_deploy_key_the_users_own_files_have_no_part(said: str, own: tuple[bool, bool], advised: str) -> None:
    assert advised in remedy(said, "git@git.example.com:app.git", "ubuntu", "/home/ubuntu", *own)


def test_what_is_not_known_gets_no_advice() -> None:
    assert remedy("fatal: bad object HEAD", "/srv/app.git", "root", "/root") == ""
