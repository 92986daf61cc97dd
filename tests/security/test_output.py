# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No output and no receipt shows a secret: encoded by a tool, rotated away, or typed in a command."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote

from support import Run, Site, docker, only, web

OLD, NEW, TYPED = "old/pass'word&one", "new/pass'word&two", "typed-hunter22"

#: Prints what it is given in the ways of tools.
PROGRAM = (
    "import base64, json, sys, urllib.parse as u; v = sys.argv[1]; "
    "print(v, json.dumps({'p': v}), repr(v), u.quote(v, safe=''), base64.b64encode(b'user:' + v.encode()).decode())"
)


def forms(secret: str) -> list[str]:
    """What the program prints, in parts that identify the secret."""
    coded = base64.b64encode(b"user:" + secret.encode()).decode()
    return [secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""), coded[8:-4]]


def left(text: str, secret: str) -> list[str]:
    """The forms of a secret that stand in a text."""
    return [form for form in forms(secret) if form in text]


def test_no_output_shows_a_secret(site: Site) -> None:
    """Controls: the container prints every form of it, and the file on disk holds the old one."""
    files = [{"path": "docker/app/app.conf", "content": "key {{ bulkhead_secrets.API_KEY }}\nlevel {{ level }}\n"}]
    service = web(**{"x-bulkhead": {"files": files}})
    place = site.add(
        "small", "test", services=only(web=service), wait_timeout=90, env={"SAY": "hello"},
        secrets={"bulkhead_secrets": {"API_KEY": OLD}}, level="debug",
    )  # fmt: skip
    place.variables["level"] = place.variables.pop("bulkhead_level")
    site.write()
    templates(site)
    run = site.play("-l", "small", write=False).succeeded()
    assert not left(run.output, OLD)

    container = f"{place.prefix}_web"
    assert left(docker("exec", container, "python3", "-c", PROGRAM, OLD), OLD) == forms(OLD)
    for secret, assignment in ((OLD, False), (TYPED, True)):
        words = ["env", f"TOKEN={secret}"] if assignment else []
        command = json.dumps(
            {"bulkhead_service": "web", "bulkhead_command": shlex.join([*words, "python3", "-c", PROGRAM, secret])}
        )
        run = site.play("-l", "small", "-e", command, "-vvv", playbook="playbooks/shell.yml", write=False).succeeded()
        shown = told(run, command)
        assert "********" in shown and not left(shown, secret), shown
        receipts = sorted((site.directory / "machine-state").rglob("receipts/*.json"))
        assert "********" in receipts[-1].read_text() and not left(receipts[-1].read_text(), secret)

    assert OLD in (place.directory / "docker/app/app.conf").read_text()
    place.secrets["bulkhead_secrets"] = {"API_KEY": NEW}
    place.variables["level"] = "info"
    site.write()
    templates(site)
    run = site.play("-l", "small", "--check", "--diff", write=False).succeeded()
    assert "-key ******** (before)" in run.output and "+key ********" in run.output and "-level debug" in run.output
    assert not left(run.output, OLD) and not left(run.output, NEW)


def templates(site: Site) -> None:
    """Let the file's content be the template that it is."""
    path = site.inventory / "group_vars/small/main.yml"
    path.write_text(path.read_text().replace("!unsafe ", ""))


def told(run: Run, typed: str) -> str:
    """The output without the lines in which -vvv repeats the command line."""
    return "\n".join(line for line in run.output.splitlines() if typed not in line)
