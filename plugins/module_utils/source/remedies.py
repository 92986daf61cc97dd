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
        r"Load key .*(?:[Pp]ermission|invalid|libcrypto)|UNPROTECTED PRIVATE KEY",
        "ssh cannot read a key of %(who)s in %(home)s/.ssh: it must be whole, have no passphrase, belong to %(who)s "
        "and have mode 0600",
    ),
    (
        r"Permission denied \((?:publickey|.*password)",
        "%(host)s accepts no key of %(who)s. The agent and GIT_SSH_COMMAND of the person who deploys do not reach git: "
        "put a deploy key in %(home)s/.ssh and name it for %(host)s in %(home)s/.ssh/config (IdentityFile)",
    ),
    (
        r"Too many authentication failures",
        "%(who)s has more keys than %(host)s lets ssh try: name the right one for %(host)s in %(home)s/.ssh/config "
        "(IdentityFile, with IdentitiesOnly yes)",
    ),
    (
        r"Unable to negotiate with",
        "ssh of this machine and %(host)s have no algorithm in common: update the older one, or allow what is offered "
        "for %(host)s in %(home)s/.ssh/config",
    ),
    (
        r"kex_exchange_identification|Connection closed by",
        "%(host)s was reached and closed the connection before anybody signed in: it may refuse this machine's "
        "address, or be no ssh server. Look at its log, and at the host and port in the URL",
    ),
    (
        r"Bad configuration option|terminating, \d+ bad configuration",
        "ssh of this machine does not know an option of %(home)s/.ssh/config: correct it, or set IgnoreUnknown there",
    ),
    (
        r"cannot run ssh|remote helper for 'https'",
        "git of this machine lacks a program for this URL: apt-get install openssh-client for ssh, git for https",
    ),
    (
        r"from proxy after CONNECT|CONNECT tunnel failed|Could not resolve proxy|error: 407",
        "the proxy of %(who)s does not let git through. Correct it, with user and password where it wants them, as "
        "%(who)s: git config --global http.proxy http://user:password@proxy.example:3128",
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
    (
        r"certificate subject name|handshake|SSL_connect|wrong version number",
        "what answers for %(host)s speaks no TLS for that name. Look at the host and port in the URL, and at a proxy "
        "on the way",
    ),
    (r"dubious ownership", "the directory belongs to another user than %(who)s; bulkhead_owner has to own it"),
    (r"batch response: .*quota", "the repository's Git LFS has used up its quota; its owner can raise it"),
    (
        r"batch response: (?:Authentication|Authorization|.*access|.*[Pp]ermission)|lfs.*(?:40[13])",
        "the repository's Git LFS does not let %(who)s in: give these credentials, or this key, access to it as well",
    ),
    (
        r"(?:index|shallow|config|HEAD|ref \S+|/\S+)\.lock'?: File exists|Another git process seems to be running",
        "a git that was killed left a lock behind. If no git runs there (ps -C git), remove the file that is named, as "
        "%(who)s",
    ),
    (
        r"insufficient permission for adding an object|cannot open '?\S*\.git/\S*: Permission denied"
        r"|could not (?:open|lock) \S*\.git/\S*: Permission denied",
        "another user ran git in the checkout, and its files are that user's. Give them back to %(who)s: chown -R",
    ),
    (r"No space left on device", "the disk of this machine is full: df -h shows which"),
    (
        r"git-lfs.*not found|'lfs' is not a git command|smudge filter lfs failed",
        "the repository keeps files in Git LFS: apt-get install git-lfs, then git lfs install --system",
    ),
    (
        r"[Rr]epository .*not found|could not be found or you don't|repository not exported"
        r"|does not appear to be a git repository|not found\.?$|does not exist",
        "correct the path, or give %(who)s access: hosts answer so to whoever may not read a repository",
    ),
)

#: The same where the environment has a deploy key, which the user's own files have no part in; and where it names the
#: host keys as well.
_WITH_KEY: tuple[tuple[str, str], ...] = (
    (r"Load key .*(?:[Pp]ermission|invalid|libcrypto)", "ssh cannot read the secret BULKHEAD_DEPLOY_KEY: set it anew"),
    (
        r"Permission denied \((?:publickey|.*password)",
        "%(host)s does not accept the environment's deploy key: register its public half there, read-only. The secret "
        "BULKHEAD_DEPLOY_KEY_PUBLIC has it",
    ),
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
