# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do on the machine, as which user, when a repository cannot be read. Runs on the targets."""

from __future__ import annotations

import re

#: A part of git's or ssh's words, and what mends it. ``who`` runs git, ``home`` is that user's home directory, ``host``
#: is where the repository is.
_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"HOST IDENTIFICATION HAS CHANGED",
        "the key of %(host)s is another one than %(home)s/.ssh/known_hosts has. Find out why before you trust it; "
        "then, as %(who)s on this machine: ssh-keygen -R %(host)s",
    ),
    (
        r"Host key verification failed",
        "%(who)s does not know the key of %(host)s. On this machine, as %(who)s: ssh-keyscan %(host)s "
        ">>%(home)s/.ssh/known_hosts, and compare the fingerprint (ssh-keygen -lf) with the one that it publishes",
    ),
    (
        r"Permission denied \((?:publickey|.*password)",
        "%(host)s accepts no key of %(who)s. The agent and GIT_SSH_COMMAND of the person who deploys do not reach git: "
        "put a deploy key in %(home)s/.ssh and name it for %(host)s in %(home)s/.ssh/config (IdentityFile)",
    ),
    (
        r"Load key .*(?:Permission|invalid|libcrypto)",
        "ssh cannot read a key of %(who)s in %(home)s/.ssh; its mode is 0600",
    ),
    (
        r"Bad owner or permissions",
        "ssh refuses a file in %(home)s/.ssh: it must belong to %(who)s and be writable by no one else",
    ),
    (
        r"Could not resolve|Temporary failure in name resolution|Name or service not known",
        "this machine cannot resolve %(host)s. Behind a proxy, name that on this machine, as %(who)s: git config "
        "--global http.proxy http://proxy.example:3128 (proxy variables of the environment do not reach git)",
    ),
    (
        r"Connection (?:refused|timed out|reset)|Failed to connect|Network is unreachable|No route to host"
        r"|Couldn't connect|Operation timed out",
        "%(host)s is not reached from this machine. Look at its firewall and at the port in the URL; behind a proxy: "
        "git config --global http.proxy … as %(who)s, or ProxyCommand in %(home)s/.ssh/config",
    ),
    (
        r"could not read (?:Username|Password)|Authentication failed|HTTP Basic: Access denied|error: 40[13]",
        "%(host)s wants other credentials: write https://user:token@%(host)s/… in the environment's vault, or let "
        "%(who)s have an entry in %(home)s/.git-credentials (git config --global credential.helper store)",
    ),
    (
        r"server certificate|SSL certificate|certificate verify failed|self.signed certificate",
        "this machine does not trust the certificate of %(host)s: install its CA (update-ca-certificates), or name it "
        "as %(who)s: git config --global http.sslCAInfo /path/to/ca.pem",
    ),
    (r"dubious ownership", "the directory belongs to another user than %(who)s; bulkhead_owner has to own it"),
    (
        r"git-lfs.*not found|'lfs' is not a git command|smudge filter lfs failed",
        "the repository keeps files in Git LFS: apt-get install git-lfs, then git lfs install --system",
    ),
    (
        r"[Rr]epository .*not found|does not appear to be a git repository|not found\.?$|does not exist",
        "correct the path, or give %(who)s access: hosts answer so to whoever may not read a repository",
    ),
)

#: The same where the environment has a deploy key, which the user's own files have no part in; and where it names the
#: host keys as well.
_WITH_KEY: tuple[tuple[str, str], ...] = (
    (
        r"Permission denied \((?:publickey|.*password)",
        "%(host)s does not accept the environment's deploy key: register its public half there, read-only. The secret "
        "BULKHEAD_DEPLOY_KEY_PUBLIC has it",
    ),
    (r"Load key .*(?:Permission|invalid|libcrypto)", "ssh cannot read the secret BULKHEAD_DEPLOY_KEY: set it anew"),
)
_WITH_HOSTS: tuple[tuple[str, str], ...] = (
    (
        r"HOST IDENTIFICATION HAS CHANGED|Host key verification failed",
        "the key of %(host)s is none of bulkhead_source_known_hosts, so the deploy key was not used. Compare the "
        "fingerprint of what answers (ssh-keyscan %(host)s | ssh-keygen -lf -) with the one that it publishes, before "
        "you write another line there",
    ),
)

_HOST = re.compile(r"(?:[a-z+]+://(?:[^/@\s]+@)?|[^/@\s]+@)(\[[^\]]+\]|[^/:\s]+)")


def remedy(
    errors: str, repository: str, who: str, home: str, deploy_key: bool = False, known_hosts: bool = False
) -> str:
    """What mends a failure of git, as a sentence; empty where its words are not known.

    ``deploy_key`` and ``known_hosts`` say that the environment has its own.
    """
    host = _HOST.match(repository)
    names = {"who": who, "home": home.rstrip("/"), "host": host.group(1) if host else "the repository"}
    own = (_WITH_KEY if deploy_key else ()) + (_WITH_HOSTS if known_hosts else ())
    for pattern, words in own + _REMEDIES:
        if re.search(pattern, errors, re.MULTILINE):
            return words % names
    return ""
