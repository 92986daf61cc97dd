# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A headless browser, and axe-core, which judges whether everybody can read a page."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import urllib.request
from html import escape
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT
from debian import have_programs

AXE = "https://registry.npmjs.org/axe-core/-/axe-core-4.14.1.tgz"
DIGEST = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="

#: Opens everything that is folded, measures, and tells the page around it what it found.
INSIDE = """
document.querySelectorAll('details').forEach(item => item.open = true);
axe.run().then(found => parent.postMessage({
  violations: found.violations.map(item => [item.impact, item.id, item.nodes.map(node => node.html).slice(0, 3)]),
  passes: found.passes.length,
  width: document.documentElement.clientWidth,
  needed: document.documentElement.scrollWidth,
  dark: matchMedia('(prefers-color-scheme: dark)').matches,
  requests: performance.getEntriesByType('resource').length,
}, '*'));
"""
#: The page around it: a browser's own window is never as narrow as a telephone.
AROUND = """<!DOCTYPE html><iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe>
<script>
addEventListener('message', event => {{
  const result = document.createElement('script');
  result.type = 'application/json';
  result.id = 'result';
  result.textContent = JSON.stringify(event.data).replace(/</g, '\\\\u003c');
  document.body.append(result);
}});
</script>
"""


@functools.cache
def axe() -> str:
    """axe-core's script, kept below .cache; skips the test where it cannot be had."""
    kept = ROOT / ".cache" / "axe" / AXE.rpartition("/")[2]
    if not kept.exists():
        try:
            with urllib.request.urlopen(AXE, timeout=60) as answer:
                content = answer.read()
        except OSError as error:
            pytest.skip(f"axe-core cannot be fetched: {error}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(content)
    content = kept.read_bytes()
    assert base64.b64encode(hashlib.sha512(content).digest()).decode() == DIGEST, f"{kept} is not what was published"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@functools.cache
def chromium() -> str:
    """The browser; installed from the distribution if root runs the tests, else the test is skipped."""
    if not shutil.which("chromium-browser"):
        have_programs(chromium="chromium")
    return shutil.which("chromium") or "chromium-browser"


def _chromium(home: Path, *arguments: str) -> str:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={home}"]
    done = subprocess.run([chromium(), *options, *arguments], capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def screenshot(directory: Path, page: str, width: int, dark: bool = False) -> Path:
    """A picture of the page's top."""
    (directory / "page.html").write_text(page, encoding="utf-8")
    picture = directory / f"{width}-{'dark' if dark else 'light'}.png"
    address = (directory / "page.html").as_uri()
    _chromium(directory / "home", *_look(width, dark), f"--screenshot={picture}", address)
    return picture


def printed(directory: Path, page: str) -> int:
    """On how many sheets of paper the page is printed."""
    (directory / "printed.html").write_text(page, encoding="utf-8")
    paper = directory / "printed.pdf"
    address = (directory / "printed.html").as_uri()
    _chromium(directory / "home", "--no-pdf-header-footer", f"--print-to-pdf={paper}", address)
    return len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))


def judged(directory: Path, page: str, width: int, dark: bool = False) -> dict[str, Any]:
    """What axe-core says of a page, and how wide it wants to be."""
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    assert policy.search(page)  # the page itself may run no script: only this copy does
    copy = directory / f"judged-{width}-{dark}.html"
    script = f"<script>{axe()}</script><script>{INSIDE}</script></body>"
    inside = policy.sub("", page).replace("</body>", script)
    copy.write_text(AROUND.format(width=width, page=escape(inside)), encoding="utf-8")
    arguments = (*_look(width, dark), "--virtual-time-budget=60000", "--dump-dom", copy.as_uri())
    said = _chromium(directory / "home", *arguments)
    found = re.search(r'<script type="application/json" id="result">(.*?)</script>', said, re.DOTALL)
    assert found, said[-2000:]
    result: dict[str, Any] = json.loads(found[1])
    return result


def _look(width: int, dark: bool) -> list[str]:
    return [f"--window-size={max(width, 500) + 40},900", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
