# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the front door costs: one environment's nginx is asked through the door and directly, by turns.

nginx and what is behind it are the same processes both times. Without the door its own address is asked, so nothing of
the engine's is on the way.

What else runs on the machine changes how many requests a second there are, and by more than the door does. Two figures
hold all the same, and the worse one counts: the servers' processor time for a request (where they alone use a machine
up, that is its throughput), and the loss that three of four pairs of turns agree on.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import checkout

checkout.install()

from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorSettings  # noqa: E402
from e2e.door import Stage, contexts, free_ports  # noqa: E402
from measure import Line  # noqa: E402
from programs import BIN, SCRATCH, Failed, run  # noqa: E402

HERE = SCRATCH / "edge"
NAME = "bulkhead-bench-edge"
PREFIX, DOMAIN, CONTAINER = "bench", "bench.test", "0123456789ab"
#: Seconds of a turn, and who asks: as many processes, with as many connections each that stay open.
SECONDS, PROCESSES, CONNECTIONS = 1.0, 2, 8

#: A page of Django's without a database: what a request of the guide's application costs at the least.
APPLICATION = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.template import engines
from django.urls import path

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of no use", TEMPLATES=TEMPLATES)
application = get_wsgi_application()
PAGE = engines["django"].from_string(
    "<ul>{% for row in rows %}<li>{{ forloop.counter }}: {{ row|title }} {% cycle 'odd' 'even' %}</li>{% endfor %}"
)


def page(request):
    body = PAGE.render({"rows": ["a title of some length"] * 100}).encode()
    return HttpResponse(body, headers={"Content-Length": len(body)})


urlpatterns = [path("", page)]
"""

NGINX = """
error_log stderr warn;
pid /tmp/nginx.pid;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    upstream application {{ server unix:/bench/application.sock; keepalive 32; }}
    server {{
        listen 443 ssl;
        listen unix:/bench/sockets/{container}/https.sock ssl proxy_protocol;
        server_name {domain};
        ssl_certificate /bench/certificate.pem;
        ssl_certificate_key /bench/key.pem;
        location / {{
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
        location = /file {{ return 200 "{file}"; }}
    }}
}}
"""


@dataclass(frozen=True)
class Turn:
    """What one turn came to: requests a second, the latency in seconds that 99 of 100 stayed below, and the seconds of
    processor time that the servers took for a request."""

    rate: float
    p99: float
    cost: float


def ask(address: str, port: int, path: str, _number: int) -> list[float]:
    """Ask over one connection for as long as a turn takes. Returns each request's latency in seconds."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = f"GET {path} HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode()
    taken: list[float] = []
    plain = socket.create_connection((address, port), timeout=10)
    with context.wrap_socket(plain, server_hostname=DOMAIN) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + SECONDS
        while (began := time.perf_counter()) < end:
            connection.sendall(request)
            head, _empty, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise Failed(f"{address}:{port} answered {head[:200]!r}")
            left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(body)
            while left > 0:
                left -= len(connection.recv(1 << 16))
            taken.append(time.perf_counter() - began)
    return taken


def several(address: str, port: int, path: str) -> list[float]:
    """Ask over the connections of one process."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return [one for each in threads.map(partial(ask, address, port, path), range(CONNECTIONS)) for one in each]


def servers(stage: Stage) -> list[str]:
    """The processes of the door, of nginx and of the application."""
    containers = run(["docker", "ps", "--quiet", "--filter", f"label={NAME}"]).split()
    listed = [run(["docker", "top", each, "-eo", "pid"]) for each in (*containers, stage.container()["Id"])]
    return [word for each in listed for word in each.split()[1:]]


def processor_time(processes: Sequence[str]) -> float:
    """The seconds of processor time that processes took until now."""
    # After the name, which may hold blanks: the 12th and 13th field are those of the process and of the kernel for it.
    fields = [Path("/proc", each, "stat").read_text().rpartition(")")[2].split() for each in processes]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def turn(pool: ProcessPoolExecutor, processes: Sequence[str], address: str, port: int, path: str) -> Turn:
    """One turn of all who ask."""
    before = processor_time(processes)
    asked = [pool.submit(several, address, port, path) for _number in range(PROCESSES)]
    taken = [one for each in asked for one in each.result()]
    cost = (processor_time(processes) - before) / len(taken)
    return Turn(len(taken) / SECONDS, statistics.quantiles(taken, n=100)[98], cost)


def remove() -> None:
    """The containers that were made for this, by their exact label."""
    found = run(["docker", "ps", "--all", "--quiet", "--filter", f"label={NAME}"]).split()
    if found:
        run(["docker", "rm", "--force", *found])


def start(stage: Stage) -> str:
    """The environment: an application, and nginx before it. Returns nginx's own address."""
    sockets = Path(places.sockets(str(stage.state)), PREFIX)
    (sockets / CONTAINER).mkdir(parents=True)
    for folder in (sockets, sockets / CONTAINER):
        folder.chmod(0o711)
    (HERE / "application.py").write_text(APPLICATION, encoding="utf-8")
    (HERE / "nginx.conf").write_text(
        NGINX.format(container=CONTAINER, domain=DOMAIN, file="x" * 3000), encoding="utf-8"
    )
    made = ["docker", "run", "--detach", "--user", "0:0", "--label", NAME, "--volume", f"{HERE}:/bench"]
    server = ["gunicorn", "--chdir", "/bench", "--bind", "unix:/bench/application.sock", "--threads", "4"]
    run([*made, "bulkhead-demo/python:3.13", *server, "--keep-alive", "60", "application:application"])
    inside = ["--volume", f"{sockets}:/bench/sockets", "--entrypoint", "nginx", "bulkhead-demo/nginx:1.26"]
    nginx = run([*made, *inside, "-c", "/bench/nginx.conf", "-g", "daemon off;"]).strip()
    address = run(["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", nginx]).strip()
    deadline = time.monotonic() + 30
    while not ((sockets / CONTAINER / "https.sock").exists() and (HERE / "application.sock").exists()):
        if time.monotonic() > deadline:
            raise Failed("nginx or the application does not start:\n" + run(["docker", "logs", nginx]))
        time.sleep(0.1)
    return address


def compared(stage: Stage, address: str, path: str, rounds: int) -> list[tuple[Turn, Turn]]:
    """Turns with the door and without, in pairs; the first pair does not count."""
    ways = {"door": ("127.0.0.1", stage.settings.https_port), "direct": (address, 443)}
    pairs, processes = [], servers(stage)
    with ProcessPoolExecutor(PROCESSES) as pool:
        for number in range(2 * rounds + 1):
            order = [*ways] if number % 2 else [*ways][::-1]
            taken = {name: turn(pool, processes, *ways[name], path) for name in order}
            pairs.append((taken["door"], taken["direct"]))
    return pairs[1:]


def said(title: str, pairs: Sequence[tuple[Turn, Turn]], budget: float | None) -> Line:
    """The throughput that the door takes, as a line."""
    doors, directs = zip(*pairs, strict=True)
    door, direct = median(doors), median(directs)
    agreed = statistics.quantiles([1 - one.rate / other.rate for one, other in pairs], n=4)[0]
    lost = max(1 - direct.cost / door.cost, agreed)
    detail = (
        f"{door.rate:.0f} and {direct.rate:.0f} requests/s, p99 {door.p99 * 1000:.1f} and {direct.p99 * 1000:.1f} ms, "
        f"{door.cost * 1000:.2f} and {direct.cost * 1000:.2f} ms of processor time for one"
    )
    return Line(title, 100 * lost, budget, detail, "%")


def median(turns: Sequence[Turn]) -> Turn:
    """The median of each figure."""
    rates, latencies, costs = zip(*((one.rate, one.p99, one.cost) for one in turns), strict=True)
    return Turn(statistics.median(rates), statistics.median(latencies), statistics.median(costs))


def lines(rounds: int) -> Iterator[Line | str]:
    """Throughput and p99 of an application, and of nginx alone, which does next to nothing; and what a kill costs."""
    run([str(BIN / "python"), "tests/images/build.py"])
    remove()
    subprocess.run(["umount", "--lazy", places.sockets(str(HERE / "state"))], check=False, capture_output=True)
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    ports: Sequence[int] = free_ports(2)
    stage = Stage(HERE / "state", DoorSettings(*ports, ("127.0.0.1",)), *contexts(HERE))
    try:
        stage.machine().bring()
        address = start(stage)
        stage.door.publish(stage.route(PREFIX, CONTAINER, domains=(DOMAIN,), rate=100000))
        yield said(
            "throughput that the front door takes from an application", compared(stage, address, "/", rounds), 10
        )
        yield said("the same of nginx alone, with one page of 3 KB", compared(stage, address, "/file", rounds), None)
        yield Line(
            "until the front door serves again after kill -9", stage.kill(DOMAIN), 1, "open connections end", "s"
        )
    finally:
        stage.end()
        remove()
        shutil.rmtree(HERE, ignore_errors=True)
